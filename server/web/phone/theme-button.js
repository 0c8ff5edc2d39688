/** Dark or light, at a press. */

import { switchTheme, theme } from "/assets/shared/theme.js";
import { html, useReducer } from "/assets/vendor/preact-htm/preact-htm.js";
import { Icon } from "./icons.js";

export function ThemeButton() {
  const [, draw] = useReducer((n) => n + 1, 0);
  const other = theme() === "dark" ? "light" : "dark";
  const press = () => {
    switchTheme();
    draw();
  };
  return html`<button
    class="button round plain small-round"
    type="button"
    aria-label=${`Switch to ${other} colours`}
    onClick=${press}
  >
    <${Icon} name=${other === "dark" ? "moon" : "sun"} />
  </button>`;
}
