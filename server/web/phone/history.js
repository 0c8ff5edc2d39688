/** The calls there have been, and the receipt of one beside them. */

import { html, useState } from "/assets/vendor/preact-htm/preact-htm.js";
import { duration, money } from "/assets/shared/format.js";
import { ChatLog } from "./chatlog.js";
import { Icon } from "./icons.js";
import { Avatar, Choice, Empty, Failure, More, Skeleton, Title } from "./parts.js";
import { Rate } from "./rate.js";
import { Receipt } from "./receipt.js";
import { to } from "./router.js";
import { useApp, useLoaded, useShared } from "./store.js";

const PAGE = 20;
const KINDS = [
  ["all", "All"],
  ["caller", "Outgoing"],
  ["callee", "Incoming"],
  ["missed", "Missed"],
];
const STATUS = {
  initiated: "Ringing",
  ringing: "Ringing",
  answered: "In progress",
  completed: "Completed",
  cancelled: "Cancelled",
  failed: "Not connected",
  missed: "Missed",
};
const REASONS = {
  declined: "Declined",
  busy: "Busy",
  unavailable: "Not available",
  no_answer: "No answer",
  unreachable: "Not reachable",
  cancelled: "Cancelled",
  connect_failed: "Not connected",
};

export function History({ chosen }) {
  return html`<div class=${`split ${chosen ? "with-detail" : ""}`}>
    <div class="split-list"><${Calls} chosen=${chosen} /></div>
    ${chosen && html`<div class="split-detail"><${One} key=${chosen} id=${chosen} /></div>`}
  </div>`;
}

function Calls({ chosen }) {
  const { api } = useApp();
  const { calls } = useShared();
  const [kind, setKind] = useState("all");
  const [limit, setLimit] = useState(PAGE);
  const query = { limit };
  if (kind === "caller" || kind === "callee") query.role = kind;
  if (kind === "missed") query.status = "missed";
  const { data, error, loading, again } = useLoaded(
    () => api.get("/calls", query),
    [kind, limit, calls],
  );
  return html`
    <${Title} key=${chosen ? 2 : 1} level=${chosen ? 2 : 1}>History<//>
    <${Choice} label="Which calls" options=${KINDS} value=${kind} onChange=${setKind} />
    ${error && html`<${Failure} error=${error} again=${again} />`}
    ${!data && loading && html`<${Skeleton} rows=${6} />`}
    ${data?.items.length === 0 &&
    html`<${Empty} icon="history" title="No calls here"
      text=${kind === "all" ? "Find somebody to talk to; the call will be here." : "Look at the other kinds."}>
      ${kind === "all" && html`<a class="button main" href=${to("people")}>Find somebody</a>`}
    <//>`}
    ${data?.items.length > 0 &&
    html`<ul class="rows card flush">
        ${data.items.map((each) => html`<${Row} key=${each.id} call=${each} chosen=${chosen} />`)}
      </ul>
      <${More} shown=${data.items.length} total=${data.total}
        onMore=${() => setLimit(Math.min(limit + PAGE, 100))} />`}
  `;
}

function Row({ call, chosen }) {
  const { site } = useApp();
  const outgoing = call.role === "caller";
  const talked = call.startedAt !== null;
  const missed = !outgoing && !talked && ["no_answer", "unreachable", "cancelled", "busy"].includes(call.reason);
  const word = missed ? "Missed" : talked ? STATUS[call.status] : (REASONS[call.reason] ?? STATUS[call.status]);
  const icon = missed ? "missed" : outgoing ? "outgoing" : "incoming";
  return html`<li>
    <a class="row" href=${to("history", call.id)} aria-current=${call.id === chosen ? "true" : undefined}>
      <${Avatar} name=${call.withUser.name} url=${call.withUser.avatar} />
      <span class="row-what">
        <strong>${call.withUser.name}</strong>
        <span class=${`small row-sub ${missed ? "bad-text" : "soft"}`}>
          <${Icon} name=${icon} size=${16} />
          <span>${outgoing ? "Outgoing" : "Incoming"} ${call.kind}${talked ? "" : ` · ${word}`}</span>
        </span>
      </span>
      <span class="row-figures">
        <span class="number">
          ${outgoing && talked ? money(call.cost, call.currency, site.currencyExponent) : talked ? "" : "–"}
        </span>
        <span class="soft small number">
          ${talked && `${duration(call.durationSeconds * 1000)} · `}${shortly(call.createdAt)}
        </span>
      </span>
    </a>
  </li>`;
}

/** The time of today, the day of what is older. */
function shortly(time) {
  const then = new Date(time);
  const today = then.toDateString() === new Date().toDateString();
  const style = today ? { timeStyle: "short" } : { month: "short", day: "numeric" };
  return new Intl.DateTimeFormat(undefined, style).format(then);
}

function One({ id }) {
  const { api } = useApp();
  const { calls } = useShared();
  const { data, error, again } = useLoaded(() => api.get(`/calls/${id}/receipt`), [id, calls]);
  const receipt = data?.receipt;
  const canRate = receipt?.role === "caller" && receipt.startedAt && receipt.endedAt;
  const other = receipt?.role === "caller" ? receipt.callee : receipt?.caller;
  return html`
    <${Title} back=${to("history")}>Receipt<//>
    ${error && html`<${Failure} error=${error} again=${again} />`}
    ${!data && !error && html`<${Skeleton} rows=${1} kind="block" />`}
    ${receipt && html`<${Receipt} receipt=${receipt} />`}
    ${receipt && html`<${ChatLog} call=${id} name=${other.name} />`}
    ${receipt &&
    html`<a class="button wide"
      href=${receipt.role === "caller" ? to("people", receipt.callee.id) : to("history")}>
      ${receipt.role === "caller" ? `See ${receipt.callee.name}` : "Back to all calls"}
    </a>`}
    ${canRate && html`<section class="card"><${Rate} call=${id} name=${receipt.callee.name} /></section>`}
  `;
}
