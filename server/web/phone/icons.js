/** Icons as strokes on a field of 24 by 24. They say nothing themselves: label what holds them. */

import { html } from "/assets/vendor/preact-htm/preact-htm.js";

const CIRCLE = (x, y, r) =>
  `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`;
const HANDSET =
  "M4.5 4H9l2 5-2.4 1.6a12 12 0 0 0 4.8 4.8L15 13l5 2v4.5a1.5 1.5 0 0 1-1.5 1.5" +
  "A15.5 15.5 0 0 1 3 5.5 1.5 1.5 0 0 1 4.5 4z";
const CAMERA = "M4 6.5h9A1.5 1.5 0 0 1 14.5 8v8a1.5 1.5 0 0 1-1.5 1.5H4A1.5 1.5 0 0 1 2.5 16V8A1.5 1.5 0 0 1 4 6.5zM14.5 11l7-4v10l-7-4";
const MICROPHONE = "M12 3a3 3 0 0 1 3 3v5a3 3 0 0 1-6 0V6a3 3 0 0 1 3-3zM5.5 11a6.5 6.5 0 0 0 13 0M12 17.5V21M9 21h6";
const SLASH = "M4 3l16 18";

const STROKES = {
  phone: [HANDSET],
  hangup: [
    "M3 15.5c0-2 .6-3.5 2-4.400 4-2.400 10-2.400 14 0 1.400.9 2 2.400 2 4.400l-4.600.5-.8-3.200a15 15 0 0 0-7.200 0L7.600 16z",
  ],
  video: [CAMERA],
  videoOff: [CAMERA, SLASH],
  mic: [MICROPHONE],
  micOff: [MICROPHONE, SLASH],
  pause: ["M8.5 5v14M15.5 5v14"],
  play: ["M7.5 5l11 7-11 7z"],
  chat: ["M5 4.5h14A1.5 1.5 0 0 1 20.5 6v9.5A1.5 1.5 0 0 1 19 17h-7l-5 4v-4H5a1.5 1.5 0 0 1-1.5-1.5V6A1.5 1.5 0 0 1 5 4.5z"],
  sliders: ["M4 7h9M17 7h3M4 17h3M11 17h9", CIRCLE(15, 7, 2), CIRCLE(9, 17, 2)],
  close: ["M6 6l12 12M18 6L6 18"],
  back: ["M14.5 5l-7 7 7 7"],
  forward: ["M9.5 5l7 7-7 7"],
  star: ["M12 3.5l2.600 5.400 5.900.8-4.300 4.100 1 5.900-5.200-2.800-5.200 2.800 1-5.900-4.300-4.100 5.900-.8z"],
  wallet: ["M4 7h15a1.5 1.5 0 0 1 1.5 1.5v9A1.5 1.5 0 0 1 19 19H5a1.5 1.5 0 0 1-1.5-1.5V6.5A1.5 1.5 0 0 1 5 5h12", "M16.5 13h.01"],
  history: [CIRCLE(12, 12, 8.5), "M12 7.5V12l3 2"],
  bell: ["M6 16.5V11a6 6 0 0 1 12 0v5.5l1.5 1.5h-15zM10 20.5h4"],
  person: [CIRCLE(12, 8, 4), "M4.5 20.5a7.5 7.5 0 0 1 15 0"],
  people: [CIRCLE(9, 8.5, 3.5), "M2.5 20a6.5 6.5 0 0 1 13 0M15.5 5.300a3.5 3.5 0 0 1 0 6.400M18 14.300a6.5 6.5 0 0 1 3.5 5.700"],
  search: [CIRCLE(11, 11, 6.5), "M16 16l4.5 4.5"],
  sun: [CIRCLE(12, 12, 4), "M12 2.5V5M12 19v2.5M2.5 12H5M19 12h2.5M5.300 5.300L7 7M17 17l1.700 1.700M18.700 5.300L17 7M7 17l-1.700 1.700"],
  moon: ["M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.5z"],
  plus: ["M12 5v14M5 12h14"],
  check: ["M5 12.5l4.5 4.5L19 7.5"],
  send: ["M4 12L20 4l-5 16-4-6.5zM11 13.5L20 4"],
  info: [CIRCLE(12, 12, 8.5), "M12 11v5M12 8h.01"],
  warning: ["M12 4l9 16H3zM12 10v4.5M12 17.5h.01"],
  block: [CIRCLE(12, 12, 8.5), "M6 6l12 12"],
  out: ["M10 4.5H6A1.5 1.5 0 0 0 4.5 6v12A1.5 1.5 0 0 0 6 19.5h4M15 8l4 4-4 4M19 12H9.5"],
  work: ["M4 8h16a1 1 0 0 1 1 1v9.5a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1V9a1 1 0 0 1 1-1zM9 8V5.5a1 1 0 0 1 1-1h4a1 1 0 0 1 1 1V8M3 13h18"],
  device: ["M8 3h8a1.5 1.5 0 0 1 1.5 1.5v15A1.5 1.5 0 0 1 16 21H8a1.5 1.5 0 0 1-1.5-1.5v-15A1.5 1.5 0 0 1 8 3zM11 18h2"],
  incoming: ["M18 6L7 17M7 9v8h8"],
  outgoing: ["M6 18L17 7M9 7h8v8"],
  missed: ["M4 8l7 7 9-9M4 14V8h6"],
  receipt: ["M6 3.5h12v17l-3-2-3 2-3-2-3 2zM9.5 8.5h5M9.5 12.5h5"],
 
};

/** @param {{name: keyof typeof STROKES, size?: number}} props */
export function Icon({ name, size = 22 }) {
  return html`<svg
    class=${`icon icon-${name}`}
    width=${size}
    height=${size}
    viewBox="0 0 24 24"
    fill="none"
    stroke="currentColor"
    stroke-width="1.9"
    stroke-linecap="round"
    stroke-linejoin="round"
    aria-hidden="true"
    focusable="false"
  >
    ${STROKES[name].map((d) => html`<path d=${d} />`)}
  </svg>`;
}

/** Four bars, `level` of them lit (0-4). */
export function Bars({ level }) {
  return html`<svg class=${`bars level-${level}`} width="22" height="18" viewBox="0 0 22 18" aria-hidden="true">
    ${[0, 1, 2, 3].map(
      (n) => html`<rect
        class=${n < level ? "lit" : ""}
        x=${1 + n * 5.4}
        y=${12 - n * 3.6}
        width="3.6"
        height=${5 + n * 3.6}
        rx="1"
      />`,
    )}
  </svg>`;
}
