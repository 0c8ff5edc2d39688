/** What operators did, to whom and why. Lines are never changed. */

import { html } from "/assets/vendor/preact-htm/preact-htm.js";

import { useLoad } from "../hooks.js";
import { setQuery } from "../router.js";
import { api } from "../store.js";
import { Head, Ident, Loaded, Person, Section, When } from "../ui/parts.js";
import { Pager, Search, Table, pageOf } from "../ui/table.js";
import { plain } from "../words.js";

const PAGES = { user: "users", users: "users", call: "calls" };
const ACTION = /^[a-z][a-z_.]{0,39}$/;
const ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

function filter(text) {
  if (ID.test(text)) return { targetId: text.toLowerCase() };
  return ACTION.test(text) ? { action: text } : {};
}

/** Everything, or what was done to one account. */
export function AuditLines({ query, targetId, title }) {
  const text = (query.q ?? "").trim();
  const wanted = { ...filter(text), ...(query.actor && { actor: query.actor }) };
  if (targetId) wanted.targetId = targetId;
  const found = useLoad(
    () => api.get("/operators/audit", { ...pageOf(query), ...wanted }),
    [JSON.stringify(wanted), query.page],
    { everyMs: 10_000 },
  );
  const columns = [
    {
      key: "at",
      label: "When",
      by: (row) => row.at,
      cell: (row) => html`<${When} at=${row.at} />`,
    },
    {
      key: "who",
      label: "Operator",
      by: (row) => row.actorName,
      cell: (row) => html`<${Person} id=${row.actor} name=${row.actorName} />`,
    },
    {
      key: "action",
      label: "Action",
      by: (row) => row.action,
      cell: (row) => html`<code>${row.action}</code>`,
    },
    {
      key: "target",
      label: "What",
      by: (row) => row.targetType,
      cell: (row) => html`<span class="soft">${plain(row.targetType)}</span> <${Ident}
          id=${row.targetId}
          to=${PAGES[row.targetType] && [PAGES[row.targetType], row.targetId]}
          what="target id"
        />`,
    },
    {
      key: "reason",
      label: "Reason",
      look: "wide",
      cell: (row) => row.reason || html`<span class="soft">–</span>`,
    },
    {
      key: "details",
      label: "Details",
      look: "line",
      cell: (row) =>
        html`<span class="mono" title=${details(row.details)}>${details(row.details)}</span>`,
    },
  ];
  const tools = html`${
    query.actor &&
    html`<button class="button small" onClick=${() => setQuery({ actor: null, page: null })}>
      All operators
    </button>`
  }
    ${
      !targetId &&
      html`<${Search}
      label="Action or id"
      value=${query.q ?? ""}
      hint="user.suspend, or an id"
    />`
    }`;
  const odd = text && !filter(text).action && !filter(text).targetId;
  return html`<${Section} title=${title} tools=${tools} flush>
    ${
      odd &&
      html`<p class="note warn">That is no action and no whole id, so everything is shown.</p>`
    }
    <${Loaded} of=${found}>
      ${(list) => html`<${Table}
          label="Audit log"
          columns=${columns}
          rows=${list.items}
          empty=${text ? "Nothing was done like that." : "Nothing was done yet."}
        />
        <${Pager} of=${list} />`}
    <//>
  <//>`;
}

const said = (value) =>
  value && typeof value === "object" ? JSON.stringify(value) : String(value);
const details = (of) =>
  Object.entries(of ?? {})
    .map(([word, value]) => `${word}: ${said(value)}`)
    .join(", ");

export function Audit({ query }) {
  return html`<div class="page">
    <${Head} title="Audit log" note="Kept for ever, changed by nobody" />
    <${AuditLines} query=${query} title="Lines" />
  </div>`;
}
