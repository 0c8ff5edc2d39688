/** Who can be called: the directory with its filters, live, and one of them beside it. */

import { html, useEffect, useState } from "/assets/vendor/preact-htm/preact-htm.js";
import { money } from "/assets/shared/format.js";
import { Icon } from "./icons.js";
import { Avatar, Empty, Failure, More, Presence, Skeleton, Stars, Title } from "./parts.js";
import { Person } from "./person.js";
import { to } from "./router.js";
import { useApp, useLoaded, useShared } from "./store.js";

const PAGE = 24;
const SORTS = [
  ["recommended", "Recommended"],
  ["rating", "Best rated"],
  ["price_low", "Lowest price"],
  ["price_high", "Highest price"],
  ["newest", "Newest"],
];
const PAUSE_MS = 250;

export function People({ chosen }) {
  return html`<div class=${`split ${chosen ? "with-detail" : ""}`}>
    <div class="split-list"><${Directory} chosen=${chosen} /></div>
    ${chosen && html`<div class="split-detail"><${Person} key=${chosen} id=${chosen} /></div>`}
  </div>`;
}

/** What is typed, once the typing has paused. */
function useSettled(value) {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [value]);
  return settled;
}

function Directory({ chosen }) {
  const [wanted, setWanted] = useState({ q: "", sort: "recommended", online: false, max: "" });
  const [limit, setLimit] = useState(PAGE);
  const q = useSettled(wanted.q.trim());
  const max = useSettled(wanted.max);
  const { exponent, loaded } = useDirectory({ ...wanted, q, max }, limit);
  const set = (change) => setWanted((before) => ({ ...before, ...change }));
  const { data, error, loading, again } = loaded;
  return html`
    <${Title} key=${chosen ? 2 : 1} level=${chosen ? 2 : 1}>People<//>
    <search>
      <form class="filters" aria-label="Find people" onSubmit=${(event) => event.preventDefault()}>
        <div class="search-field">
          <${Icon} name="search" size=${20} />
          <input class="input" type="search" aria-label="Search by name" placeholder="Search by name"
            maxlength="50" value=${wanted.q} onInput=${(event) => set({ q: event.target.value })} />
        </div>
        <label class="inline">
          <span class="hushed">Sort</span>
          <select class="input" value=${wanted.sort}
            onChange=${(event) => set({ sort: event.target.value })}>
            ${SORTS.map(([key, name]) => html`<option value=${key}>${name}</option>`)}
          </select>
        </label>
        <label class="inline price-field">
          <span class="hushed">Highest price a minute</span>
          <input class="input" type="number" min="0" step=${exponent ? 10 ** -exponent : 1}
            placeholder="Max price" value=${wanted.max}
            onInput=${(event) => set({ max: event.target.value })} />
        </label>
        <label class="switch">
          <input type="checkbox" role="switch" checked=${wanted.online}
            onChange=${(event) => set({ online: event.target.checked })} />
          <span>Online only</span>
        </label>
      </form>
    </search>
    ${error && html`<${Failure} error=${error} again=${again} />`}
    ${!data && loading && html`<${Skeleton} rows=${6} kind="person-card" />`}
    ${data &&
    data.items.length === 0 &&
    html`<${Empty} icon="people" title="Nobody found"
      text="Loosen the filters, or look again a little later." />`}
    ${data &&
    html`<p class="hushed" role="status">${data.total} people</p>
      <ul class="people-grid" aria-busy=${loading ? "true" : "false"}>
        ${data.items.map(
          (each) => html`<${Card} key=${each.otomoId} person=${each} chosen=${chosen} />`,
        )}
      </ul>
      <${More} shown=${data.items.length} total=${data.total}
        onMore=${() => setLimit(limit + PAGE)} />`}
  `;
}

function useDirectory({ q, sort, online, max }, limit) {
  const { api, site } = useApp();
  const exponent = site.currencyExponent;
  const query = { sort, limit: Math.min(limit, 50) };
  if (q) query.q = q;
  if (online) query.isOnline = true;
  const maxPrice = Math.round(Number(max) * 10 ** exponent);
  if (max !== "" && maxPrice >= 0) query.maxPrice = maxPrice;
  const loaded = useLoaded(() => api.get("/otomo/list", query), [q, sort, online, max, limit]);
  return { exponent, loaded };
}

function Card({ person, chosen }) {
  const { site } = useApp();
  const { presence } = useShared();
  const live = presence.get(person.otomoId);
  const shown = live?.presence ?? person.presence;
  const price = (minor) => money(minor, person.currency, site.currencyExponent);
  return html`<li>
    <a
      class="person-card"
      href=${to("people", person.otomoId)}
      aria-current=${person.otomoId === chosen ? "true" : undefined}
    >
      <${Avatar} name=${person.displayName} url=${person.profileImageUrl} size="large" />
      <span class="person-what">
        <strong class="person-name">${person.displayName}</strong>
        <${Presence} presence=${shown} />
        ${live?.statusMessage && html`<span class="soft small quote">${live.statusMessage}</span>`}
        ${person.genres.length > 0 &&
        html`<span class="soft small">${person.genres.slice(0, 3).join(" · ")}</span>`}
      </span>
      <span class="person-figures">
        <${Stars} rating=${person.rating} count=${person.reviewCount} />
        <span class="price number">
          ${person.pricePerMinute === 0 ? "Free" : price(person.priceAudio)}
          ${person.pricePerMinute !== 0 && html`<span class="soft small"> / min</span>`}
        </span>
      </span>
    </a>
  </li>`;
}
