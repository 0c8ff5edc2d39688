/** Small pieces that all screens are made of. */

import { html, useEffect, useMemo, useRef } from "/assets/vendor/preact-htm/preact-htm.js";
import { Icon } from "./icons.js";
import { useApp, useShared } from "./store.js";
import { PRESENCE, sayError } from "./words.js";

let fields = 0;

/** The picture of a person, or the first letters of the name on a colour of its own. */
export function Avatar({ name, url = null, size = "" }) {
  const letters = (name ?? "?")
    .split(/\s+/)
    .slice(0, 2)
    .map((word) => [...word][0] ?? "")
    .join("")
    .toUpperCase();
  let sum = 0;
  for (const letter of name ?? "") sum = (sum * 31 + letter.codePointAt(0)) % 997;
  return html`<span class=${`avatar tint-${sum % 6} ${size}`} aria-hidden="true">
    ${url ? html`<img src=${url} alt="" loading="lazy" />` : letters}
  </span>`;
}

/** Whether somebody takes calls, as a dot and in words. */
export function Presence({ presence }) {
  return html`<span class=${`presence ${presence}`}>
    <span class="dot" aria-hidden="true"></span>${PRESENCE[presence] ?? presence}
  </span>`;
}

export function Stars({ rating, count = null }) {
  if (count === 0) return html`<span class="stars soft small">New here</span>`;
  const said = `${rating.toFixed(1)} of 5 stars${count === null ? "" : `, ${count} ratings`}`;
  return html`<span class="stars">
    <span class="hushed">${said}</span>
    <span aria-hidden="true"><${Icon} name="star" size=${16} /></span>
    <span aria-hidden="true" class="number">
      ${rating.toFixed(1)}${count === null ? "" : html` <span class="soft">(${count})</span>`}
    </span>
  </span>`;
}

/** What is shown where a list is empty: what this place is for, and what to do. */
export function Empty({ icon, title, text, children }) {
  return html`<div class="empty">
    <span class="empty-icon"><${Icon} name=${icon} size=${30} /></span>
    <h2>${title}</h2>
    <p class="soft">${text}</p>
    ${children}
  </div>`;
}

/** Grey lines in the place of what is being loaded. */
export function Skeleton({ rows = 3, kind = "row" }) {
  return html`<div class=${`skeletons ${kind}s`} aria-busy="true">
    <span class="hushed" role="status">Loading</span>
    ${Array.from({ length: rows }, () => html`<div class=${`skeleton ${kind}`}></div>`)}
  </div>`;
}

/** What went wrong, and a way to try again. */
export function Failure({ error, again }) {
  const { site } = useApp();
  return html`<div class="note bad failure" role="alert">
    <p>${sayError(error, site)}</p>
    ${again && html`<button class="button small" type="button" onClick=${again}>Try again</button>`}
  </div>`;
}

/** A refusal inside of a form; nothing without an error. */
export function Wrong({ error }) {
  const { site } = useApp();
  return error && html`<p class="note bad" role="alert">${sayError(error, site)}</p>`;
}

/**
 * A labelled input, or what `children(id)` draws. `wrong`: this field was refused.
 *
 * @param {{label: string, hint?: string, wrong?: boolean, id: string}} props  the rest goes to the
 *   input itself
 */
export function Field({ label, hint, wrong = false, id, children, ...rest }) {
  // The same form may be on the page twice: in a call, and on the screen behind it.
  const own = useMemo(() => `${id}-${(fields += 1)}`, []);
  const said = hint ? `${own}-hint` : undefined;
  return html`<div class="field">
    <label for=${own}>${label}</label>
    ${children?.(own) ??
    html`<input
      class="input"
      id=${own}
      aria-describedby=${said}
      aria-invalid=${wrong ? "true" : undefined}
      ...${rest}
    />`}
    ${hint && html`<span class="soft small" id=${said}>${hint}</span>`}
  </div>`;
}

/**
 * A dialog above everything. Escape, the cross and a press beside it close it; the focus goes back
 * to where it was.
 */
export function Dialog({ title, onClose, children, kind = "" }) {
  const box = useRef(null);
  useEffect(() => {
    const dialog = box.current;
    const before = document.activeElement;
    dialog.showModal();
    return () => {
      dialog.close();
      before?.focus?.();
    };
  }, []);
  const cancel = (event) => {
    event.preventDefault();
    onClose();
  };
  return html`<dialog
    class=${`dialog ${kind}`}
    ref=${box}
    aria-labelledby="dialog-title"
    onCancel=${cancel}
    onMouseDown=${(event) => event.target === box.current && onClose()}
  >
    <div class="dialog-box">
      <header class="dialog-head">
        <h2 id="dialog-title">${title}</h2>
        <button class="button round plain small-round" type="button" aria-label="Close"
          onClick=${onClose}>
          <${Icon} name="close" />
        </button>
      </header>
      ${children}
    </div>
  </dialog>`;
}

/** The heading of a screen. It takes the focus when the screen opens. */
export function Title({ children, back = null, aside = null, level = 1 }) {
  const heading = useRef(null);
  useEffect(() => {
    if (level === 1 || back) heading.current?.focus({ preventScroll: true });
  }, []);
  return html`<header class="title">
    ${back &&
    html`<a class="button round plain small-round" href=${back} aria-label="Back">
      <${Icon} name="back" />
    </a>`}
    <${`h${level}`} tabindex="-1" ref=${heading}>${children}<//>
    ${aside && html`<div class="title-aside">${aside}</div>`}
  </header>`;
}

/** One of a few, as buttons beside each other. */
export function Choice({ label, options, value, onChange }) {
  return html`<div class="choice" role="group" aria-label=${label}>
    ${options.map(
      ([key, text]) => html`<button
        type="button"
        key=${key}
        aria-pressed=${key === value ? "true" : "false"}
        onClick=${() => onChange(key)}
      >
        ${text}
      </button>`,
    )}
  </div>`;
}

/** What is said for a moment at the edge of the screen, to eyes and screen readers. */
export function Toasts() {
  const { desk } = useApp();
  const { toasts } = useShared();
  return html`<div class="toasts" role="status" aria-live="polite">
    ${toasts.map(
      (toast) => html`<div class=${`toast ${toast.kind ?? ""}`} key=${toast.id}>
        <p>${toast.text}</p>
        <button
          class="button round plain small-round"
          type="button"
          aria-label="Dismiss"
          onClick=${() => desk.untoast(toast.id)}
        >
          <${Icon} name="close" size=${18} />
        </button>
      </div>`,
    )}
  </div>`;
}

/** The next page of a list, where there is one. */
export function More({ shown, total, onMore }) {
  if (shown >= total) return null;
  return html`<button class="button wide" type="button" onClick=${onMore}>
    Show more
  </button>`;
}
