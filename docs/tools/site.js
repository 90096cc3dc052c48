document$.subscribe(() => {
  renderMathInElement(document.body, {
    delimiters: [
      { left: "\\[", right: "\\]", display: true },
      { left: "\\(", right: "\\)", display: false },
    ],
  });
  document.querySelector(".md-search")?.setAttribute("aria-label", "Search");
  // Wide tables scroll: with a keyboard only if they can have the focus. The theme wraps them a little later.
  setTimeout(() => {
    for (const table of document.querySelectorAll(".md-typeset__scrollwrap, table.dataframe")) table.tabIndex = 0;
  });
});
