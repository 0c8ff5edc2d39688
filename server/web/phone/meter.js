/** Time and money while one talks. */

import { html, useState } from "/assets/vendor/preact-htm/preact-htm.js";
import { duration, money } from "/assets/shared/format.js";
import { Icon } from "./icons.js";
import { Dialog } from "./parts.js";
import { useApp, useLoaded, useNow, useShared } from "./store.js";
import { TopUp } from "./topup.js";

const clock = (ms) =>
  new Intl.DateTimeFormat(undefined, { timeStyle: "medium", hourCycle: "h23" }).format(new Date(ms));

export function Meter({ call }) {
  const { site } = useApp();
  const [paying, setPaying] = useState(false);
  const running = call.state === "connected";
  const now = useNow(running ? 500 : 0);
  const { meter, tariff } = call;
  const payer = call.role === "caller";
  const sum = (minor) => money(minor ?? 0, tariff.currency, site.currencyExponent);
  const until = meter?.fundedUntil ?? null;
  const figures = [["Time", duration(now - call.connectedAt)]];
  if (payer) {
    figures.push(["Spent", sum(meter?.charged)]);
    figures.push([
      "Paid until",
      until === null ? "free" : html`${clock(until)} <small>${duration(until - now)}</small>`,
    ]);
    figures.push(["Balance", sum(meter?.balance)]);
  } else {
    figures.push(["Paid so far", sum(meter?.charged)]);
    figures.push(["You earn", html`<${Share} charged=${meter?.charged ?? 0} sum=${sum} />`]);
    figures.push(["Paid until", until === null ? "free" : clock(until)]);
  }
  return html`<section class=${`meter ${call.low ? "low" : ""}`} aria-label="Meter">
    <dl>
      ${figures.map(
        ([name, text]) => html`<div key=${name} class=${`figure-${name.split(" ")[0].toLowerCase()}`}>
          <dt>${name}</dt>
          <dd class="number">${text}</dd>
        </div>`,
      )}
    </dl>
    ${payer &&
    html`<button class=${`button small ${call.low ? "main" : ""}`} type="button"
      onClick=${() => setPaying(true)}>
      <${Icon} name="plus" size=${18} /><span>Top up</span>
    </button>`}
    ${paying &&
    html`<${Dialog} title="Top up" onClose=${() => setPaying(false)}>
      <p class="soft">The call goes on meanwhile.</p>
      <${TopUp} onDone=${() => setPaying(false)} done="Back to the call" />
    <//>`}
  </section>`;
}

/** What is the callee's of it, as far as one knows before the books are closed. */
function Share({ charged, sum }) {
  const { api } = useApp();
  const { user } = useShared();
  const provider = user?.status !== undefined;
  const { data } = useLoaded(
    () => (provider ? api.get("/otomo/me") : Promise.resolve(null)),
    [provider],
  );
  if (!data) return "–";
  return sum(Math.floor((charged * data.otomo.shareBps) / 10000));
}
