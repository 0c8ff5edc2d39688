/** Where the entries of a timeline are in its picture. Pure. */

export const STEP_PX = 15;
export const EDGE_PX = 28;
const LABEL_PX = 78;

/**
 * The x of each moment. By "steps" each entry has room of its own and long silences are short, by
 * "time" a second is as long as any other.
 * @param {number[]} at  Unix ms, in order
 * @param {{scale: "steps" | "time", zoom: number, room: number}} how  `room`: what is seen, px
 * @returns {{xs: number[], width: number}}
 */
export function places(at, { scale, zoom, room }) {
  if (at.length === 0) return { xs: [], width: room };
  const xs = scale === "time" ? byTime(at, zoom, room) : bySteps(at, zoom, room);
  return { xs, width: Math.max(room, xs.at(-1) + EDGE_PX) };
}

function byTime(at, zoom, room) {
  const [first, last] = [at[0], at.at(-1)];
  const width = (room - 2 * EDGE_PX) * zoom;
  return at.map((ms) => EDGE_PX + ((ms - first) / Math.max(1, last - first)) * width);
}

function bySteps(at, zoom, room) {
  let x = 0;
  const raw = at.map((ms, n) => {
    if (n > 0) x += STEP_PX + 11 * Math.log10(1 + (ms - at[n - 1]) / 5);
    return x;
  });
  // Few entries fill the picture, many go beyond it.
  const fit = Math.max(1, (room - 2 * EDGE_PX) / Math.max(1, raw.at(-1)));
  return raw.map((each) => EDGE_PX + each * Math.min(fit, 4) * zoom);
}

/** Which entries have their time written on the axis, once each and not to cover one another. */
export function marks(at, xs) {
  let [next, written] = [-Infinity, NaN];
  return xs.flatMap((x, n) => {
    if (x < next || at[n] === written) return [];
    next = x + LABEL_PX;
    written = at[n];
    return [n];
  });
}

/** Silences that are shown shorter than they were: `{x, ms}` in the middle of each. */
export function silences(at, xs) {
  const found = [];
  for (let n = 1; n < at.length; n += 1) {
    const ms = at[n] - at[n - 1];
    if (ms >= 5_000) found.push({ x: (xs[n] + xs[n - 1]) / 2, ms });
  }
  return found;
}
