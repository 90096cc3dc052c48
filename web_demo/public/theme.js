// Before the first paint, which would flash in the other theme.
try {
  const theme = localStorage.getItem('tfyolo-theme');
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
} catch {
  // Storage is switched off.
}
