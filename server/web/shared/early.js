// Before the first paint, so that a dark page never flashes white. A classic script, in the head.
(() => {
  let chosen = null;
  try {
    chosen = localStorage.getItem("talktime.theme");
  } catch {
    // A browser that keeps nothing: the system's word counts.
  }
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = chosen ?? (dark ? "dark" : "light");
})();
