/** Dark or light: the system's word counts until somebody says otherwise on this device. */

const KEY = "talktime.theme";
const dark = matchMedia("(prefers-color-scheme: dark)");

function apply() {
  document.documentElement.dataset.theme = theme();
}

/** `light` or `dark`, as it is shown now. */
export function theme() {
  return localStorage.getItem(KEY) ?? (dark.matches ? "dark" : "light");
}

/** Show the other one, and keep to it on this device. */
export function switchTheme() {
  localStorage.setItem(KEY, theme() === "dark" ? "light" : "dark");
  apply();
}

dark.addEventListener("change", apply);
apply();
