/** Corrections of wallets by hand: asked for by one operator, over a limit agreed to by another. */

import { html } from "/assets/vendor/preact-htm/preact-htm.js";

import { useLoad } from "../hooks.js";
import { setQuery } from "../router.js";
import { api, site } from "../store.js";
import { REASON, ask } from "../ui/ask.js";
import { Amount, Badge, Loaded, Person, Section, Tabs, When } from "../ui/parts.js";
import { Pager, Table, pageOf } from "../ui/table.js";
import { amount, walletName } from "../words.js";

const STATUSES = ["pending", "approved", "rejected"];
const WALLETS = ["call_credits", "primary", "earnings_available"];

/**
 * Ask for an adjustment of somebody's wallet.
 * @param {{id: string, name: string}} user
 * @param {string} [wallet]
 * @returns {Promise<boolean>}
 */
export function adjust(user, wallet = WALLETS[0]) {
  const unit = 10 ** site.currencyExponent;
  return ask({
    title: `Adjust a wallet of ${user.name}`,
    text: "Small ones are posted at once, larger ones wait for a second operator.",
    confirm: "Adjust",
    danger: true,
    fields: [
      {
        name: "wallet",
        label: "Wallet",
        kind: "select",
        value: WALLETS.includes(wallet) ? wallet : WALLETS[0],
        options: WALLETS.map((kind) => [kind, walletName(kind)]),
      },
      {
        name: "amount",
        label: `Amount in ${site.currency}`,
        kind: "number",
        step: String(1 / unit),
        required: true,
        hint: "Below 0 it is taken from the wallet.",
      },
      REASON,
    ],
    run: async ({ wallet: kind, amount: sum, reason }, key) => {
      const minor = Math.round(Number(sum) * unit);
      const body = { userId: user.id, wallet: kind, amount: minor, reason };
      const { adjustment } = await api.post("/operators/adjustments", body, { key });
      return adjustment.status === "pending"
        ? "It waits for a second operator: Money, Adjustments."
        : "Posted.";
    },
  });
}

const sumOf = (row) => `${amount(row.amount, { signed: true })} ${row.currency}`;

/** The ones of a status; pending ones can be decided on. */
export function Adjustments({ query }) {
  const status = STATUSES.includes(query.status) ? query.status : "pending";
  const found = useLoad(
    () => api.get("/operators/adjustments", { status, ...pageOf(query) }),
    [status, query.page],
    { everyMs: 10_000 },
  );

  const decide = (row, verb) =>
    ask({
      title: `${verb === "approve" ? "Approve" : "Reject"}: ${sumOf(row)} for ${row.userName}?`,
      text: `${row.requestedByName} asked for it: “${row.reason}”`,
      fields: [REASON],
      confirm: verb === "approve" ? "Approve" : "Reject",
      danger: verb === "reject",
      done: verb === "approve" ? "Approved and posted." : "Rejected.",
      run: (values, key) => api.post(`/operators/adjustments/${row.id}/${verb}`, values, { key }),
    }).then(found.reload);

  const columns = [
    {
      key: "who",
      label: "Account",
      by: (row) => row.userName,
      cell: (row) => html`<${Person} id=${row.userId} name=${row.userName} />`,
    },
    {
      key: "wallet",
      label: "Wallet",
      by: (row) => row.wallet,
      cell: (row) => walletName(row.wallet),
    },
    {
      key: "amount",
      label: "Amount",
      look: "number",
      by: (row) => row.amount,
      cell: (row) => html`<${Amount} minor=${row.amount} currency=${row.currency} signed />`,
    },
    { key: "reason", label: "Reason", look: "wide", cell: (row) => row.reason },
    { key: "status", label: "Status", cell: (row) => html`<${Badge} status=${row.status} />` },
    {
      key: "by",
      label: "Asked by",
      by: (row) => row.requestedByName,
      cell: (row) => html`<${Person} id=${row.requestedBy} name=${row.requestedByName} />`,
    },
    {
      key: "at",
      label: "Asked",
      by: (row) => row.requestedAt,
      cell: (row) => html`<${When} at=${row.requestedAt} />`,
    },
    ...(status === "pending"
      ? [
          {
            key: "do",
            label: "Actions",
            look: "do",
            cell: (row) => html`<div class="row-tools">
              <button class="button small" onClick=${() => decide(row, "approve")}>Approve</button>
              <button class="button small" onClick=${() => decide(row, "reject")}>Reject</button>
            </div>`,
          },
        ]
      : [
          {
            key: "decided",
            label: "Decided by",
            cell: (row) =>
              row.decidedBy
                ? html`<${Person} id=${row.decidedBy} name=${row.decidedByName} />`
                : "below the limit",
          },
          { key: "decision", label: "Decision", look: "wide", cell: (row) => row.decision ?? "" },
        ]),
  ];
  return html`<${Section}
    title="Adjustments"
    note="Nobody decides on what they asked for themselves"
    tools=${html`<${Tabs}
      label="Status"
      value=${status}
      options=${[
        ["pending", "Pending"],
        ["approved", "Approved"],
        ["rejected", "Rejected"],
      ]}
      onPick=${(word) => setQuery({ status: word, page: null })}
    />`}
    flush
  >
    <${Loaded} of=${found}>
      ${(list) => html`<${Table}
          label="Adjustments"
          columns=${columns}
          rows=${list.items}
          empty=${
            status === "pending"
              ? "Nothing waits for a second operator. Adjustments begin at an account’s page."
              : `No adjustment was ${status}.`
          }
        />
        <${Pager} of=${list} />`}
    <//>
  <//>`;
}
