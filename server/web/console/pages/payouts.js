/** What providers want to be paid out, and what became of it. */

import { html } from "/assets/vendor/preact-htm/preact-htm.js";

import { useLoad } from "../hooks.js";
import { setQuery } from "../router.js";
import { api } from "../store.js";
import { REASON, ask } from "../ui/ask.js";
import { Named } from "../ui/named.js";
import { Amount, Badge, Ident, Loaded, Section, Tabs, When } from "../ui/parts.js";
import { Pager, Table, pageOf } from "../ui/table.js";
import { amount, title } from "../words.js";

const STATUSES = ["requested", "approved", "paid", "rejected", "cancelled"];
const LONG_REASON = { ...REASON, max: 500 };

const VERBS = {
  approve: {
    of: "requested",
    button: "Approve",
    text: "Pay it at the bank next, then mark it as paid.",
    fields: [{ ...LONG_REASON, required: false, label: "Reason (optional)" }],
    body: ({ reason }) => (reason ? { reason } : {}),
    done: "Approved.",
  },
  reject: {
    of: "requested",
    button: "Reject",
    text: "The money goes back to the provider's earnings.",
    danger: true,
    fields: [LONG_REASON],
    done: "Rejected; the money is theirs again.",
  },
  paid: {
    of: "approved",
    button: "Mark as paid",
    text: "Say so when the bank has done it. It cannot be taken back.",
    fields: [{ name: "reference", label: "The bank's reference", required: true, max: 100 }],
    done: "Marked as paid.",
  },
  returned: {
    of: "approved",
    button: "Came back",
    text: "The bank has sent it back: the money returns to the provider's earnings.",
    danger: true,
    fields: [LONG_REASON],
    done: "Noted; the money is theirs again.",
  },
};

export function Payouts({ query }) {
  const status = STATUSES.includes(query.status) ? query.status : "requested";
  const found = useLoad(
    () => api.get("/payouts", { status, ...pageOf(query) }),
    [status, query.page],
    { everyMs: 10_000 },
  );

  const decide = (payout, verb) => {
    const { button, text, danger, fields, body = (values) => values, done } = VERBS[verb];
    return ask({
      title: `${button}: ${amount(payout.amount)} ${payout.currency}`,
      text,
      fields,
      danger,
      confirm: button,
      done,
      run: (values, key) => api.post(`/payouts/${payout.id}/${verb}`, body(values), { key }),
    }).then(found.reload);
  };
  const verbs = Object.entries(VERBS).filter(([, verb]) => verb.of === status);

  const columns = [
    { key: "id", label: "Payout", cell: (row) => html`<${Ident} id=${row.id} what="payout id" />` },
    { key: "who", label: "Provider", cell: (row) => html`<${Named} id=${row.userId} />` },
    {
      key: "amount",
      label: "Amount",
      look: "number",
      by: (row) => row.amount,
      cell: (row) => html`<${Amount} minor=${row.amount} currency=${row.currency} />`,
    },
    {
      key: "to",
      label: "To",
      look: "wide",
      by: (row) => row.destination,
      cell: (row) => row.destination,
    },
    { key: "note", label: "Note", cell: (row) => row.note ?? html`<span class="soft">–</span>` },
    { key: "status", label: "Status", cell: (row) => html`<${Badge} status=${row.status} />` },
    {
      key: "at",
      label: "Requested",
      by: (row) => row.requestedAt,
      cell: (row) => html`<${When} at=${row.requestedAt} />`,
    },
    ...(status === "requested"
      ? []
      : [
          {
            key: "decided",
            label: "Decided",
            by: (row) => row.decidedAt,
            cell: (row) => html`<${When} at=${row.decidedAt} />`,
          },
          { key: "by", label: "By", cell: (row) => html`<${Named} id=${row.decidedBy} />` },
          {
            key: "why",
            label: "Reason or reference",
            look: "wide",
            cell: (row) => row.reference ?? row.reason ?? "",
          },
        ]),
    ...(verbs.length
      ? [
          {
            key: "do",
            label: "Actions",
            look: "do",
            cell: (row) => html`<div class="row-tools">
              ${verbs.map(
                ([verb, { button }]) => html`<button
                  key=${verb}
                  class="button small"
                  onClick=${() => decide(row, verb)}
                >
                  ${button}
                </button>`,
              )}
            </div>`,
          },
        ]
      : []),
  ];
  return html`<${Section}
    title="Payouts"
    note="Approve, pay at your bank, and mark as paid"
    tools=${html`<${Tabs}
      label="Status"
      value=${status}
      options=${STATUSES.map((word) => [word, title(word)])}
      onPick=${(word) => setQuery({ status: word, page: null })}
    />`}
    flush
  >
    <${Loaded} of=${found}>
      ${(list) => html`<${Table}
          label="Payouts"
          columns=${columns}
          rows=${list.items}
          empty=${
            status === "requested" ? "Nobody waits for a decision." : `No payout is ${status}.`
          }
        />
        <${Pager} of=${list} />`}
    <//>
  <//>`;
}
