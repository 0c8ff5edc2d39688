/** What one is told, live, and what one wants to be told of. */

import { html, useState } from "/assets/vendor/preact-htm/preact-htm.js";
import { when } from "/assets/shared/format.js";
import { Icon } from "./icons.js";
import { Empty, Failure, More, Skeleton, Title } from "./parts.js";
import { to } from "./router.js";
import { useApp, useLoaded, useShared } from "./store.js";
import { sayError } from "./words.js";

const PAGE = 20;
const ICONS = {
  MISSED_CALL: "missed",
  CALL_SUMMARY: "phone",
  BALANCE_EXHAUSTED: "wallet",
  ANNOUNCEMENT: "info",
  PAYOUT_APPROVED: "wallet",
  PAYOUT_PAID: "wallet",
  PAYOUT_REJECTED: "wallet",
};
const TOGGLES = [
  ["incomingCall", "Missed calls"],
  ["callSummary", "A summary after each call"],
  ["walletAlert", "When money runs out"],
  ["marketing", "News of the house"],
];

export function Inbox() {
  const { api, desk, site } = useApp();
  const { inbox, unread } = useShared();
  const [limit, setLimit] = useState(PAGE);
  const { data, error, loading, again } = useLoaded(
    () => api.get("/notifications", { limit }),
    [limit, inbox],
  );
  const change = async (work) => {
    try {
      await work();
      await desk.refreshUnread();
      again();
    } catch (caught) {
      desk.toast(sayError(caught, site), "bad");
    }
  };
  const newest = data?.items[0]?.id;
  const readAll = () => change(() => api.post("/notifications/read-all", { upTo: newest }));
  const aside = unread > 0 && newest && html`<button class="button small" type="button" onClick=${readAll}>
    <${Icon} name="check" size=${18} /> Mark all read
  </button>`;
  return html`
    <${Title} aside=${aside}>Inbox<//>
    <div class="columns">
      <div class="column wide-column">
        ${error && html`<${Failure} error=${error} again=${again} />`}
        ${!data && loading && html`<${Skeleton} rows=${5} />`}
        ${data?.items.length === 0 &&
        html`<${Empty} icon="bell" title="All quiet"
          text="Missed calls and summaries of your calls will be here." />`}
        ${data?.items.length > 0 &&
        html`<ul class="rows card flush">
          ${data.items.map((each) => html`<${Note} key=${each.id} note=${each} change=${change} />`)}
        </ul>`}
        ${data &&
        html`<${More} shown=${data.items.length} total=${data.total}
          onMore=${() => setLimit(Math.min(limit + PAGE, 100))} />`}
      </div>
      <div class="column"><${Wanted} /></div>
    </div>
  `;
}

function Note({ note, change }) {
  const { api } = useApp();
  const call = note.relatedEntityType === "call" ? note.relatedEntityId : null;
  const read = () => change(() => api.patch(`/notifications/${note.id}/read`));
  const remove = () => change(() => api.delete(`/notifications/${note.id}`));
  return html`<li class=${`row notice ${note.isRead ? "" : "unread"}`}>
    <span class="entry-icon"><${Icon} name=${ICONS[note.type] ?? "bell"} size=${18} /></span>
    <span class="row-what">
      <span>
        ${!note.isRead && html`<span class="hushed">Unread: </span>`}${note.message}
      </span>
      <span class="soft small notice-foot">
        <span>${when(note.createdAt)}</span>
        ${call && html`<a href=${to("history", call)}>See the call</a>`}
        ${note.relatedEntityType === "payout" && html`<a href=${to("work")}>See your payouts</a>`}
      </span>
    </span>
    <span class="row-buttons">
      ${!note.isRead &&
      html`<button class="button round plain small-round" type="button" aria-label="Mark as read"
        onClick=${read}><${Icon} name="check" size=${20} /></button>`}
      <button class="button round plain small-round" type="button" aria-label="Delete"
        onClick=${remove}><${Icon} name="close" size=${20} /></button>
    </span>
  </li>`;
}

function Wanted() {
  const { api, desk, site } = useApp();
  const { data, error, again } = useLoaded(() => api.get("/settings"), []);
  // What was pressed shows at once, and goes back if the server does not take it.
  const [pressed, setPressed] = useState({});
  const wanted = data && { ...data.settings.notifications, ...pressed };
  const flip = async (key, value) => {
    setPressed((before) => ({ ...before, [key]: value }));
    try {
      await api.put("/settings/notifications", { [key]: value });
    } catch (caught) {
      setPressed((before) => ({ ...before, [key]: !value }));
      desk.toast(sayError(caught, site), "bad");
    }
  };
  return html`<section class="card">
    <h2>Tell me about</h2>
    ${error && html`<${Failure} error=${error} again=${again} />`}
    ${!wanted && !error && html`<${Skeleton} rows=${3} />`}
    <div class="switches">
      ${wanted &&
      TOGGLES.map(
        ([key, name]) => html`<label class="switch" key=${key}>
          <span>${name}</span>
          <input type="checkbox" role="switch" checked=${wanted[key]}
            onChange=${(event) => flip(key, event.target.checked)} />
        </label>`,
      )}
    </div>
    <p class="soft small">A phone rings all the same, whatever is switched off here.</p>
  </section>`;
}
