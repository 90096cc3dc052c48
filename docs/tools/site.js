const SCROLLING = ".md-typeset__scrollwrap, table.dataframe, .katex-display";

document$.subscribe(() => {
  renderMathInElement(document.body, {
    delimiters: [
      { left: "\\[", right: "\\]", display: true },
      { left: "\\(", right: "\\)", display: false },
    ],
  });
  document.querySelector(".md-search")?.setAttribute("aria-label", "Search");
  // With a keyboard, wide tables and formulas scroll only if they can have the focus. The theme wraps tables later.
  setTimeout(() => {
    for (const element of document.querySelectorAll(SCROLLING)) element.tabIndex = 0;
  });
});
