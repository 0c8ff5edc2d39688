/** One person who takes calls: who they are, what others say, and the buttons to call. */

import { html, useState } from "/assets/vendor/preact-htm/preact-htm.js";
import { money, when } from "/assets/shared/format.js";
import { useDial } from "./dial.js";
import { Icon } from "./icons.js";
import { Avatar, Failure, More, Presence, Skeleton, Stars, Title } from "./parts.js";
import { to } from "./router.js";
import { useApp, useLoaded, useShared } from "./store.js";
import { sayError } from "./words.js";

const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const PAGE = 5;

export function Person({ id }) {
  const { api } = useApp();
  const { data, error, again } = useLoaded(() => api.get(`/otomo/${id}`), [id]);
  if (error) {
    return html`<${Title} back=${to("people")}>Not here<//><${Failure} error=${error} again=${again} />`;
  }
  if (!data) return html`<${Skeleton} rows=${3} kind="block" />`;
  return html`<${Shown} person=${data.otomo} />`;
}

function Shown({ person }) {
  const { site } = useApp();
  const { presence, user } = useShared();
  const live = presence.get(person.otomoId);
  const shown = live?.presence ?? person.presence;
  const status = live ? live.statusMessage : person.statusMessage;
  const own = user?.id === person.otomoId;
  const price = (minor) => (minor === 0 ? "free" : money(minor, person.currency, site.currencyExponent));
  return html`<article class="person">
    <${Title} back=${to("people")} aside=${!own && html`<${Block} person=${person} />`}>
      ${person.displayName}
    <//>
    <section class="card person-head">
      <${Avatar} name=${person.displayName} url=${person.profileImageUrl} size="huge" />
      <div class="person-lines">
        <${Presence} presence=${shown} />
        ${status && html`<p class="quote">“${status}”</p>`}
        <p><${Stars} rating=${person.rating} count=${person.reviewCount} /></p>
      </div>
      <dl class="prices">
        <div><dt>Audio</dt><dd class="number">${price(person.priceAudio)}<span> / min</span></dd></div>
        <div><dt>Video</dt><dd class="number">${price(person.priceVideo)}<span> / min</span></dd></div>
      </dl>
      ${own
        ? html`<p class="note">This is you, as others see you.</p>`
        : html`<${Dial} person=${person} presence=${shown} />`}
      <p class="soft small">
        ${person.tariff === "second"
          ? "You pay by the started second."
          : "You pay by the started minute."}
      </p>
    </section>
    ${(person.introduction || person.tags.length > 0 || person.genres.length > 0) &&
    html`<section class="card">
      <h2>About</h2>
      ${person.introduction && html`<p class="prose">${person.introduction}</p>`}
      <${Tags} words=${[...person.genres, ...person.tags]} />
    </section>`}
    ${person.schedule.length > 0 && html`<${Week} rows=${person.schedule} />`}
    <${Reviews} person=${person} />
  </article>`;
}

function Tags({ words }) {
  if (words.length === 0) return null;
  return html`<ul class="tags" aria-label="Topics">
    ${[...new Set(words)].map((word) => html`<li class="badge" key=${word}>${word}</li>`)}
  </ul>`;
}

function Dial({ person, presence }) {
  const { dial, busy, dialogs } = useDial();
  const reachable = presence === "online";
  const target = { id: person.otomoId, name: person.displayName };
  return html`<div class="dial">
    <button class="button main" type="button" disabled=${busy}
      onClick=${() => dial(target, "audio", person.priceAudio)}>
      <${Icon} name="phone" size=${20} /> Call
    </button>
    <button class="button" type="button" disabled=${busy}
      onClick=${() => dial(target, "video", person.priceVideo)}>
      <${Icon} name="video" size=${20} /> Video call
    </button>
    ${!reachable &&
    html`<p class="soft small dial-hint">
      ${presence === "busy"
        ? "In another call. You may try, or come back in some minutes."
        : "Not taking calls right now. You can still look at reviews."}
    </p>`}
    ${dialogs}
  </div>`;
}

/** Blocking ends every way to call, in both directions. */
function Block({ person }) {
  const { api, desk, site } = useApp();
  const [blocked, setBlocked] = useState(null);
  const flip = async () => {
    try {
      const path = `/user/block/${person.otomoId}`;
      const answer = blocked ? await api.delete(path) : await api.post(path);
      setBlocked(answer.blocked);
      desk.toast(
        answer.blocked
          ? `${person.displayName} is blocked. You find everybody you blocked under Me.`
          : `${person.displayName} is not blocked any more.`,
      );
    } catch (error) {
      desk.toast(sayError(error, site), "bad");
    }
  };
  return html`<button class="button small plain" type="button" onClick=${flip}>
    <${Icon} name="block" size=${18} /> ${blocked ? "Unblock" : "Block"}
  </button>`;
}

function Week({ rows }) {
  return html`<section class="card">
    <h2>Usually there</h2>
    <ul class="week">
      ${rows.map(
        (row) => html`<li>
          <span>${DAYS[row.dayOfWeek]}</span>
          <span class="number soft">${row.start}–${row.end}</span>
        </li>`,
      )}
    </ul>
  </section>`;
}

function Reviews({ person }) {
  const { api } = useApp();
  const [limit, setLimit] = useState(PAGE);
  const [sort, setSort] = useState("newest");
  const { data, error, again } = useLoaded(
    () => api.get(`/otomo/${person.otomoId}/reviews`, { limit, sort }),
    [person.otomoId, limit, sort],
  );
  return html`<section class="card reviews">
    <div class="row-between">
      <h2>Reviews</h2>
      ${data?.total > 1 &&
      html`<label class="inline">
        <span class="hushed">Order of reviews</span>
        <select class="input slim" value=${sort} onChange=${(event) => setSort(event.target.value)}>
          <option value="newest">Newest</option>
          <option value="highest">Highest</option>
          <option value="lowest">Lowest</option>
        </select>
      </label>`}
    </div>
    ${error && html`<${Failure} error=${error} again=${again} />`}
    ${!data && !error && html`<${Skeleton} rows=${2} />`}
    ${data?.total === 0 &&
    html`<p class="soft">No reviews yet. After a call you can write the first one.</p>`}
    <ul class="review-list">
      ${data?.items.map(
        (each) => html`<li key=${each.reviewId}>
          <div class="row-between">
            <strong>${each.userDisplayName}</strong>
            <${Stars} rating=${each.score} />
          </div>
          ${each.comment && html`<p>${each.comment}</p>`}
          <p class="soft small">${when(each.createdAt)}</p>
        </li>`,
      )}
    </ul>
    ${data &&
    html`<${More} shown=${data.items.length} total=${data.total}
      onMore=${() => setLimit(Math.min(limit + 15, 50))} />`}
  </section>`;
}
