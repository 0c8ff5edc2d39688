/** Putting money into the wallet: a plan or an amount, a way to pay, and the payment itself. */

import { html, useEffect, useRef, useState } from "/assets/vendor/preact-htm/preact-htm.js";
import { money } from "/assets/shared/format.js";
import { Icon } from "./icons.js";
import { Failure, Field, Skeleton, Wrong } from "./parts.js";
import { useApp, useLoaded } from "./store.js";

const ASK_MS = 3000;
const WAYS = { sandbox: "Sandbox (no real money)", stripe: "Card", monnify: "Bank transfer" };

/**
 * @param {{least?: number, onDone?: () => void, done?: string}} props  `least` minor units are
 *   needed; `done` names the button that follows a payment
 */
export function TopUp({ least = 0, onDone, done = "Done" }) {
  const { api, desk, site } = useApp();
  const [opened, setOpened] = useState(null);
  const sent = useRef({});
  const [error, setError] = useState(null);
  const [busy, setBusy] = useState(false);
  const attempt = async (work) => {
    setBusy(true);
    setError(null);
    try {
      await work();
    } catch (caught) {
      setError(caught);
    }
    setBusy(false);
  };
  const open = (order) =>
    attempt(async () => {
      // The same wish, sent again after a failure, is the same payment.
      const wish = JSON.stringify(order);
      if (sent.current.wish !== wish) sent.current = { wish, key: crypto.randomUUID() };
      const { payment } = await api.post("/payments", order, { key: sent.current.key });
      sent.current = {};
      setOpened(payment);
      if (payment.method !== "sandbox" && payment.checkoutUrl) {
        window.open(payment.checkoutUrl, "_blank", "noopener,width=480,height=720");
      }
    });
  const verify = async () => {
    const { payment } = await api.post(`/payments/verify/${opened.reference}`);
    setOpened(payment);
    if (payment.status === "completed") await desk.refreshBalance();
    return payment;
  };
  const press = (outcome) =>
    attempt(async () => {
      await api.post(new URL(opened.checkoutUrl).pathname, { outcome });
      await verify();
    });
  if (site.gateways.length === 0) {
    return html`<p class="note warn">
      No way to pay is set up here. Ask the operator to fill your wallet.
    </p>`;
  }
  if (!opened) return html`<${Order} least=${least} busy=${busy} error=${error} open=${open} />`;
  if (opened.status === "completed") {
    return html`<${Paid} payment=${opened} onDone=${onDone} done=${done} />`;
  }
  const parts = { payment: opened, busy, error, onBack: () => setOpened(null) };
  return opened.method === "sandbox"
    ? html`<${Sandbox} ...${parts} press=${press} />`
    : html`<${Elsewhere} ...${parts} check=${() => attempt(verify)} verify=${verify} />`;
}

