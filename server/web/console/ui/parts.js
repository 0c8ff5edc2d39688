/** The small things that all pages are made of. */

import { html, useEffect, useState } from "/assets/vendor/preact-htm/preact-htm.js";

import { useTick } from "../hooks.js";
import { link } from "../router.js";
import { explain, site } from "../store.js";
import { ago, amount, exact, mood, plain } from "../words.js";
import { Icon } from "./icons.js";
import { toast } from "./toast.js";

/** A status; its look follows from the word unless `as` says good, warn or bad. */
export function Badge({ status, as }) {
  return html`<span class="badge ${as ?? mood(status)}">${plain(status)}</span>`;
}

/** A moment relative to now, the exact one when pointed at. */
export function When({ at, none = "–" }) {
  useTick(5);
  if (!at) return html`<span class="soft">${none}</span>`;
  const moment = new Date(at);
  return html`<time datetime=${moment.toISOString()} title=${exact(moment)}>${ago(moment)}</time>`;
}

/** An amount in minor units with its currency. */
export function Amount({ minor, currency = site.currency, signed = false }) {
  if (minor == null) return html`<span class="soft">–</span>`;
  return html`<span class="amount"
    >${amount(minor, { signed })} <span class="soft">${currency}</span></span
  >`;
}

/** A button that copies `text`. */
export function Copy({ text, label = "Copy" }) {
  const [copied, setCopied] = useState(false);
  async function copy() {
    try {
      await navigator.clipboard.writeText(text);
      setCopied(true);
      setTimeout(() => setCopied(false), 1500);
    } catch {
      toast("The browser does not let this page copy. Mark the text and copy it by hand.", "bad");
    }
  }
  return html`<button type="button" class="tool" aria-label=${label} title=${label} onClick=${copy}>
    <${Icon} name=${copied ? "done" : "copy"} />
  </button>`;
}

/** The end of an id (ids begin with their time), the whole when pointed at, and a way to it. */
export function Ident({ id, to, what = "id" }) {
  if (!id) return html`<span class="soft">–</span>`;
  const said = String(id);
  const short = said.length > 12 ? `…${said.slice(-8)}` : said;
  const text = html`<span class="mono" title=${said}>${short}</span>`;
  return html`<span class="ident">
    ${to ? html`<a href=${link(to)}>${text}</a>` : text}
    <${Copy} text=${said} label=${`Copy ${what} ${short}`} />
  </span>`;
}

/** Somebody, by name where it is known. */
export function Person({ id, name }) {
  if (!id) return html`<span class="soft">–</span>`;
  if (!name) return html`<${Ident} id=${id} to=${["users", id]} what="user id" />`;
  return html`<a href=${link(["users", id])} title=${id}>${name}</a>`;
}

/** Nothing to show. */
export function Empty({ children }) {
  return html`<p class="empty soft">${children}</p>`;
}

/** What went wrong, and again. */
export function Failed({ error, reload }) {
  return html`<div class="failed" role="alert">
    <p>${explain(error)}</p>
    <button class="button small" onClick=${reload}>Try again</button>
  </div>`;
}

/**
 * What `useLoad` gave, by its state: `children` draws the data. An error beside data that is there
 * is said above it.
 */
export function Loaded({ of, children, rows = 3 }) {
  const { data, error, reload } = of;
  if (data === null && error) return html`<${Failed} error=${error} reload=${reload} />`;
  if (data === null) {
    return html`<div class="waiting" role="status">
      <span class="hushed">Loading…</span>
      ${Array.from({ length: rows }, (_, at) => html`<div class="bone" key=${at}></div>`)}
    </div>`;
  }
  // Elements of their own: what comes and goes in them must not move their neighbours.
  return html`<div class="loaded">
    <div class="loaded">${error && html`<${Failed} error=${error} reload=${reload} />`}</div>
    <div class="loaded">${children(data)}</div>
  </div>`;
}

/** The head of a page. `back` is a way up: `[path, text]`. */
export function Head({ title, back, note, children }) {
  useEffect(() => {
    document.title = `${title} · Talktime console`;
  }, [title]);
  return html`<header class="head">
    <div>
      ${
        back &&
        html`<a class="back small" href=${link(back[0])}><${Icon} name="back" />${back[1]}</a>`
      }
      <h1 tabindex="-1">${title}</h1>
      ${note && html`<p class="soft small">${note}</p>`}
    </div>
    ${children && html`<div class="head-tools">${children}</div>`}
  </header>`;
}

/** A card with a title and tools at its right. */
export function Section({ title, note, tools, flush, children }) {
  return html`<section class="card section ${flush ? "flush" : ""}">
    ${
      title &&
      html`<div class="section-head">
      <div><h2>${title}</h2>${note && html`<p class="soft small">${note}</p>`}</div>
      ${tools && html`<div class="head-tools">${tools}</div>`}
    </div>`
    }
    ${children}
  </section>`;
}

/** Facts as pairs of a word and a value; what is undefined is left out. */
export function Facts({ of }) {
  return html`<dl class="facts">
    ${of
      .filter(([, value]) => value !== undefined)
      .map(
        ([word, value]) => html`<div key=${word}><dt>${word}</dt><dd>${value ?? "–"}</dd></div>`,
      )}
  </dl>`;
}

/** One of a few; `options` are `[value, text, count?]`. */
export function Tabs({ label, value, options, onPick }) {
  return html`<div class="tabs" role="group" aria-label=${label}>
    ${options.map(
      ([word, text, count]) => html`<button
        key=${word}
        class="tab"
        aria-pressed=${String(word === value)}
        onClick=${() => onPick(word)}
      >
        ${text}${count != null && html`<span class="count">${count}</span>`}
      </button>`,
    )}
  </div>`;
}
