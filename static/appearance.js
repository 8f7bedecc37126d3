// Runs before the first paint, so that a chosen theme does not flash in the other one. A classic script on purpose: modules wait.
{
  let theme = null;
  try {
    theme = localStorage.getItem('theme');
  } catch {
    // Storage is switched off: the system's theme it is.
  }
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
}
