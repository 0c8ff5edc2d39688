/** The operator's servers that are told of calls: which there are, and what they were told. */

import { html } from "/assets/vendor/preact-htm/preact-htm.js";

import { useLoad } from "../hooks.js";
import { setQuery } from "../router.js";
import { api } from "../store.js";
import { ask } from "../ui/ask.js";
import { Badge, Head, Loaded, Section, When } from "../ui/parts.js";
import { Table } from "../ui/table.js";
import { plain } from "../words.js";
import { Deliveries, Delivery } from "./deliveries.js";

const EVENTS = [
  "call.requested",
  "call.connected",
  "call.low_balance",
  "call.ended",
  "call.settled",
].map((event) => [event, event]);

const fields = (endpoint) => [
  {
    name: "url",
    label: "URL",
    kind: "url",
    required: true,
    max: 2048,
    value: endpoint?.url,
    hint: "Where events are POSTed to.",
  },
  {
    name: "events",
    label: "Events",
    kind: "checks",
    value: endpoint?.events,
    hint: "Without any, all of them are sent.",
    options: EVENTS,
  },
];

const secretOnce = (title, secret) =>
  ask({
    title,
    text: "It is shown this once. Keep it where your server checks signatures.",
    secret,
    confirm: "I have kept it",
  });

export function Webhooks({ query }) {
  const endpoints = useLoad(() => api.get("/webhooks/endpoints"), []);

  async function create() {
    let made = null;
    const done = await ask({
      title: "New endpoint",
      fields: fields(null),
      confirm: "Create",
      run: async (values) => {
        made = await api.post("/webhooks/endpoints", values);
      },
    });
    if (!done) return;
    endpoints.reload();
    secretOnce("The endpoint's secret", made.secret);
  }

  const tools = html`<button class="button small main" onClick=${create}>New endpoint</button>`;
  return html`<div class="page">
    <${Head} title="Webhooks" note="Your servers, told of calls as they happen" />
    <${Section} title="Endpoints" tools=${tools} flush>
      <${Loaded} of=${endpoints}>
        ${({ items }) => html`<${Endpoints} items=${items} reload=${endpoints.reload} />`}
      <//>
    <//>
    ${query.delivery && html`<${Delivery} key=${query.delivery} id=${query.delivery} />`}
    <${Deliveries} query=${query} endpoints=${endpoints.data?.items ?? []} />
  </div>`;
}

function Endpoints({ items, reload }) {
  const at = (endpoint) => `/webhooks/endpoints/${endpoint.id}`;

  const change = (endpoint) =>
    ask({
      title: "Change the endpoint",
      fields: fields(endpoint),
      confirm: "Save",
      done: "Saved.",
      run: (values) => api.patch(at(endpoint), values),
    }).then(reload);
  const turn = (endpoint) =>
    ask({
      title: endpoint.disabled ? "Enable the endpoint?" : "Disable the endpoint?",
      text: endpoint.disabled
        ? `New events are sent to ${endpoint.url} again.`
        : `Nothing is sent to ${endpoint.url} until it is enabled again.`,
      confirm: endpoint.disabled ? "Enable" : "Disable",
      danger: !endpoint.disabled,
      done: endpoint.disabled ? "It is told again." : "It is told nothing any more.",
      run: () => api.patch(at(endpoint), { disabled: !endpoint.disabled }),
    }).then(reload);
  const remove = (endpoint) =>
    ask({
      title: "Delete the endpoint?",
      text: `${endpoint.url} is told nothing more, and what is on its way fails.`,
      confirm: "Delete",
      danger: true,
      done: "It is deleted.",
      run: () => api.delete(at(endpoint)),
    }).then(reload);
  async function rotate(endpoint) {
    let made = null;
    const done = await ask({
      title: "A new secret?",
      text: "For 24 hours deliveries are signed with the old one as well.",
      confirm: "Rotate",
      danger: true,
      run: async () => {
        made = await api.post(`${at(endpoint)}/secret`);
      },
    });
    if (!done) return;
    reload();
    secretOnce("The new secret", made.secret);
  }
  async function test(endpoint) {
    let made = null;
    const done = await ask({
      title: "Send a test event?",
      text: `webhook.test is sent to ${endpoint.url}.`,
      confirm: "Send",
      done: "It is on its way.",
      run: async () => {
        made = await api.post(`${at(endpoint)}/test`);
      },
    });
    if (done) setQuery({ delivery: made.deliveryId, page: null });
  }

  const columns = [
    {
      key: "url",
      label: "URL",
      look: "wide",
      by: (row) => row.url,
      cell: (row) => html`<span title=${row.url}>${row.url}</span>`,
    },
    {
      key: "events",
      label: "Events",
      cell: (row) =>
        row.events.length === 0
          ? "all"
          : row.events.map((event) => plain(event.replace("call.", ""))).join(", "),
    },
    {
      key: "state",
      label: "State",
      by: (row) => String(row.disabled),
      cell: (row) =>
        row.disabled
          ? html`<${Badge} status=${row.disabledBy === "gone" ? "gone" : "disabled"} />`
          : html`<${Badge} status="active" />`,
    },
    {
      key: "secret",
      label: "Secret",
      cell: (row) =>
        row.oldSecretUntil
          ? html`old one until <${When} at=${row.oldSecretUntil} />`
          : html`<span class="soft">one</span>`,
    },
    {
      key: "do",
      label: "Actions",
      look: "do",
      cell: (row) => html`<div class="row-tools">
        <button class="button small" disabled=${row.disabled} onClick=${() => test(row)}>
          Test
        </button>
        <button class="button small" onClick=${() => change(row)}>Change</button>
        <button class="button small" onClick=${() => rotate(row)}>Rotate secret</button>
        <button class="button small" onClick=${() => turn(row)}>
          ${row.disabled ? "Enable" : "Disable"}
        </button>
        <button class="button small" onClick=${() => remove(row)}>Delete</button>
      </div>`,
    },
  ];
  return html`<${Table}
    label="Endpoints"
    columns=${columns}
    rows=${items}
    empty="Nobody is told of calls yet. Create an endpoint to have events sent to your server."
  />`;
}
