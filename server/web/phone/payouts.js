/** A provider's payouts: asking for what was earned, and what became of each request. */

import { html, useEffect, useRef, useState } from "/assets/vendor/preact-htm/preact-htm.js";
import { money, when } from "/assets/shared/format.js";
import { Failure, Field, More, Skeleton } from "./parts.js";
import { useApp, useLoaded, useShared } from "./store.js";
import { PAYOUT, sayPayoutError } from "./words.js";

const PAGE = 10;
const LOOKS = { requested: "warn", approved: "warn", paid: "good", rejected: "bad", cancelled: "" };

/** What somebody had filled in when they had to log in anew; theirs alone. */
let kept = null;

/**
 * @param {{earnings: object | null, onMoved: () => void}} props  as `GET /wallet/earnings` has them;
 *   `onMoved` is told when they have changed
 */
export function Payouts({ earnings, onMoved }) {
  const { api } = useApp();
  const { inbox, user } = useShared();
  const [limit, setLimit] = useState(PAGE);
  const [asking, setAsking] = useState(kept?.user === user.id);
  const { data, error, again } = useLoaded(
    () => api.get("/wallet/payouts", { limit }),
    [limit, inbox],
  );
  const moved = () => {
    again();
    onMoved();
  };
  const done = () => {
    setAsking(false);
    moved();
  };
  const ready = earnings?.available ?? 0;
  return html`<section class="card payouts" aria-label="Payouts">
    <div class="row-between">
      <h2>Payouts</h2>
      ${!asking &&
      ready > 0 &&
      html`<button class="button small" type="button" onClick=${() => setAsking(true)}>
        Ask for a payout
      </button>`}
    </div>
    ${asking &&
    earnings &&
    html`<${Ask} earnings=${earnings} onDone=${done} onClose=${() => setAsking(false)} />`}
    ${error && html`<${Failure} error=${error} again=${again} />`}
    ${!data && !error && html`<${Skeleton} rows=${1} />`}
    ${data?.total === 0 &&
    !asking &&
    html`<p class="soft">
      ${ready > 0
        ? "You have not asked for any yet."
        : "Once something you have earned is ready, you can ask for it here."}
    </p>`}
    <ul class="rows">
      ${data?.items.map((each) => html`<${Payout} key=${each.id} payout=${each} onMoved=${moved} />`)}
    </ul>
    ${data &&
    html`<${More} shown=${data.items.length} total=${data.total}
      onMore=${() => setLimit(Math.min(limit + PAGE, 100))} />`}
  </section>`;
}

function Ask({ earnings, onDone, onClose }) {
  const { api, desk, site } = useApp();
  const { user } = useShared();
  const [error, setError] = useState(null);
  const [busy, setBusy] = useState(false);
  const sent = useRef({});
  const form = useRef(null);
  const filled = useRef(kept?.user === user.id ? kept.values : {});
  useEffect(() => {
    kept = null;
    form.current.querySelector("input").focus();
  }, []);
  const scale = 10 ** site.currencyExponent;
  const sum = money(earnings.available, earnings.currency, site.currencyExponent);
  const values = () => Object.fromEntries(new FormData(form.current));
  const submit = async (event) => {
    event.preventDefault();
    const { amount, destination, note } = values();
    const wish = {
      amount: Math.round(Number(amount) * scale),
      destination: destination.trim(),
      note: note.trim() || null,
    };
    // The same wish, sent again after a failure, is the same payout.
    const text = JSON.stringify(wish);
    if (sent.current.text !== text) sent.current = { text, key: crypto.randomUUID() };
    setBusy(true);
    setError(null);
    try {
      await api.post("/wallet/payouts", wish, { key: sent.current.key });
    } catch (caught) {
      setBusy(false);
      setError(caught);
      return;
    }
    desk.toast("You have asked for the payout.", "good");
    onDone();
  };
  const logIn = () => {
    kept = { user: user.id, values: values() };
    desk.leave();
  };
  const wrong = (field) => error?.details?.field === field;
  return html`<form class="form" ref=${form} onSubmit=${submit}>
    <${Field} id="payout-amount" name="amount" type="number" label=${`Amount in ${earnings.currency}`} required
      min=${1 / scale} step=${1 / scale} wrong=${wrong("amount")} hint=${`${sum} are ready to be paid out.`}
      defaultValue=${filled.current.amount ?? earnings.available / scale} />
    <${Field} id="payout-to" name="destination" label="Where to" required maxlength="100"
      wrong=${wrong("destination")} hint="An account number, or whatever the operator pays to."
      defaultValue=${filled.current.destination ?? ""} />
    <${Field} id="payout-note" name="note" label="Note (not needed)" maxlength="200" wrong=${wrong("note")}
      defaultValue=${filled.current.note ?? ""} />
    ${error &&
    html`<div class="note bad failure" role="alert">
      <p>${sayPayoutError(error, site)}</p>
      ${error.code === "FRESH_LOGIN_REQUIRED" &&
      html`<button class="button small" type="button" onClick=${logIn}>Log in again</button>`}
    </div>`}
    <div class="buttons">
      <button class="button main" type="submit" disabled=${busy}>Ask for it</button>
      <button class="button" type="button" disabled=${busy} onClick=${onClose}>Not now</button>
    </div>
  </form>`;
}

function Payout({ payout, onMoved }) {
  const { api, desk, site } = useApp();
  const [busy, setBusy] = useState(false);
  const sum = money(payout.amount, payout.currency, site.currencyExponent);
  const [word, text] = PAYOUT[payout.status];
  const cancel = async () => {
    setBusy(true);
    try {
      await api.post(`/wallet/payouts/${payout.id}/cancel`);
      desk.toast(`${sum} are with your earnings again.`, "good");
    } catch (caught) {
      desk.toast(sayPayoutError(caught, site), "bad");
    }
    setBusy(false);
    onMoved();
  };
  return html`<li class="row payout">
    <span class="row-what">
      <span class="row-between wrap">
        <strong class="number">${sum}</strong>
        <span class=${`badge ${LOOKS[payout.status]}`}>${word}</span>
      </span>
      <span class="soft small">To ${payout.destination}, asked for ${when(payout.requestedAt)}</span>
      ${text && html`<span class="small">${text}</span>`}
      ${payout.reason && html`<span class="small">Reason: ${payout.reason}</span>`}
      ${payout.reference && html`<span class="small">Reference of the bank: ${payout.reference}</span>`}
    </span>
    ${payout.status === "requested" &&
    html`<button class="button small" type="button" disabled=${busy} aria-label=${`Take ${sum} back`}
      onClick=${cancel}>Take back</button>`}
  </li>`;
}
