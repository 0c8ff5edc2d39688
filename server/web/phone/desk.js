/** What the page does besides drawing: logs in and out, keeps balance, inbox and presence fresh. */

import { Client } from "/assets/client/client.js";
import { nothing } from "./store.js";

const TOAST_MS = 6000;
const TOASTS_MAX = 3;

const random = () => crypto.getRandomValues(new Uint32Array(2)).join("-");

/** This installation and this tab: two tabs are two devices. */
function device() {
  const kept = (storage, key) => {
    const found = storage.getItem(key) ?? random();
    storage.setItem(key, found);
    return found;
  };
  const installation = kept(localStorage, "talktime.device");
  const tab = kept(sessionStorage, "talktime.tab");
  return { id: `web-${installation}.${tab}`, name: browser(), platform: "web" };
}

function browser() {
  const found = /(Edg|Firefox|Chrome|Safari)\//.exec(navigator.userAgent);
  return { Edg: "Edge", undefined: "Browser" }[found?.[1]] ?? found[1];
}

export class Desk {
  /**
   * @param {{api: import("/assets/client/api.js").Api, store: import("./store.js").Store,
   *   site: object, changed: () => void}} parts  `changed` is told when `client` is another
   */
  constructor({ api, store, site, changed }) {
    this.client = null;
    /** Another one with each log-in. */
    this.turn = 0;
    this._user = null;
    this._told = new Set();
    this._api = api;
    this._store = store;
    this._site = site;
    this._changed = changed;
    this._toasts = 0;
    api.subscribe((session) => this._session(session));
    if (api.session) this._session(api.session);
  }

  /** @param {string} text  @param {"good" | "bad" | ""} [kind] */
  toast(text, kind = "") {
    const id = ++this._toasts;
    const before = this._store.state.toasts.slice(1 - TOASTS_MAX);
    this._store.set({ toasts: [...before, { id, text, kind }] });
    setTimeout(() => this.untoast(id), TOAST_MS);
  }

  untoast(id) {
    this._store.set({ toasts: this._store.state.toasts.filter((each) => each.id !== id) });
  }

  /** Log out here. The line goes first: the server would cut it. */
  async leave() {
    this.client?.stop();
    await this._api.logout().catch(() => {}); // Forgotten here it is in any case.
  }

  /** What the account is, anew: after a change of the profile. */
  async refreshUser() {
    const { user } = await this._api.get("/auth/me");
    this._store.set({ user });
  }

  async refreshBalance() {
    const balance = await this._api.get("/wallet/balance");
    this._store.set({ balance, money: this._store.state.money + 1 });
  }

  async refreshUnread() {
    const { unreadCount } = await this._api.get("/notifications/unread-count");
    this._store.set({ unread: unreadCount });
  }

  _session(session) {
    const user = session?.user.id ?? null;
    if (user === this._user) return;
    // Another tab may have logged in as somebody else.
    this._user = user;
    this.turn += 1;
    this.client?.stop();
    this.client = null;
    this._store.set({ ...nothing(), toasts: this._store.state.toasts });
    if (session) this._enter(session);
    this._changed();
  }

  _enter(session) {
    this._store.set({ user: session.user });
    this.client = new Client({
      api: this._api,
      device: device(),
      relayOnly: this._site.relayOnly,
    });
    this._listen(this.client);
    this.client.start();
    this.client.watch({ directory: true }).catch(() => {}); // Kept until there is a line.
    for (const refresh of ["refreshUser", "refreshBalance", "refreshUnread"]) {
      this[refresh]().catch(() => {}); // The screens ask for themselves, and say what is wrong.
    }
  }

  _listen(client) {
    const store = this._store;
    const grow = (key) => store.set({ [key]: store.state[key] + 1 });
    // Who went while this session was away is not told of any more.
    client.on("welcome", ({ data }) => data.resumed || store.set({ presence: new Map() }));
    client.on("wallet_updated", () => this.refreshBalance().catch(() => {}));
    client.on("notification", (event) => {
      // After a crash of the server the same one may come twice.
      if (this._told.has(event.data.id)) return;
      this._told.add(event.data.id);
      store.set({ unread: store.state.unread + 1, inbox: store.state.inbox + 1 });
      // What a call or a payment came to is on the screen already, and nothing shall cover a call.
      const { call } = client.state;
      const { type, relatedEntityType } = event.data;
      const isShown = type === "CALL_SUMMARY" || relatedEntityType === "payment";
      const isTold = isShown || (call && call.state !== "ended");
      if (!isTold) this.toast(event.data.message);
    });
    client.on("notifications_read", (event) => {
      store.set({ unread: event.data.unreadCount, inbox: store.state.inbox + 1 });
    });
    client.on("presence_updated", (event) => {
      const { userId, presence, statusMessage } = event.data;
      const all = new Map(store.state.presence);
      all.set(userId, { presence, statusMessage });
      store.set({ presence: all });
    });
    for (const type of ["call_ended", "call_rejected"]) client.on(type, () => grow("calls"));
  }
}
