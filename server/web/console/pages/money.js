/** Money in and out that people decide on: payments, payouts, adjustments. */

import { html } from "/assets/vendor/preact-htm/preact-htm.js";

import { setQuery } from "../router.js";
import { Head, Tabs } from "../ui/parts.js";
import { Adjustments } from "./adjustments.js";
import { Payments } from "./payments.js";
import { Payouts } from "./payouts.js";

const TABS = { payouts: Payouts, adjustments: Adjustments, payments: Payments };

export function Money({ query }) {
  const tab = query.tab in TABS ? query.tab : "payouts";
  const Shown = TABS[tab];
  return html`<div class="page">
    <${Head} title="Money" note="What comes in, what goes out, and what waits for a decision" />
    <${Tabs}
      label="Kind"
      value=${tab}
      options=${[
        ["payouts", "Payouts"],
        ["adjustments", "Adjustments"],
        ["payments", "Payments"],
      ]}
      onPick=${(word) => setQuery({ tab: word, status: null, q: null, page: null })}
    />
    <${Shown} query=${query} />
  </div>`;
}
