/** An account's wallets, and what moved in one of them by the ledger. */

import { html } from "/assets/vendor/preact-htm/preact-htm.js";

import { useLoad } from "../hooks.js";
import { setQuery } from "../router.js";
import { api } from "../store.js";
import { Amount, Ident, Loaded, Section, When } from "../ui/parts.js";
import { Pager, Pick, Table, pageOf } from "../ui/table.js";
import { title, walletName } from "../words.js";
import { adjust } from "./adjustments.js";

const WAYS = [
  ["", "In and out"],
  ["credit", "In"],
  ["debit", "Out"],
];

export function Wallets({ user, query, reload }) {
  const path = `/operators/users/${user.id}/wallets`;
  const found = useLoad(async () => (await api.get(path)).items, [user.balance, user.earnings]);
  const chosen = found.data?.find((each) => each.id === query.wallet) ?? found.data?.[0];
  const change = (type) => adjust(user, type).then(() => Promise.all([found.reload(), reload()]));

  return html`<${Loaded} of=${found}>
    ${(wallets) => html`<div class="tiles">
        ${wallets.map(
          (
            wallet,
          ) => html`<div key=${wallet.id} class="card tile ${wallet === chosen ? "chosen" : ""}">
            <button
              class="tile-name"
              aria-pressed=${String(wallet === chosen)}
              onClick=${() => setQuery({ wallet: wallet.id, page: null })}
            >
              ${walletName(wallet.type)}
            </button>
            <strong class="tile-value">
              <${Amount} minor=${wallet.balance} currency=${wallet.currency} />
            </strong>
            <span class="soft small">
              ${
                wallet.held
                  ? html`<span
                    ><${Amount} minor=${wallet.held} currency=${wallet.currency} /> held</span
                  >`
                  : "nothing held"
              }
            </span>
          </div>`,
        )}
      </div>
      ${
        chosen &&
        html`<${Entries}
        key=${chosen.id}
        path=${`${path}/${chosen.id}/entries`}
        wallet=${chosen}
        query=${query}
        adjust=${change}
      />`
      }`}
  <//>`;
}

const isCall = (kind) => kind.startsWith("call");

function Entries({ path, wallet, query, adjust: change }) {
  const { way = "", page } = query;
  const found = useLoad(
    () => api.get(path, { ...pageOf(query), ...(way && { direction: way }) }),
    [way, page, wallet.balance],
  );
  const columns = [
    {
      key: "at",
      label: "When",
      by: (row) => row.at,
      cell: (row) => html`<${When} at=${row.at} />`,
    },
    { key: "kind", label: "What", by: (row) => row.kind, cell: (row) => title(row.kind) },
    {
      key: "amount",
      label: "Amount",
      look: "number",
      by: (row) => row.amount,
      cell: (row) => html`<${Amount} minor=${row.amount} currency=${row.currency} signed />`,
    },
    {
      key: "ref",
      label: "Belongs to",
      cell: (row) =>
        html`<${Ident} id=${row.ref} to=${isCall(row.kind) && ["calls", row.ref]} what="id" />`,
    },
    {
      key: "op",
      label: "Operation",
      look: "number",
      by: (row) => row.operation,
      cell: (row) => row.operation,
    },
    { key: "key", label: "Key", cell: (row) => html`<span class="mono">${row.key}</span>` },
  ];
  const tools = html`<${Pick} label="Direction" name="way" value=${way} options=${WAYS} />
    <button class="button small" onClick=${() => change(wallet.type)}>Adjust</button>`;
  return html`<${Section} title=${`Ledger: ${walletName(wallet.type)}`} tools=${tools} flush>
    <${Loaded} of=${found}>
      ${(list) => html`<${Table}
          label="Ledger entries"
          columns=${columns}
          rows=${list.items}
          id=${(row) => row.operation}
          empty="Nothing has moved in this wallet."
        />
        <${Pager} of=${list} />`}
    <//>
  <//>`;
}
