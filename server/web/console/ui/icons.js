/** Small pictures, drawn in the colour of the text; they say nothing to a screen reader. */

import { html } from "/assets/vendor/preact-htm/preact-htm.js";

const PATHS = {
  overview: "M4 13h6V4H4zM14 20h6v-9h-6zM4 20h6v-3H4zM14 7h6V4h-6z",
  calls:
    "M5 4h4l2 5-2.5 1.5a11 11 0 0 0 5 5L15 13l5 2v4a1 1 0 0 1-1 1A15 15 0 0 1 4 5a1 1 0 0 1 1-1z",
  users:
    "M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zM2.5 20a6.5 6.5 0 0 1 13 0" +
    "M16 4.5a3.5 3.5 0 0 1 0 6.5M18 14.5a6.5 6.5 0 0 1 3.5 5.5",
  money: "M3 7h18v12H3zM3 11h18M7 15h4",
  jobs: "M4 6h11M4 12h11M4 18h7M18 15l3 3-3 3M21 18h-6",
  webhooks: "M12 8a3 3 0 1 0-3-3M10 7l-4 8M6 21a3 3 0 1 0 0-6M9 18h7M18 21a3 3 0 1 0-2-5.2L12 8",
  nodes: "M4 4h16v6H4zM4 14h16v6H4zM8 7h.01M8 17h.01",
  audit: "M6 3h9l4 4v14H6zM14 3v5h5M9 12h7M9 16h7",
  menu: "M4 7h16M4 12h16M4 17h16",
  theme:
    "M12 3v2M12 19v2M3 12h2M19 12h2M5.6 5.6 7 7M17 17l1.4 1.4M5.6 18.4 7 17M17 7l1.4-1.4" +
    "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8z",
  leave: "M10 4H5v16h5M15 8l4 4-4 4M19 12H9",
  copy: "M9 9h11v11H9zM15 9V4H4v11h5",
  out: "M14 4h6v6M20 4l-9 9M18 14v6H4V6h6",
  search: "M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14zM16 16l4.5 4.5",
  back: "M15 5l-7 7 7 7",
  done: "M5 12l5 5 9-10",
};

/** @param {{name: keyof PATHS}} props */
export function Icon({ name }) {
  return html`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
    <path d=${PATHS[name]} />
  </svg>`;
}
