/** Money that people brought, and giving it back. */

import { html } from "/assets/vendor/preact-htm/preact-htm.js";

import { useLoad } from "../hooks.js";
import { api } from "../store.js";
import { REASON, ask } from "../ui/ask.js";
import { Amount, Badge, Ident, Loaded, Person, Section, When } from "../ui/parts.js";
import { Pager, Pick, Table, pageOf } from "../ui/table.js";
import { amount, title } from "../words.js";

const STATUSES = ["pending", "processing", "completed", "failed", "cancelled", "refunded"];
const GATEWAYS = ["sandbox", "stripe", "monnify", "wallet"];
const all = (words) => [["", "All"], ...words.map((word) => [word, title(word)])];

/** Everybody's, or one account's. */
export function Payments({ query, userId }) {
  const { status = "", gateway = "", page } = query;
  const filters = { status, gateway, userId: userId ?? query.user };
  const found = useLoad(
    () => api.get("/operators/payments", { ...pageOf(query), ...given(filters) }),
    [status, gateway, page, filters.userId],
    { everyMs: 10_000 },
  );

  const refund = (row) =>
    ask({
      title: `Refund ${amount(row.amount)} ${row.currency} to ${row.userName}?`,
      text: "The whole payment goes back by its gateway, and leaves the wallet it has filled.",
      fields: [{ ...REASON, max: 200 }],
      confirm: "Refund",
      danger: true,
      done: "Refunded.",
      run: (values, key) => api.post(`/payments/${row.id}/refund`, values, { key }),
    }).then(found.reload);

  const columns = [
    {
      key: "ref",
      label: "Payment",
      cell: (row) =>
        html`<span title=${row.reference}><${Ident} id=${row.id} what="payment id" /></span>`,
    },
    {
      key: "who",
      label: "Account",
      by: (row) => row.userName,
      cell: (row) => html`<${Person} id=${row.userId} name=${row.userName} />`,
    },
    {
      key: "amount",
      label: "Amount",
      look: "number",
      by: (row) => row.amount,
      cell: (row) => html`<${Amount} minor=${row.amount} currency=${row.currency} />`,
    },
    {
      key: "status",
      label: "Status",
      by: (row) => row.status,
      cell: (row) => html`<${Badge} status=${row.status} />`,
    },
    {
      key: "gateway",
      label: "Gateway",
      by: (row) => row.gateway,
      cell: (row) => html`<span title=${row.gatewayRef ?? ""}>${title(row.gateway)}</span>`,
    },
    { key: "purpose", label: "For", by: (row) => row.purpose, cell: (row) => title(row.purpose) },
    {
      key: "made",
      label: "Created",
      by: (row) => row.createdAt,
      cell: (row) => html`<${When} at=${row.createdAt} />`,
    },
    {
      key: "done",
      label: "Completed",
      by: (row) => row.completedAt,
      cell: (row) => html`<${When} at=${row.completedAt} />`,
    },
    {
      key: "do",
      label: "Actions",
      look: "do",
      cell: (row) => html`<div class="row-tools">
        ${
          row.refundable &&
          html`<button class="button small" onClick=${() => refund(row)}>Refund</button>`
        }
      </div>`,
    },
  ];
  const tools = html`
    <${Pick} label="Status" name="status" value=${status} options=${all(STATUSES)} />
    <${Pick} label="Gateway" name="gateway" value=${gateway} options=${all(GATEWAYS)} />`;
  return html`<${Section} title="Payments" tools=${tools} flush>
    <${Loaded} of=${found}>
      ${(list) => html`<${Table}
          label="Payments"
          columns=${columns}
          rows=${list.items}
          empty=${status || gateway ? "No payment is like that." : "Nobody has paid anything yet."}
        />
        <${Pager} of=${list} />`}
    <//>
  <//>`;
}

function given(filters) {
  return Object.fromEntries(Object.entries(filters).filter(([, value]) => value));
}
