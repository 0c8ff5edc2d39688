/** What endpoints were told and are to be told, each with its attempts. */

import { html } from "/assets/vendor/preact-htm/preact-htm.js";

import { useLoad } from "../hooks.js";
import { setQuery } from "../router.js";
import { api } from "../store.js";
import { ask } from "../ui/ask.js";
import { Badge, Facts, Ident, Loaded, Section, When } from "../ui/parts.js";
import { Pager, Pick, Table, pageOf } from "../ui/table.js";
import { span } from "../words.js";

const STATUSES = [
  ["", "All"],
  ["waiting", "Waiting"],
  ["delivered", "Delivered"],
  ["failed", "Failed"],
];

const resend = (id) =>
  ask({
    title: "Send it again?",
    text: "The same event with the same id goes out now, with all its tries.",
    confirm: "Resend",
    done: "It is on its way again.",
    run: () => api.post(`/webhooks/deliveries/${id}/resend`),
  });

export function Deliveries({ query, endpoints }) {
  const { status = "", endpoint = "", page } = query;
  const found = useLoad(
    () => api.get("/webhooks/deliveries", { ...pageOf(query), ...filters(status, endpoint) }),
    [status, endpoint, page, query.delivery],
    { everyMs: 5_000 },
  );
  const urls = Object.fromEntries(endpoints.map((each) => [each.id, each.url]));
  const columns = [
    {
      key: "type",
      label: "Event",
      by: (row) => row.type,
      cell: (row) => html`<code>${row.type}</code>`,
    },
    {
      key: "status",
      label: "Status",
      by: (row) => row.status,
      cell: (row) => html`<${Badge} status=${row.status} />`,
    },
    {
      key: "to",
      label: "Endpoint",
      look: "line",
      by: (row) => urls[row.endpointId] ?? "",
      cell: (row) =>
        urls[row.endpointId]
          ? html`<span title=${urls[row.endpointId]}>${urls[row.endpointId]}</span>`
          : html`<span class="soft">deleted</span>`,
    },
    {
      key: "call",
      label: "Call",
      cell: (row) => html`<${Ident} id=${row.callId} to=${["calls", row.callId]} what="call id" />`,
    },
    {
      key: "tries",
      label: "Tries",
      look: "number",
      by: (row) => row.tries,
      cell: (row) => row.tries,
    },
    {
      key: "made",
      label: "Made",
      by: (row) => row.createdAt,
      cell: (row) => html`<${When} at=${row.createdAt} />`,
    },
    {
      key: "due",
      label: "Next try",
      by: (row) => row.dueAt ?? "",
      cell: (row) => html`<${When} at=${row.dueAt} />`,
    },
    {
      key: "do",
      label: "Actions",
      look: "do",
      cell: (row) => html`<div class="row-tools">
        <button class="button small" onClick=${() => setQuery({ delivery: row.id })}>
          Attempts
        </button>
        <button class="button small" onClick=${() => resend(row.id).then(found.reload)}>
          Resend
        </button>
      </div>`,
    },
  ];
  const tools = html`<${Pick} label="Status" name="status" value=${status} options=${STATUSES} />
    <${Pick}
      label="Endpoint"
      name="endpoint"
      value=${endpoint}
      options=${[["", "All"], ...endpoints.map((each) => [each.id, each.url])]}
    />`;
  return html`<${Section} title="Deliveries" tools=${tools} flush>
    <${Loaded} of=${found}>
      ${(list) => html`<${Table}
          label="Deliveries"
          columns=${columns}
          rows=${list.items}
          marked=${query.delivery}
          empty=${status || endpoint ? "No delivery is like that." : "Nothing was told yet."}
        />
        <${Pager} of=${list} />`}
    <//>
  <//>`;
}

function filters(status, endpoint) {
  return { ...(status && { status }), ...(endpoint && { endpointId: endpoint }) };
}

/** One delivery: what was sent, and how each attempt ended. */
export function Delivery({ id }) {
  const found = useLoad(async () => (await api.get(`/webhooks/deliveries/${id}`)).delivery, [id], {
    everyMs: 2_000,
  });
  const tools = html`<button class="button small" onClick=${() => resend(id).then(found.reload)}>
      Resend
    </button>
    <button class="button small" onClick=${() => setQuery({ delivery: null })}>Close</button>`;
  return html`<${Section} title="One delivery" tools=${tools}>
    <${Loaded} of=${found}>
      ${(delivery) => html`<${Facts}
          of=${[
            ["Event", html`<code>${delivery.type}</code>`],
            ["Status", html`<${Badge} status=${delivery.status} />`],
            ["webhook-id", html`<${Ident} id=${delivery.eventId} what="event id" />`],
            ["Tries", delivery.tries],
            ["Next try", html`<${When} at=${delivery.dueAt} />`],
          ]}
        />
        <h3>Attempts</h3>
        <${Attempts} attempts=${delivery.attempts} />
        <h3>What is sent</h3>
        <pre class="body" tabindex="0">${pretty(delivery.body)}</pre>`}
    <//>
  <//>`;
}

function Attempts({ attempts }) {
  const columns = [
    {
      key: "at",
      label: "When",
      by: (row) => row.at,
      cell: (row) => html`<${When} at=${row.at} />`,
    },
    {
      key: "status",
      label: "Answer",
      cell: (row) =>
        html`<${Badge}
          status=${row.status ?? "none"}
          as=${row.status >= 200 && row.status < 300 ? "good" : "bad"}
        />`,
    },
    {
      key: "took",
      label: "Took",
      look: "number",
      by: (row) => row.tookMs,
      cell: (row) => span(row.tookMs),
    },
    {
      key: "said",
      label: "What it said",
      look: "wide",
      cell: (row) => [row.error, row.answer].filter(Boolean).join(": "),
    },
  ];
  return html`<${Table}
    label="Attempts"
    columns=${columns}
    rows=${attempts}
    id=${(row) => row.at}
    empty="It has not been tried yet."
  />`;
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
