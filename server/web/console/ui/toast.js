/** Short news at the edge of the page, read out by screen readers. */

import { html, useEffect, useState } from "/assets/vendor/preact-htm/preact-htm.js";

const SHOWN_MS = 7_000;
const SHOWN_MAX = 4;
let count = 0;
let shown = [];
const listeners = new Set();

function set(next) {
  shown = next;
  for (const listener of listeners) listener(shown);
}

/**
 * @param {string} text
 * @param {"good" | "bad"} [kind]
 */
export function toast(text, kind = "good") {
  const id = ++count;
  set([...shown, { id, text, kind }].slice(-SHOWN_MAX));
  setTimeout(() => close(id), SHOWN_MS);
}

const close = (id) => set(shown.filter((each) => each.id !== id));

/** Where they appear. There is one. */
export function Toasts() {
  const [items, setItems] = useState(shown);
  useEffect(() => {
    listeners.add(setItems);
    return () => listeners.delete(setItems);
  }, []);
  return html`<div class="toasts" role="status" aria-live="polite">
    ${items.map(
      ({ id, text, kind }) => html`<div class="toast ${kind}" key=${id}>
        <span>${text}</span>
        <button class="tool" aria-label="Dismiss" onClick=${() => close(id)}>×</button>
      </div>`,
    )}
  </div>`;
}
