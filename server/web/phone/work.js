/** A provider's side: whether one takes calls, what one has earned, and what others see. */

import { html, useState } from "/assets/vendor/preact-htm/preact-htm.js";
import { money, when } from "/assets/shared/format.js";
import { Choice, Failure, Field, Skeleton, Stars, Title, Wrong } from "./parts.js";
import { Payouts } from "./payouts.js";
import { to } from "./router.js";
import { useApp, useLoaded, useShared } from "./store.js";
import { sayError } from "./words.js";

const SETTABLE = [
  ["online", "Online"],
  ["break", "On a break"],
  ["offline", "Offline"],
];

export function Work() {
  const { user } = useShared();
  const isProvider = user?.status !== undefined;
  if (!user) return html`<${Title}>Work<//><${Skeleton} rows=${3} kind="block" />`;
  if (!isProvider) {
    return html`<${Title}>Become a provider<//>
      <div class="columns">
        <div class="column">
          <section class="card">
            <p>Name your price for a minute. People find you under People and can call you.</p>
            <${Terms} own=${null} />
          </section>
        </div>
        <div class="column"><${Steps} /></div>
      </div>`;
  }
  return html`<${Provider} user=${user} />`;
}

function Steps() {
  return html`<section class="card">
    <h2>How it works</h2>
    <ol class="steps">
      <li>You choose when: online, on a break or offline, at a press.</li>
      <li>While this page is open your phone rings here, with who calls and what they pay.</li>
      <li>Callers pay by the minute they talk. Your share is yours as soon as the call is over.</li>
      <li>Afterwards callers may rate the call, and others see it.</li>
    </ol>
  </section>`;
}

function Provider({ user }) {
  const { api } = useApp();
  const { inbox, money: moved } = useShared();
  const own = useLoaded(() => api.get("/otomo/me"), []);
  const earnings = useLoaded(() => api.get("/wallet/earnings"), [moved, inbox]);
  const stats = useLoaded(() => api.get("/otomo/stats/summary", { days: 30 }), [moved]);
  return html`
    <${Title} aside=${html`<a class="button small" href=${to("people", user.id)}>As others see me</a>`}>
      Work
    <//>
    <div class="columns">
      <div class="column">
        <${Standing} user=${user} own=${own.data?.otomo} />
        <${Earnings} found=${earnings} />
        <${Payouts} earnings=${earnings.data} onMoved=${earnings.again} />
        <${Month} found=${stats} />
      </div>
      <div class="column">
        <section class="card">
          <h2>Price and profile</h2>
          ${own.error && html`<${Failure} error=${own.error} again=${own.again} />`}
          ${!own.data && !own.error && html`<${Skeleton} rows=${4} />`}
          ${own.data && html`<${Terms} own=${own.data.otomo} />`}
        </section>
      </div>
    </div>
  `;
}

function Standing({ user, own }) {
  const { client, desk, site, store } = useApp();
  const { presence } = useShared();
  const now = presence.get(user.id)?.presence ?? user.status;
  const change = async (wanted, message) => {
    try {
      await client.setPresence(wanted, message);
      const own = { presence: wanted, statusMessage: message ?? null };
      store.set({ presence: new Map(store.state.presence).set(user.id, own) });
      if (message !== undefined) desk.toast("Your status message is set.", "good");
    } catch (error) {
      desk.toast(sayError(error, site), "bad");
    }
  };
  const submit = (event) => {
    event.preventDefault();
    const message = new FormData(event.target).get("message").trim();
    change(now === "busy" ? "online" : now, message);
  };
  return html`<section class="card">
    <h2>Calls</h2>
    <${Choice} label="Whether you take calls" options=${SETTABLE} value=${now} onChange=${(to) => change(to)} />
    <p class="soft small" role="status">
      ${now === "online" && "People can call you while this page is open."}
      ${now === "busy" && "You are in a call; nobody else can reach you."}
      ${now === "break" && "People see that you are on a break. Nobody can call you."}
      ${now === "offline" && "Nobody can call you. Go online to take calls."}
    </p>
    ${own &&
    html`<form class="form inline-form" onSubmit=${submit}>
      <${Field} id="message" name="message" label="Status message" maxlength="140"
        defaultValue=${own.statusMessage ?? ""} placeholder="What shall people know?" />
      <button class="button" type="submit">Set</button>
    </form>`}
  </section>`;
}

