/** The frame of all screens but a call: where one is, where one can go, how the line is. */

import { html, useEffect, useState } from "/assets/vendor/preact-htm/preact-htm.js";
import { History } from "./history.js";
import { Icon } from "./icons.js";
import { Inbox } from "./inbox.js";
import { Me } from "./me.js";
import { People } from "./people.js";
import { to, useRoute } from "./router.js";
import { useApp, useClient, useLoaded, useShared } from "./store.js";
import { Wallet } from "./wallet.js";
import { sayClosed, sayError } from "./words.js";
import { Work } from "./work.js";

const SCREENS = { people: People, history: History, work: Work, wallet: Wallet, inbox: Inbox, me: Me };
const NAMES = [
  ["people", "People", "people"],
  ["history", "History", "history"],
  ["work", "Work", "work"],
  ["wallet", "Wallet", "wallet"],
  ["inbox", "Inbox", "bell"],
  ["me", "Me", "person"],
];

export function Shell() {
  const [first = "people", second = null] = useRoute();
  const { user } = useShared();
  const isProvider = user?.status !== undefined;
  const known = SCREENS[first] ? first : "people";
  useEffect(() => {
    if (first !== known) location.replace(to("people"));
    const name = NAMES.find(([key]) => key === known)[1];
    document.title = `${name} · Talktime`;
  }, [first]);
  const Screen = SCREENS[known];
  const names = NAMES.filter(([key]) => key !== "work" || isProvider || known === "work");
  return html`<div class="shell">
    <a class="skip" href="#screen" onClick=${skip}>To the content</a>
    <${Navigation} names=${names} now=${known} />
    <div class="page">
      <${Line} />
      <${Elsewhere} />
      <main id="screen" tabindex="-1" class=${`screen screen-${known}`}>
        <${Screen} key=${known} chosen=${second} />
      </main>
    </div>
  </div>`;
}

function skip(event) {
  event.preventDefault();
  document.getElementById("screen").focus();
}

function Navigation({ names, now }) {
  const { unread } = useShared();
  return html`<nav class="navigation" aria-label="Screens">
    <a class="brand" href=${to("people")}>
      <img src="/assets/shared/icon.svg" alt="" width="34" height="34" />
      <span>Talktime</span>
    </a>
    <ul>
      ${names.map(
        ([key, name, icon]) => html`<li key=${key}>
          <a href=${to(key)} aria-current=${key === now ? "page" : undefined}>
            <span class="nav-icon">
              <${Icon} name=${icon} />
              ${key === "inbox" &&
              unread > 0 &&
              html`<span class="count" aria-hidden="true">${unread > 99 ? "99+" : unread}</span>`}
            </span>
            <span>
              ${name}
              ${key === "inbox" && unread > 0 && html`<span class="hushed">, ${unread} unread</span>`}
            </span>
          </a>
        </li>`,
      )}
    </ul>
  </nav>`;
}

/** Nothing while the line is up; else what is wrong with it, and since a moment only. */
function Line() {
  const { link, retryAt, stopCode } = useClient();
  const [late, setLate] = useState(false);
  const [, tick] = useState(0);
  useEffect(() => {
    setLate(false);
    if (link === "online" || link === "off") return undefined;
    const timer = setTimeout(() => setLate(true), link === "connecting" ? 1500 : 0);
    const second = setInterval(() => tick((n) => n + 1), 1000);
    return () => [clearTimeout(timer), clearInterval(second)];
  }, [link]);
  if (!late) return html`<div class="line" role="status"></div>`;
  const left = Math.max(0, Math.ceil(((retryAt ?? 0) - Date.now()) / 1000));
  return html`<div class="line" role="status">
    <div class=${`note ${link === "stopped" ? "bad" : "warn"}`}>
      ${link === "stopped" && html`<span>${sayClosed(stopCode)}</span>`}
      ${link === "stopped" && html`<${WayOut} code=${stopCode} />`}
      ${link === "waiting" &&
      html`<span>
        No connection to the server. <span aria-hidden="true">Trying again in ${left} s.</span>
      </span>`}
      ${link === "connecting" && html`<span>Connecting…</span>`}
    </div>
  </div>`;
}

/** What helps after a line was closed for good. */
function WayOut({ code }) {
  const { client, desk } = useApp();
  const [word, press] = [4401, 4502, 4504].includes(code)
    ? ["Log in again", () => desk.leave()]
    : [1000, 4503].includes(code)
      ? ["Use this one", () => client.start()]
      : ["Reload", () => location.reload()];
  return html`<button class="button small" type="button" onClick=${press}>${word}</button>`;
}

/** A call of this person that runs on another device, or has lost it. */
function Elsewhere() {
  const { api, client, desk, site } = useApp();
  const { elsewhere } = useClient();
  const id = elsewhere?.id ?? null;
  const { data } = useLoaded(() => (id ? api.get("/calls/active") : Promise.resolve(null)), [id]);
  const [busy, setBusy] = useState(false);
  if (!elsewhere) return null;
  const call = data?.call?.id === id ? data.call : null;
  const name = call ? html` with <strong>${call.withUser.name}</strong>` : "";
  const take = async () => {
    setBusy(true);
    try {
      await client.take({ video: call?.kind === "video" });
    } catch (error) {
      desk.toast(sayError(error, site), "bad");
    }
    setBusy(false);
  };
  return html`<div class="note good elsewhere" role="status">
    <${Icon} name="device" />
    ${elsewhere.canTake
      ? html`<p>Your call${name} has lost its other device. It waits half a minute.</p>
          <button class="button main small" type="button" disabled=${busy} onClick=${take}>
            Continue on this device
          </button>`
      : html`<p>Your call${name} is on another device.</p>`}
  </div>`;
}
