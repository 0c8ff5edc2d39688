/** One account: who it is, where it is logged in, its money and its calls. */

import { html } from "/assets/vendor/preact-htm/preact-htm.js";

import { useLoad } from "../hooks.js";
import { link, setQuery } from "../router.js";
import { api } from "../store.js";
import { REASON, ask } from "../ui/ask.js";
import { Amount, Badge, Facts, Head, Ident, Loaded, Section, Tabs, When } from "../ui/parts.js";
import { number, plain } from "../words.js";
import { adjust } from "./adjustments.js";
import { AuditLines } from "./audit.js";
import { CallList } from "./calls.js";
import { Logins } from "./logins.js";
import { Payments } from "./payments.js";
import { Wallets } from "./wallets.js";

const TABS = [
  ["wallets", "Wallets"],
  ["logins", "Log-ins"],
  ["calls", "Calls"],
  ["payments", "Payments"],
  ["audit", "Audit"],
];

const NO_FILTERS = Object.fromEntries(
  ["page", "wallet", "way", "status", "gateway", "reason", "hours", "q", "actor"].map((name) => [
    name,
    null,
  ]),
);

export function User({ id, query }) {
  const found = useLoad(async () => (await api.get(`/operators/users/${id}`)).user, [id], {
    everyMs: 10_000,
  });
  const user = found.data;
  const tab = TABS.some(([word]) => word === query.tab) ? query.tab : "wallets";

  return html`<div class="page">
    <${Head} title=${user?.name ?? "Account"} back=${[["users"], "Users"]}>
      ${user && html`<${Tools} user=${user} reload=${found.reload} />`}
    <//>
    <${Section}>
      <${Loaded} of=${found}>${(known) => html`<${Profile} user=${known} />`}<//>
    <//>
    <${Tabs}
      label="Of this account"
      value=${tab}
      options=${TABS}
      onPick=${(word) => setQuery({ ...NO_FILTERS, tab: word })}
    />
    ${user && html`<${Shown} tab=${tab} user=${user} query=${query} reload=${found.reload} />`}
  </div>`;
}

function Shown({ tab, user, query, reload }) {
  if (tab === "logins") return html`<${Logins} user=${user} query=${query} reload=${reload} />`;
  if (tab === "calls") return html`<${CallList} query=${query} userId=${user.id} title="Calls" />`;
  if (tab === "payments") return html`<${Payments} query=${query} userId=${user.id} />`;
  if (tab === "audit") {
    return html`<${AuditLines} query=${query} targetId=${user.id} title="What operators did" />`;
  }
  return html`<${Wallets} user=${user} query=${query} reload=${reload} />`;
}

function Tools({ user, reload }) {
  const stand = (verb) =>
    ask({
      title: verb === "suspend" ? `Suspend ${user.name}?` : `Restore ${user.name}?`,
      text:
        verb === "suspend"
          ? "All their log-ins end, sockets close, and nobody can log in until it is restored."
          : "They can log in again.",
      fields: [REASON],
      confirm: verb === "suspend" ? "Suspend" : "Restore",
      danger: verb === "suspend",
      run: async (values) => {
        const answer = await api.post(`/operators/users/${user.id}/${verb}`, values);
        return verb === "suspend"
          ? `Suspended; ${number(answer.sessionsEnded)} log-ins ended.`
          : "Restored.";
      },
    }).then(reload);

  return html`<button class="button small" onClick=${() => adjust(user).then(reload)}>
      Adjust a wallet
    </button>
    ${
      user.status === "active" &&
      html`<button class="button small hazard" onClick=${() => stand("suspend")}>Suspend</button>`
    }
    ${
      user.status === "suspended" &&
      html`<button class="button small main" onClick=${() => stand("restore")}>Restore</button>`
    }`;
}

function Profile({ user }) {
  const price = (minor) =>
    minor == null ? undefined : html`<${Amount} minor=${minor} currency=${user.currency} />/min`;
  const sum = (minor) => html`<${Amount} minor=${minor} currency=${user.currency} />`;
  return html`<${Facts}
    of=${[
      ["Status", html`<${Badge} status=${user.status} />`],
      ["E-mail", user.email],
      ["Phone", user.phone],
      ["Roles", user.roles.map(plain).join(", ")],
      ["Balance", sum(user.balance)],
      ["Earnings", sum(user.earnings)],
      ["Price, audio", price(user.priceAudio)],
      ["Price, video", price(user.priceVideo)],
      ["Spent", sum(user.spent)],
      ["Earned", sum(user.earned)],
      ["Calls made, taken", `${number(user.callsMade)}, ${number(user.callsTaken)}`],
      ["Blocks, blocked by", `${number(user.blocks)}, ${number(user.blockedBy)}`],
      ["Last seen", html`<${When} at=${user.lastSeenAt} none="never" />`],
      ["Joined", html`<${When} at=${user.createdAt} />`],
      ["Id", html`<${Ident} id=${user.id} what="user id" />`],
      [
        "In a call",
        user.liveCallId
          ? html`<a href=${link(["calls", user.liveCallId])}>Yes, see it</a>`
          : undefined,
      ],
    ]}
  />`;
}
