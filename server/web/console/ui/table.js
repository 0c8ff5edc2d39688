/** Lists: sorted, filtered, page by page, scrolling inside their card. */

import { html, useEffect, useRef, useState } from "/assets/vendor/preact-htm/preact-htm.js";

import { setQuery } from "../router.js";
import { number } from "../words.js";
import { Icon } from "./icons.js";
import { Empty } from "./parts.js";

export const PAGE = 25;

/** Limit and offset of the page that the query asks for. */
export function pageOf(query) {
  const page = Math.max(1, Number.parseInt(query.page ?? "1", 10) || 1);
  return { limit: PAGE, offset: (page - 1) * PAGE };
}

/**
 * @typedef {{key: string, label: string, cell: (row: object) => unknown, by?: (row: object) =>
 *   string | number, look?: "number" | "wide" | "line" | "do"}} Column
 *   `by` makes it sortable. `wide` texts are broken, `line` texts cut; `do` is what one can do.
 * @param {{label: string, columns: Column[], rows: object[], id?: (row: object) => string,
 *   empty?: unknown, marked?: string}} props
 */
export function Table({
  label,
  columns,
  rows,
  id = (row) => row.id,
  empty = "Nothing here.",
  marked,
}) {
  const [sort, setSort] = useState(null);
  const shown = sorted(rows, columns, sort);
  if (rows.length === 0) return html`<${Empty}>${empty}<//>`;
  return html`<div class="scroll" role="region" aria-label=${label} tabindex="0">
    <table class="table">
      <thead>
        <tr>
          ${columns.map(
            (column) =>
              html`<${Head} key=${column.key} column=${column} sort=${sort} set=${setSort} />`,
          )}
        </tr>
      </thead>
      <tbody>
        ${shown.map(
          (row) => html`<tr key=${id(row)} class=${id(row) === marked ? "marked" : ""}>
            ${columns.map(
              (column) => html`<td
                key=${column.key}
                class=${column.look}
              >
                ${column.cell(row)}
              </td>`,
            )}
          </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}

function Head({ column, sort, set }) {
  const { key, label, by, look } = column;
  const mine = sort?.key === key ? sort.way : 0;
  const way = { 1: "ascending", 0: undefined, [-1]: "descending" }[mine];
  const next = { 0: 1, 1: -1, [-1]: 0 }[mine];
  return html`<th scope="col" aria-sort=${way} class=${look === "number" ? look : ""}>
    ${
      by
        ? html`<button class="sort" onClick=${() => set(next ? { key, way: next } : null)}>
          ${label}<span aria-hidden="true">${{ 1: "↑", 0: "", [-1]: "↓" }[mine]}</span>
        </button>`
        : html`<span class=${look === "do" ? "hushed" : ""}>${label}</span>`
    }
  </th>`;
}

function sorted(rows, columns, sort) {
  const by = sort && columns.find((column) => column.key === sort.key)?.by;
  if (!by) return rows;
  const order = (a, b) => {
    const [x, y] = [by(a) ?? "", by(b) ?? ""];
    if (typeof x === "number" && typeof y === "number") return x - y;
    return String(x).localeCompare(String(y));
  };
  return [...rows].sort((a, b) => sort.way * order(a, b));
}

/** The pages of a list as the API answers it; the page is in the query under `name`. */
export function Pager({ of: { total, limit, offset }, name = "page" }) {
  if (total <= limit && offset === 0) {
    return html`<p class="pager soft small">${number(total)} in all</p>`;
  }
  const page = Math.floor(offset / limit) + 1;
  const pages = Math.max(1, Math.ceil(total / limit));
  const first = Math.min(offset + 1, total);
  const go = (to) => setQuery({ [name]: to === 1 ? null : to });
  return html`<nav class="pager" aria-label="Pages">
    <span class="soft small">
      ${number(first)}–${number(Math.min(offset + limit, total))} of ${number(total)}
    </span>
    <button class="button small" disabled=${page <= 1} onClick=${() => go(page - 1)}>
      Previous
    </button>
    <button class="button small" disabled=${page >= pages} onClick=${() => go(page + 1)}>
      Next
    </button>
  </nav>`;
}

const WAIT_MS = 300;

/** What one types is in the query a moment later. "/" goes here from anywhere. */
export function Search({ label, value = "", name = "q", hint }) {
  const [text, setText] = useState(value);
  const timer = useRef(0);
  useEffect(() => setText(value), [value]);
  const put = (said) => setQuery({ [name]: said.trim(), page: null });
  function typed(said) {
    setText(said);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => put(said), WAIT_MS);
  }
  return html`<form
    class="search"
    role="search"
    onSubmit=${(event) => {
      event.preventDefault();
      clearTimeout(timer.current);
      put(text);
    }}
  >
    <${Icon} name="search" />
    <input
      class="input"
      type="search"
      data-search
      aria-label=${label}
      placeholder=${hint ?? label}
      autocomplete="off"
      value=${text}
      onInput=${(event) => typed(event.target.value)}
    />
    <kbd aria-hidden="true">/</kbd>
  </form>`;
}

/** A filter with a few values; `options` are `[value, text]`, the first means all. */
export function Pick({ label, name, value = "", options }) {
  return html`<label class="pick">
    <span class="soft small">${label}</span>
    <select
      class="input"
      value=${value}
      onChange=${(event) => setQuery({ [name]: event.target.value, page: null })}
    >
      ${options.map(
        ([word, text]) =>
          html`<option key=${word} value=${word} selected=${word === value}>${text}</option>`,
      )}
    </select>
  </label>`;
}
