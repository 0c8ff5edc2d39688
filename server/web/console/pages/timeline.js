/** A call's timeline: a picture and a list that are one; what is chosen is marked in both. */

import {
  html,
  useEffect,
  useMemo,
  useRef,
  useState,
} from "/assets/vendor/preact-htm/preact-htm.js";

import { Empty, Tabs } from "../ui/parts.js";
import { exact, plain, title } from "../words.js";
import { Picture, heightOf, middleOf } from "./timeline_picture.js";
import { places } from "./timeline_scale.js";
import { LANES, SHOWS, aboutOf, nameOf, since } from "./timeline_words.js";

const ZOOM_MAX = 64;
const SHOW_TABS = [
  ["all", "All"],
  ["states", "States"],
  ["people", "People"],
  ["money", "Money"],
];
const SCALES = [
  ["steps", "Steps"],
  ["time", "Time"],
];

/** @param {{items: object[], call: object | null}} props */
export function Timeline({ items: all, call }) {
  const [show, setShow] = useState("all");
  const [scale, setScale] = useState("steps");
  const [zoom, setZoom] = useState(1);
  const [picked, setPicked] = useState(null);
  const [room, setRoom] = useState(600);
  const view = useRef(null);
  const list = useRef(null);

  const items = useMemo(() => all.filter(SHOWS[show]), [all, show]);
  const at = useMemo(() => items.map((item) => Date.parse(item.at)), [items]);
  const lanes = LANES.filter((lane) => lane !== "operator" || items.some((i) => i.lane === lane));
  const { xs, width } = places(at, { scale, zoom, room });
  const chosen = picked !== null && picked < items.length ? picked : null;

  useEffect(() => {
    const resized = new ResizeObserver(() => setRoom(view.current.clientWidth));
    if (view.current) resized.observe(view.current);
    return () => resized.disconnect();
  }, [items.length > 0]);

  useEffect(() => {
    if (chosen === null) return;
    const x = xs[chosen];
    const { scrollLeft, clientWidth } = view.current;
    if (x < scrollLeft + 40 || x > scrollLeft + clientWidth - 40) {
      view.current.scrollLeft = x - clientWidth / 2;
    }
    const row = list.current.children[chosen];
    const high = row.offsetTop;
    if (
      high < list.current.scrollTop ||
      high + row.offsetHeight > list.current.scrollTop + list.current.clientHeight
    ) {
      list.current.scrollTop = high - list.current.clientHeight / 2;
    }
  }, [chosen, zoom, scale]);

  const zoomBy = (factor) => setZoom((now) => Math.min(ZOOM_MAX, Math.max(1, now * factor)));
  const pick = (n) => setPicked(Math.min(items.length - 1, Math.max(0, n)));

  function pressed(event) {
    const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
    let to = null;
    if (event.key in steps) to = chosen === null ? 0 : chosen + steps[event.key];
    else if (event.key === "Home") to = 0;
    else if (event.key === "End") to = items.length - 1;
    else if (event.key === "+" || event.key === "=") zoomBy(2);
    else if (event.key === "-") zoomBy(0.5);
    else return;
    event.preventDefault();
    if (to === null) return;
    const next = Math.min(items.length - 1, Math.max(0, to));
    pick(next);
    if (list.current.contains(event.target)) list.current.children[next].firstChild.focus();
  }

  const names = { caller: call?.caller.name, callee: call?.callee.name };
  return html`<div class="timeline-tools">
      <${Tabs} label="Show" value=${show} options=${SHOW_TABS} onPick=${(w) => {
        setShow(w);
        setPicked(null);
      }} />
      <${Tabs} label="Scale" value=${scale} options=${SCALES} onPick=${(w) => {
        setScale(w);
        setZoom(1);
      }} />
      <div class="zoom" role="group" aria-label="Zoom">
        <button
          class="button small"
          aria-label="Zoom out"
          disabled=${zoom <= 1}
          onClick=${() => zoomBy(0.5)}
        >
          −
        </button>
        <button
          class="button small"
          aria-label="Zoom in"
          disabled=${zoom >= ZOOM_MAX}
          onClick=${() => zoomBy(2)}
        >
          +
        </button>
      </div>
    </div>
    ${
      items.length === 0
        ? html`<${Empty}>Nothing like that happened in this call.<//>`
        : html`<div class="timeline">
          <div class="picture">
            <${LaneNames} lanes=${lanes} names=${names} />
            <div
              class="view"
              ref=${view}
              tabindex="0"
              role="group"
              aria-label="Picture of the call. Arrows go from entry to entry, plus and minus zoom."
              onKeyDown=${pressed}
            >
              <${Picture} ...${{ items, lanes, at, xs, width, scale, chosen, pick }} />
            </div>
          </div>
          <ol class="entries" aria-label="Entries" ref=${list} onKeyDown=${pressed}>
            ${items.map(
              (item, n) => html`<${Entry}
                key=${n}
                item=${item}
                ms=${at[n] - at[0]}
                chosen=${n === chosen}
                first=${n === (chosen ?? 0)}
                names=${names}
                pick=${() => pick(n)}
              />`,
            )}
          </ol>
        </div>
        <p class="soft small">
          Filled: said. Hollow: told. Square: done by the server. Large: a unit charged. Diamond:
          money moved.
        </p>`
    }`;
}

function LaneNames({ lanes, names }) {
  const height = heightOf(lanes.length);
  return html`<svg class="lane-names" width="92" height=${height} aria-hidden="true">
    ${lanes.map(
      (lane, n) => html`<g key=${lane} class=${lane}>
        <circle class="dot" cx="8" cy=${middleOf(n)} r="4" />
        <text x="18" y=${middleOf(n) + (names[lane] ? -2 : 4)}>${title(lane)}</text>
        ${
          names[lane] &&
          html`<text class="name" x="18" y=${middleOf(n) + 14}>${names[lane].slice(0, 12)}</text>`
        }
      </g>`,
    )}
  </svg>`;
}

function Entry({ item, ms, chosen, first, names, pick }) {
  const about = aboutOf(item);
  return html`<li class="entry ${item.lane} ${chosen ? "chosen" : ""}">
    <button
      tabindex=${first ? 0 : -1}
      aria-current=${chosen ? "true" : undefined}
      onClick=${pick}
    >
      <span class="entry-time">${since(ms)}</span>
      <span class="entry-lane">${names[item.lane] ?? title(item.lane)}</span>
      <span class="entry-name">${nameOf(item)}</span>
      ${about && html`<span class="entry-about soft">${about}</span>`}
    </button>
    ${chosen && html`<${Details} item=${item} />`}
  </li>`;
}

function Details({ item }) {
  const pairs = [
    ["at", `${exact(item.at)} (${item.at})`],
    ["kind", `${item.kind}: ${item.name}`],
    ...Object.entries(item.details),
  ];
  return html`<dl class="details">
    ${pairs.map(
      ([word, value]) =>
        html`<div key=${word}><dt>${plain(word)}</dt><dd>${String(value)}</dd></div>`,
    )}
  </dl>`;
}
