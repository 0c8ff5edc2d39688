/** A call as one would print it: with whom, how long, and what of it came to how much. */

import { html } from "/assets/vendor/preact-htm/preact-htm.js";
import { duration, money, when } from "/assets/shared/format.js";
import { useApp } from "./store.js";

/** @param {{receipt: object}} props  as `GET /calls/{id}/receipt` has it */
export function Receipt({ receipt }) {
  const { site } = useApp();
  const sum = (minor) => money(minor, receipt.currency, site.currencyExponent);
  const other = receipt.role === "caller" ? receipt.callee : receipt.caller;
  const callee = receipt.role === "callee";
  const lines = [
    [callee ? "From" : "With", other.name],
    ["Kind", receipt.kind === "video" ? "Video call" : "Audio call"],
    ["When", when(receipt.startedAt ?? receipt.createdAt)],
    ["Talked", duration(receipt.talkSeconds * 1000)],
    ["Paid time", duration(receipt.billedSeconds * 1000)],
    ["Price", receipt.tariffText],
  ];
  return html`<section class="receipt card" aria-label="Receipt">
    <dl>
      ${lines.map(([name, text]) => html`<div><dt>${name}</dt><dd class="number">${text}</dd></div>`)}
    </dl>
    <dl class="sums">
      <div class=${receipt.refunds.length > 0 ? "" : "total"}>
        <dt>${callee ? "Paid by the caller" : "Total"}</dt>
        <dd class="number">${sum(receipt.total)}</dd>
      </div>
      ${receipt.refunds.map(
        (refund) => html`<div>
          <dt>Refund, ${when(refund.at)}</dt><dd class="number">−${sum(refund.amount)}</dd>
        </div>`,
      )}
      ${receipt.refunds.length > 0 &&
      html`<div class="total"><dt>Paid</dt><dd class="number">${sum(receipt.paid)}</dd></div>`}
      ${receipt.platformShare !== undefined &&
      html`<div><dt>Share of the house</dt><dd class="number">−${sum(receipt.platformShare)}</dd></div>`}
      ${receipt.earned !== undefined &&
      html`<div class="total"><dt>You earned</dt><dd class="number">${sum(receipt.earned)}</dd></div>`}
    </dl>
    ${!receipt.settled && html`<p class="note warn">The books of this call are still open.</p>`}
    <p class="soft small mono receipt-id">${receipt.callId}</p>
  </section>`;
}
