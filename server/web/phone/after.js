/** A call is over: why, what it came to, and what one thinks of it. */

import { html, useEffect, useRef } from "/assets/vendor/preact-htm/preact-htm.js";
import { ChatLog } from "./chatlog.js";
import { useDial } from "./dial.js";
import { Icon } from "./icons.js";
import { Avatar, Failure, Skeleton } from "./parts.js";
import { Rate } from "./rate.js";
import { Receipt } from "./receipt.js";
import { useApp, useLoaded, useShared } from "./store.js";
import { sayEnd, sayError } from "./words.js";

export function After({ call }) {
  const { client } = useApp();
  const heading = useRef(null);
  const { title, text } = sayEnd(call);
  const talked = (call.final?.talkSeconds ?? 0) > 0 || call.connectedAt !== null;
  const caller = call.role === "caller";
  useEffect(() => heading.current?.focus(), []);
  return html`<main class="after">
    <header class="after-head">
      <${Avatar} name=${call.peer.name} url=${call.peer.avatarUrl} size="huge" />
      <h1 tabindex="-1" ref=${heading}>${title}</h1>
      <p class="soft" role="status">${text}</p>
      ${call.note && call.by !== call.role && html`<p class="quote">“${call.note}”</p>`}
      ${call.error && html`<p class="note bad">${sayError(call.error)}</p>`}
    </header>
    <div class=${talked && caller ? "columns" : "after-one"}>
      <div class="column">
        ${talked && html`<${Bill} call=${call} />`}
        ${(call.messages.length > 0 || call.chatError) &&
        html`<${ChatLog} call=${call.id} name=${call.peer.name} />`}
      </div>
      ${talked &&
      caller &&
      html`<div class="column">
        <section class="card"><${Rate} call=${call.id} name=${call.peer.name} /></section>
      </div>`}
    </div>
    <div class="buttons after-buttons">
      ${caller && html`<${Again} call=${call} />`}
      <button class="button main" type="button" onClick=${() => client.dismiss()}>Done</button>
    </div>
  </main>`;
}

function Bill({ call }) {
  const { api } = useApp();
  const { calls, money } = useShared();
  const { data, error, again } = useLoaded(
    () => api.get(`/calls/${call.id}/receipt`),
    [call.id, calls, money],
  );
  if (error) return html`<${Failure} error=${error} again=${again} />`;
  if (!data) return html`<${Skeleton} rows=${1} kind="block" />`;
  return html`<${Receipt} receipt=${data.receipt} />`;
}

function Again({ call }) {
  const { dial, busy, dialogs } = useDial();
  const person = { id: call.peer.userId, name: call.peer.name };
  return html`<button class="button" type="button" disabled=${busy}
      onClick=${() => dial(person, call.kind, call.tariff.pricePerMinute)}>
      <${Icon} name="phone" size=${20} /> Call again
    </button>
    ${dialogs}`;
}