function Earnings({ found }) {
  const { site } = useApp();
  const { data, error, again } = found;
  if (error) return html`<${Failure} error=${error} again=${again} />`;
  if (!data) return html`<${Skeleton} rows=${1} kind="block" />`;
  const sum = (minor) => money(minor, data.currency, site.currencyExponent);
  return html`<section class="card balance" aria-label="Earnings">
    <p class="soft">Earned in all</p>
    <p class="sum number">${sum(data.totalEarned)}</p>
    <dl class="balance-parts">
      <div><dt>Ready to be paid out</dt><dd class="number">${sum(data.available)}</dd></div>
      <div>
        <dt>Pending${data.nextReleaseAt && html`<span class="small">, next ${when(data.nextReleaseAt)}</span>`}</dt>
        <dd class="number">${sum(data.pending)}</dd>
      </div>
      ${data.inPayout > 0 && html`<div><dt>Being paid out</dt><dd class="number">${sum(data.inPayout)}</dd></div>`}
      ${data.paidOut > 0 && html`<div><dt>Paid out</dt><dd class="number">${sum(data.paidOut)}</dd></div>`}
    </dl>
  </section>`;
}

function Month({ found }) {
  const { data } = found;
  if (!data) return null;
  return html`<section class="card">
    <h2>The last ${data.days} days</h2>
    <dl class="figures">
      <div><dt>Calls</dt><dd class="number">${data.calls}</dd></div>
      <div><dt>Minutes</dt><dd class="number">${data.minutes}</dd></div>
      <div><dt>Callers</dt><dd class="number">${data.uniqueCallers}</dd></div>
      <div><dt>Rating</dt><dd><${Stars} rating=${data.rating} count=${data.reviewCount} /></dd></div>
    </dl>
  </section>`;
}

const words = (text) => [...new Set(text.split(",").map((word) => word.trim()).filter(Boolean))];

/** Price, name, introduction and topics; the first time they make a provider of a customer. */
function Terms({ own }) {
  const { api, desk, site } = useApp();
  const { user } = useShared();
  const [error, setError] = useState(null);
  const [busy, setBusy] = useState(false);
  const scale = 10 ** site.currencyExponent;
  const submit = async (event) => {
    event.preventDefault();
    const form = Object.fromEntries(new FormData(event.target));
    const minor = (text) => Math.round(Number(text) * scale);
    setBusy(true);
    setError(null);
    try {
      await api.put("/otomo/profile", {
        displayName: form.displayName.trim(),
        priceAudio: minor(form.priceAudio),
        priceVideo: minor(form.priceVideo),
        ...(own ? {} : { pricePerMinute: minor(form.priceAudio) }),
        introduction: form.introduction.trim(),
        genres: words(form.genres),
        tags: words(form.tags),
      });
      desk.toast(own ? "Saved. New calls have the new price." : "You can take calls now.", "good");
      // What a provider may do stands in a token made from now on.
      if (!own) await api.token(api.session.accessToken);
      await desk.refreshUser();
    } catch (caught) {
      setError(caught);
    }
    setBusy(false);
  };
  const price = (minor) => (minor ?? 100 * scale) / scale;
  const number = { type: "number", min: 0, step: 1 / scale, required: true };
  return html`<form class="form" onSubmit=${submit}>
    <${Field} id="display" name="displayName" label="Name that people see" required maxlength="50"
      defaultValue=${own?.displayName ?? user.name} />
    <div class="pair">
      <${Field} id="price-audio" name="priceAudio" label=${`Audio, ${site.currency} a minute`}
        defaultValue=${price(own?.priceAudio)} ...${number} />
      <${Field} id="price-video" name="priceVideo" label=${`Video, ${site.currency} a minute`}
        defaultValue=${price(own?.priceVideo)} ...${number} />
    </div>
    <${Field} id="introduction" label="Introduction">
      ${(id) => html`<textarea class="input" id=${id} name="introduction" rows="4" maxlength="1000">
${own?.introduction ?? ""}</textarea
      >`}
    <//>
    <${Field} id="genres" name="genres" label="Topics" defaultValue=${(own?.genres ?? []).join(", ")}
      hint="With commas between them." />
    <${Field} id="tags" name="tags" label="Tags" defaultValue=${(own?.tags ?? []).join(", ")} />
    ${own && html`<p class="soft small">You get ${own.shareBps / 100} % of what callers pay.</p>`}
    <${Wrong} error=${error} />
    <button class="button main" type="submit" disabled=${busy}>${own ? "Save" : "Become a provider"}</button>
  </form>`;
}
