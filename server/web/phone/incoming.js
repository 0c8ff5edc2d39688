/** Somebody calls. */

import { html, useEffect, useRef, useState } from "/assets/vendor/preact-htm/preact-htm.js";
import { money } from "/assets/shared/format.js";
import { Icon } from "./icons.js";
import { Avatar, Wrong } from "./parts.js";
import { useRing } from "./ring.js";
import { useApp } from "./store.js";

export function Incoming({ call }) {
  const { client, site } = useApp();
  const [error, setError] = useState(null);
  const [busy, setBusy] = useState(false);
  const heading = useRef(null);
  const video = call.kind === "video";
  useRing("incoming", `${call.peer.name} is calling`);
  useEffect(() => heading.current?.focus(), []);
  const act = async (work) => {
    setBusy(true);
    setError(null);
    try {
      await work();
    } catch (caught) {
      setError(caught);
    }
    setBusy(false);
  };
  const price = call.tariff.pricePerMinute;
  return html`<main class="incoming">
    <div class="incoming-who">
      <div class="stage-avatar waiting">
        <${Avatar} name=${call.peer.name} url=${call.peer.avatarUrl} size="giant" />
      </div>
      <h1 tabindex="-1" ref=${heading}>${call.peer.name}</h1>
      <p role="alert">${video ? "Video call" : "Audio call"} for you</p>
      ${call.note && html`<p class="quote">“${call.note}”</p>`}
      <p class="soft small">
        ${price > 0
          ? `Pays ${money(price, call.tariff.currency, site.currencyExponent)} a minute`
          : "Free of charge"}
      </p>
    </div>
    <${Wrong} error=${error} />
    <div class="incoming-buttons">
      <${Big} kind="decline" icon="hangup" label="Decline" disabled=${busy}
        onClick=${() => act(() => client.reject("declined"))} />
      ${video &&
      html`<${Big} kind="accept" icon="video" label="Accept with video" disabled=${busy}
        onClick=${() => act(() => client.accept({ video: true }))} />`}
      <${Big} kind=${video ? "second" : "accept"} icon="phone" label=${video ? "Audio only" : "Accept"}
        disabled=${busy} onClick=${() => act(() => client.accept({ video: false }))} />
    </div>
    <button class="button plain" type="button" disabled=${busy}
      onClick=${() => act(() => client.reject("busy"))}>
      Say that I am busy
    </button>
  </main>`;
}

function Big({ kind, icon, label, ...rest }) {
  return html`<button class=${`big ${kind}`} type="button" ...${rest}>
    <span><${Icon} name=${icon} size=${30} /></span>
    ${label}
  </button>`;
}