function Order({ least, busy, error, open }) {
  const { api, site } = useApp();
  const plans = useLoaded(() => api.get("/wallet/plans"), []);
  const [chosen, setChosen] = useState(null);
  const [method, setMethod] = useState(
    site.gateways.includes("sandbox") ? "sandbox" : site.gateways[0],
  );
  const scale = 10 ** site.currencyExponent;
  const sum = (minor) => money(minor, site.currency, site.currencyExponent);
  const items = plans.data?.items ?? [];
  const enough = items.find((plan) => plan.points + plan.bonusPoints >= least);
  const now = chosen ?? enough?.planId ?? items[0]?.planId ?? "own";
  const submit = (event) => {
    event.preventDefault();
    const amount = Math.round(Number(new FormData(event.target).get("amount")) * scale);
    open(now === "own" ? { amount, method } : { planId: now, method });
  };
  if (plans.error) return html`<${Failure} error=${plans.error} again=${plans.again} />`;
  if (!plans.data) return html`<${Skeleton} rows=${3} />`;
  return html`<form class="form topup" onSubmit=${submit}>
    <fieldset class="plans">
      <legend class="hushed">How much</legend>
      ${items.map(
        (plan) => html`<label class="plan" key=${plan.planId}>
          <input type="radio" name="plan" value=${plan.planId} checked=${now === plan.planId}
            onChange=${() => setChosen(plan.planId)} />
          <span class="plan-what">
            <strong>${plan.title}</strong>
            <span class="soft small">
              ${sum(plan.points)}${plan.bonusPoints > 0 && ` + ${sum(plan.bonusPoints)} bonus`}
            </span>
          </span>
          <strong class="number">${sum(plan.price)}</strong>
        </label>`,
      )}
      <label class="plan">
        <input type="radio" name="plan" value="own" checked=${now === "own"}
          onChange=${() => setChosen("own")} />
        <span class="plan-what"><strong>Another amount</strong></span>
      </label>
    </fieldset>
    ${now === "own" &&
    html`<${Field} id="amount" name="amount" label=${`Amount in ${site.currency}`} type="number"
      required min=${1 / scale} step=${1 / scale} defaultValue=${Math.max(least, 500 * scale) / scale} />`}
    ${site.gateways.length > 1 &&
    html`<${Field} id="method" label="Pay by">
      ${(id) => html`<select class="input" id=${id} value=${method}
        onChange=${(event) => setMethod(event.target.value)}>
        ${site.gateways.map((name) => html`<option value=${name}>${WAYS[name] ?? name}</option>`)}
      </select>`}
    <//>`}
    <${Wrong} error=${error} />
    <button class="button main wide" type="submit" disabled=${busy}>Top up</button>
    ${method === "sandbox" && html`<p class="soft small">${WAYS.sandbox}</p>`}
  </form>`;
}

/** The payment company of development, played by whoever pays. */
function Sandbox({ payment, busy, error, press, onBack }) {
  return html`<section class="sandbox" aria-label="Sandbox checkout">
    <span class="badge warn">Sandbox: no real money</span>
    <p class="sum number">${useSum(payment.amount)}</p>
    <p class="soft small">You play the payment company: say whether the payment goes through.</p>
    ${payment.status === "failed" &&
    html`<p class="note bad" role="alert">The payment was declined. You may try again.</p>`}
    <${Wrong} error=${error} />
    <div class="buttons">
      <button class="button main" type="button" disabled=${busy} onClick=${() => press("pay")}>
        Pay
      </button>
      <button class="button" type="button" disabled=${busy} onClick=${() => press("decline")}>
        Decline
      </button>
    </div>
    <button class="button plain small" type="button" onClick=${onBack}>Choose another amount</button>
  </section>`;
}

/** A payment that goes on in a window of the payment company. */
function Elsewhere({ payment, busy, error, check, verify, onBack }) {
  useEffect(() => {
    const timer = setInterval(() => verify().catch(() => {}), ASK_MS);
    return () => clearInterval(timer);
  }, [payment.reference]);
  return html`<section class="sandbox" aria-label="Payment">
    <p class="sum number">${useSum(payment.amount)}</p>
    <p class="soft">Pay in the window that has opened. Here it goes on by itself then.</p>
    <a class="button main" href=${payment.checkoutUrl} target="_blank" rel="noopener">
      Open the payment again
    </a>
    ${payment.status === "failed" &&
    html`<p class="note bad" role="alert">The payment failed. You may try again there.</p>`}
    <${Wrong} error=${error} />
    <div class="buttons">
      <button class="button" type="button" disabled=${busy} onClick=${check}>I have paid</button>
      <button class="button plain" type="button" onClick=${onBack}>Back</button>
    </div>
  </section>`;
}

function Paid({ payment, onDone, done }) {
  return html`<section class="sandbox" role="status">
    <span class="empty-icon good"><${Icon} name="check" size=${30} /></span>
    <p class="sum number">${useSum(payment.amount)}</p>
    <p>The money is in your wallet.</p>
    ${onDone && html`<button class="button main" type="button" onClick=${onDone}>${done}</button>`}
  </section>`;
}

function useSum(minor) {
  const { site } = useApp();
  return money(minor, site.currency, site.currencyExponent);
}
