/** Finding people. */

import { html } from "/assets/vendor/preact-htm/preact-htm.js";

import { useLoad } from "../hooks.js";
import { api } from "../store.js";
import { Amount, Badge, Head, Loaded, Person, Section, When } from "../ui/parts.js";
import { Pager, Pick, Search, Table, pageOf } from "../ui/table.js";
import { plain, title } from "../words.js";

const ROLES = ["customer", "companion", "technician", "store_owner", "delivery_partner", "admin"];
const STATUSES = ["active", "suspended", "deleted"];
const all = (words) => [["", "All"], ...words.map((word) => [word, title(word)])];

const COLUMNS = [
  {
    key: "name",
    label: "Name",
    by: (row) => row.name,
    cell: (row) => html`<${Person} id=${row.id} name=${row.name} />`,
  },
  {
    key: "mail",
    label: "E-mail",
    by: (row) => row.email ?? "",
    cell: (row) => row.email ?? html`<span class="soft">–</span>`,
  },
  { key: "phone", label: "Phone", cell: (row) => row.phone ?? html`<span class="soft">–</span>` },
  {
    key: "roles",
    label: "Roles",
    by: (row) => row.roles.join(),
    cell: (row) => row.roles.map(plain).join(", "),
  },
  {
    key: "status",
    label: "Status",
    by: (row) => row.status,
    cell: (row) => html`<${Badge} status=${row.status} />`,
  },
  {
    key: "balance",
    label: "Balance",
    look: "number",
    by: (row) => row.balance,
    cell: (row) => html`<${Amount} minor=${row.balance} currency=${row.currency} />`,
  },
  {
    key: "earnings",
    label: "Earnings",
    look: "number",
    by: (row) => row.earnings,
    cell: (row) => html`<${Amount} minor=${row.earnings} currency=${row.currency} />`,
  },
  {
    key: "seen",
    label: "Last seen",
    by: (row) => row.lastSeenAt ?? "",
    cell: (row) => html`<${When} at=${row.lastSeenAt} none="never" />`,
  },
  {
    key: "made",
    label: "Joined",
    by: (row) => row.createdAt,
    cell: (row) => html`<${When} at=${row.createdAt} />`,
  },
];

const NOBODY =
  "Nobody is like that. A search finds beginnings of names and e-mail addresses, " +
  "whole phone numbers and whole ids.";

export function Users({ query }) {
  const { q = "", role = "", status = "", page } = query;
  const wanted = { ...(q && { q }), ...(role && { role }), ...(status && { status }) };
  const found = useLoad(
    () => api.get("/operators/users", { ...pageOf(query), ...wanted }),
    [q, role, status, page],
  );
  const tools = html`<${Search}
      label="Find people"
      value=${q}
      hint="Name, e-mail, phone or id"
    />
    <${Pick} label="Role" name="role" value=${role} options=${all(ROLES)} />
    <${Pick} label="Status" name="status" value=${status} options=${all(STATUSES)} />`;
  return html`<div class="page">
    <${Head} title="Users">${tools}<//>
    <${Section} flush>
      <${Loaded} of=${found}>
        ${(list) => html`<${Table}
            label="Users"
            columns=${COLUMNS}
            rows=${list.items}
            empty=${q || role || status ? NOBODY : "Nobody has an account yet."}
          />
          <${Pager} of=${list} />`}
      <//>
    <//>
  </div>`;
}
