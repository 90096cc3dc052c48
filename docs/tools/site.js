const SCROLLING = '.md-typeset__scrollwrap, table.dataframe, .katex-display, pre[style*="overflow-x"]';

document$.subscribe(() => {
  renderMathInElement(document.body, {
    delimiters: [
      { left: "\\[", right: "\\]", display: true },
      { left: "\\(", right: "\\)", display: false },
    ],
  });
  document.querySelector(".md-search")?.setAttribute("aria-label", "Search");
  // With a keyboard, wide tables, formulas and outputs of notebooks scroll only if they can have the focus. The
  // theme wraps tables later.
  setTimeout(() => {
    for (const element of document.querySelectorAll(SCROLLING)) element.tabIndex = 0;
  });
});
