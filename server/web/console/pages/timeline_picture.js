/** A call as swim lanes: who gave what to whom, when, and what money moved. */

import { html } from "/assets/vendor/preact-htm/preact-htm.js";

import { plain, span } from "../words.js";
import { marks, silences } from "./timeline_scale.js";
import { bandsOf, nameOf, since } from "./timeline_words.js";

const TOP_PX = 34;
const LANE_PX = 92;
const BAND_PX = 26;
const SIZE_PX = 5.5;

/** How high a picture with so many lanes is. */
export const heightOf = (lanes) => TOP_PX + lanes * LANE_PX + 8;

/** @param {number} n  the lane's place from the top */
export const middleOf = (n) => TOP_PX + n * LANE_PX + LANE_PX / 2;

/**
 * @param {{items: object[], lanes: string[], at: number[], xs: number[], width: number,
 *   scale: string, chosen: number | null, pick: (n: number) => void}} props
 */
export function Picture({ items, lanes, at, xs, width, scale, chosen, pick }) {
  const y = Object.fromEntries(lanes.map((lane, n) => [lane, middleOf(n)]));
  const height = heightOf(lanes.length);
  const bottom = height - 8;
  return html`<svg
    class="lanes"
    width=${width}
    height=${height}
    role="img"
    aria-label=${`${items.length} entries in ${lanes.length} lanes, listed beside`}
  >
    ${lanes.map(
      (lane) =>
        html`<line key=${lane} class="lane" x1="0" x2=${width} y1=${y[lane]} y2=${y[lane]} />`,
    )}
    ${bandsOf(items).map(
      (band) => html`<${Band} key=${`band${band.from}`} band=${band} xs=${xs} y=${y.server} />`,
    )}
    ${marks(at, xs).map(
      (n) => html`<g key=${`mark${n}`} class="mark">
        <line x1=${xs[n]} x2=${xs[n]} y1=${TOP_PX - 6} y2=${bottom} />
        <text x=${xs[n]} y=${TOP_PX - 12} text-anchor="middle">${since(at[n] - at[0])}</text>
      </g>`,
    )}
    ${
      scale === "steps" &&
      silences(at, xs).map(
        ({ x, ms }) => html`<g key=${`still${x}`} class="still">
        <line x1=${x} x2=${x} y1=${TOP_PX} y2=${bottom} />
        <text x=${x} y=${bottom + 4} text-anchor="middle">${span(ms)}</text>
      </g>`,
      )
    }
    ${items.map(
      (item, n) => html`<${Thing}
        key=${`thing${n}`}
        item=${item}
        x=${xs[n]}
        y=${y}
        chosen=${n === chosen}
        pick=${() => pick(n)}
        low=${TOP_PX}
        high=${bottom}
      />`,
    )}
  </svg>`;
}

function Band({ band, xs, y }) {
  const [from, to] = [xs[band.from], xs[band.to]];
  const width = Math.max(2, to - from);
  const word = plain(band.state);
  return html`<g class="band ${band.state}">
    <rect x=${from} y=${y - BAND_PX / 2} width=${width} height=${BAND_PX} rx="6" />
    ${
      width > word.length * 7 + 16 &&
      html`<text x=${from + 8} y=${y - BAND_PX / 2 - 4}>${word}</text>`
    }
  </g>`;
}

function Thing({ item, x, y, chosen, pick, low, high }) {
  const mine = y[item.lane];
  const server = y.server;
  const other = item.lane === "server" || item.kind === "tick" || item.kind === "transfer";
  const gives = item.kind === "input" || item.kind === "audit";
  const [from, to] = gives ? [mine, server] : [server, mine];
  return html`<g class="thing ${item.kind} ${item.lane} ${chosen ? "chosen" : ""}" onClick=${pick}>
    <title>${nameOf(item)}</title>
    ${
      chosen &&
      html`<rect class="halo" x=${x - 9} y=${low} width="18" height=${high - low} rx="6" />`
    }
    ${!other && html`<${Arrow} x=${x} from=${from} to=${to} />`}
    <${Shape} kind=${item.kind} x=${x} y=${mine} />
    <rect class="hit" x=${x - 7} y=${mine - 16} width="14" height="32" />
  </g>`;
}

function Arrow({ x, from, to }) {
  const way = Math.sign(to - from);
  const [start, end] = [from + way * SIZE_PX, to - way * SIZE_PX];
  const head = `M${x - 3.5} ${end - way * 6}L${x} ${end}L${x + 3.5} ${end - way * 6}`;
  return html`<path class="arrow" d=${`M${x} ${start}V${end}${head}`} />`;
}

function Shape({ kind, x, y }) {
  const s = SIZE_PX;
  if (kind === "transfer") {
    const far = s + 1;
    const d = `M${x} ${y - far}L${x + far} ${y}L${x} ${y + far}L${x - far} ${y}Z`;
    return html`<path class="dot" d=${d} />`;
  }
  if (kind === "tick") return html`<circle class="dot" cx=${x} cy=${y} r=${s + 2} />`;
  if (kind === "effect" || kind === "state" || kind === "gap") {
    const [left, top, size] = [x - s + 1, y - s + 1, 2 * s - 2];
    return html`<rect class="dot" x=${left} y=${top} width=${size} height=${size} rx="2" />`;
  }
  return html`<circle class="dot" cx=${x} cy=${y} r=${s} />`;
}
