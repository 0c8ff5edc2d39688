/** What there is to spend, how to get more, and what became of it. */

import { html, useState } from "/assets/vendor/preact-htm/preact-htm.js";
import { money, when } from "/assets/shared/format.js";
import { Icon } from "./icons.js";
import { Choice, Empty, Failure, More, Skeleton, Title } from "./parts.js";
import { to } from "./router.js";
import { useApp, useLoaded, useShared } from "./store.js";
import { TopUp } from "./topup.js";
import { sayEntry } from "./words.js";

const PAGE = 50;
const WAYS = [
  ["all", "All"],
  ["credit", "Money in"],
  ["debit", "Money out"],
];

export function Wallet() {
  const { desk } = useApp();
  const [turn, setTurn] = useState(0);
  const done = () => {
    setTurn(turn + 1);
    desk.refreshBalance().catch(() => {});
  };
  return html`
    <${Title}>Wallet<//>
    <div class="columns">
      <div class="column">
        <${Balance} />
        <section class="card">
          <h2>Top up</h2>
          <${TopUp} key=${turn} onDone=${done} />
        </section>
      </div>
      <div class="column"><${Entries} /></div>
    </div>
  `;
}

function Balance() {
  const { site } = useApp();
  const { balance } = useShared();
  if (!balance) return html`<${Skeleton} rows=${1} kind="block" />`;
  const sum = (minor) => money(minor, balance.currency, site.currencyExponent);
  return html`<section class="card balance" aria-label="Balance">
    <p class="soft">To spend</p>
    <p class="sum number">${sum(balance.available)}</p>
    <dl class="balance-parts">
      ${balance.held > 0 &&
      html`<div><dt>Set aside for a call</dt><dd class="number">${sum(balance.held)}</dd></div>`}
      ${balance.bonus > 0 &&
      html`<div>
        <dt>
          Of it bonus${balance.bonusExpiresAt && html`<span class="small"> until ${when(balance.bonusExpiresAt)}</span>`}
        </dt>
        <dd class="number">${sum(balance.bonus)}</dd>
      </div>`}
    </dl>
  </section>`;
}

function Entries() {
  const { api, site } = useApp();
  const { money: moved } = useShared();
  const [way, setWay] = useState("all");
  const [limit, setLimit] = useState(PAGE);
  const query = { limit };
  if (way !== "all") query.direction = way;
  const { data, error, loading, again } = useLoaded(
    () => api.get("/wallet/entries", query),
    [way, limit, moved],
  );
  return html`<section class="card entries">
    <div class="row-between wrap">
      <h2>Movements</h2>
      <${Choice} label="Which movements" options=${WAYS} value=${way} onChange=${setWay} />
    </div>
    ${error && html`<${Failure} error=${error} again=${again} />`}
    ${!data && loading && html`<${Skeleton} rows=${5} />`}
    ${data?.items.length === 0 &&
    html`<${Empty} icon="wallet" title="Nothing moved yet"
      text="Top up, and every movement of your money will be listed here." />`}
    <ul class="rows">
      ${data && together(data).map((each) => html`<${Entry} key=${each.id} entry=${each} site=${site} />`)}
    </ul>
    ${data &&
    html`<${More} shown=${data.items.length} total=${data.total}
      onMore=${() => setLimit(Math.min(limit + PAGE, 100))} />`}
  </section>`;
}

/** What one call cost, slice by slice, is one movement to people; the last waits to be whole. */
function together({ items, total }) {
  const found = [];
  for (const entry of items) {
    const last = found.at(-1);
    const same = last?.kind === entry.kind && last.ref === entry.ref && entry.ref !== null;
    if (same) found[found.length - 1] = { ...last, amount: last.amount + entry.amount };
    else found.push(entry);
  }
  const { kind } = found.at(-1) ?? {};
  const isCut = items.length < total && kind === "call_charge" && found.length > 1;
  return isCut ? found.slice(0, -1) : found;
}

function Entry({ entry, site }) {
  const isCall = entry.kind === "call_charge" && entry.ref;
  const credit = entry.amount > 0;
  const inside = html`
    <span class=${`entry-icon ${credit ? "in" : ""}`}>
      <${Icon} name=${credit ? "plus" : isCall ? "phone" : "outgoing"} size=${18} />
    </span>
    <span class="row-what">
      <strong>${sayEntry(entry.kind)}</strong>
      <span class="soft small">${when(entry.at)}</span>
    </span>
    <strong class=${`number ${credit ? "good-text" : ""}`}>
      ${credit ? "+" : "−"}${money(Math.abs(entry.amount), entry.currency, site.currencyExponent)}
    </strong>
  `;
  return html`<li>
    ${isCall
      ? html`<a class="row" href=${to("history", entry.ref)}>${inside}</a>`
      : html`<div class="row">${inside}</div>`}
  </li>`;
}
