/** Lines over time, in the colours of the page. */

import { html, useEffect, useRef, useState } from "/assets/vendor/preact-htm/preact-htm.js";
import uPlot from "/assets/vendor/uplot/uplot.js";

const HEIGHT_PX = 150;
const clock = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  hourCycle: "h23",
});

/**
 * @typedef {{label: string, values: (number | null)[]}} Series
 * @param {{title: string, at: number[], series: Series[], write: (value: number) => string}} props
 *   `at` is Unix s; `write` spells a value
 */
export function Chart({ title, at, series, write }) {
  const box = useRef(null);
  const plot = useRef(null);
  const [shade, setShade] = useState(document.documentElement.dataset.theme);
  const [shown, setShown] = useState(null);
  const data = [at, ...series.map((each) => each.values)];
  const labels = series.map((each) => each.label).join("|");

  useEffect(() => {
    const watch = new MutationObserver(() => setShade(document.documentElement.dataset.theme));
    watch.observe(document.documentElement, { attributeFilter: ["data-theme"] });
    return () => watch.disconnect();
  }, []);

  useEffect(() => {
    const made = new uPlot(options(box.current, series, write, setShown), data, box.current);
    plot.current = made;
    const resized = new ResizeObserver(() =>
      made.setSize({ width: box.current.clientWidth, height: HEIGHT_PX }),
    );
    resized.observe(box.current);
    return () => {
      resized.disconnect();
      made.destroy();
    };
  }, [shade, labels]);

  useEffect(() => plot.current?.setData(data), [at, series]);

  const place = shown ?? at.length - 1;
  const said = series.map((each) => `${each.label} ${value(each, place, write)}`).join(", ");
  return html`<figure class="card chart">
    <figcaption>
      <h2>${title}</h2>
      <ul class="legend small">
        ${series.map(
          (each, n) => html`<li key=${each.label} class="series-${n}">
            ${each.label} <span class="number">${value(each, place, write)}</span>
          </li>`,
        )}
      </ul>
      <span class="soft small at">
        ${shown === null ? "" : clock.format(new Date(at[shown] * 1000))}
      </span>
    </figcaption>
    <div class="plot" role="img" aria-label=${`${title}. Last: ${said}.`} ref=${box}></div>
  </figure>`;
}

function value(series, at, write) {
  const found = series.values[at];
  return found == null ? "–" : write(found);
}

function options(box, series, write, setShown) {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const axis = {
    stroke: colour("--soft"),
    font: "12px system-ui, sans-serif",
    grid: { stroke: colour("--line"), width: 1 },
    ticks: { show: false },
  };
  return {
    width: box.clientWidth,
    height: HEIGHT_PX,
    legend: { show: false },
    padding: [8, 18, 0, 0],
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 } },
    hooks: { setCursor: [(plot) => setShown(plot.cursor.idx ?? null)] },
    scales: { y: { range: (_, low, high) => [0, Math.max(1, (high ?? 0) * 1.15)] } },
    axes: [
      {
        ...axis,
        size: 26,
        space: 64,
        values: (_, at) => at.map((s) => clock.format(new Date(s * 1000))),
      },
      { ...axis, size: 48, space: 32, values: (_, at) => at.map(write) },
    ],
    series: [
      {},
      ...series.map((each, n) => ({
        label: each.label,
        stroke: colour(`--series-${n}`),
        width: 2,
        fill: n === 0 ? `${colour("--series-0")}1f` : undefined,
        points: { show: false },
      })),
    ],
  };
}
