/**
 * A phone for one user in a browser. Its `state` says what there is, its methods are the buttons:
 *
 *     const api = new Api();
 *     await api.login({ email, password });
 *     const client = new Client({ api, device: { id: deviceId, platform: "web" } });
 *     client.subscribe(({ link, call }) => show(link, call));
 *     client.start();
 *     await client.request(userId, { kind: "video", maxPricePerMinute: 120 });
 *
 * State comes from snapshots and events; a command's answer only brings the first snapshot.
 */

import { fromSnapshot, isLeg, isLive } from "./call.js";
import { listDevices } from "./capture.js";
import { keptMessages, withMessage } from "./chat.js";
import { CommandError } from "./errors.js";
import { newId } from "./ids.js";
import { Line } from "./line.js";
import { TIMING } from "./timing.js";

export { Api, ApiError } from "./api.js";
export { CommandError, keptMessages };

export class Client extends Line {
  /**
   * @param {object} options
   * @param {import("./api.js").Api} options.api
   * @param {{id: string, name?: string, platform?: string}} options.device  two tabs are two
   * @param {string} [options.url]  of the socket
   * @param {typeof RTCPeerConnection} [options.rtc]
   * @param {boolean} [options.relayOnly]  as the deployment is; if not given the server is asked
   * @param {Partial<import("./timing.js").Timing>} [options.timing]
   */
  constructor({ api, device, url, rtc = globalThis.RTCPeerConnection, relayOnly, timing }) {
    super({
      api,
      device,
      url: url ?? `${(api.base || location.origin).replace(/^http/, "ws")}/ws`,
      rtc,
      relayOnly,
      timing: { ...TIMING, ...timing },
    });
    this._typedAt = null;
    this._onVisible = () => document.visibilityState === "visible" && this._socket.poke();
    this._onNetwork = () => {
      this._socket.poke();
      this._media?.networkChanged();
    };
  }

  start() {
    addEventListener("online", this._onNetwork);
    document.addEventListener("visibilitychange", this._onVisible);
    this._socket.start();
    // Known before there is a call, which may be asked for or answered while we are offline.
    this._do(this._learn());
  }

  /** Hang up and be gone. */
  stop() {
    removeEventListener("online", this._onNetwork);
    document.removeEventListener("visibilitychange", this._onVisible);
    this._socket.stop();
  }

  /** The server's time, in Unix ms. */
  now() {
    return Math.round(this._socket.clock.now());
  }

  /**
   * Send a command of the protocol, again and again until it is answered.
   *
   * @param {string} type
   * @param {{call?: string, data?: object, id?: string}} [options]
   * @returns {Promise<object>}
   * @throws {CommandError}
   */
  command(type, options) {
    return this._socket.command(type, options);
  }

  // -- calls

  /**
   * Ring a user. The call may be over at once (busy, away), or be theirs to us (both rang).
   *
   * @param {string} toUserId
   * @param {{kind?: "audio" | "video", maxPricePerMinute?: number}} [wish]
   * @returns {Promise<import("./call.js").CallState>}
   * @throws {CommandError}  insufficient_funds, price_changed…
   * @throws {DOMException}  there is no microphone, or we may not use it
   */
  async request(toUserId, { kind = "audio", maxPricePerMinute } = {}) {
    const data = { toUserId, kind, maxPricePerMinute, callId: newId() };
    const entered = this._enter(kind === "video", () => this.command("call_request", { data }));
    const asking = { id: data.callId, events: [], entered };
    this._asking = asking;
    try {
      await entered;
    } finally {
      if (this._asking === asking) this._asking = null;
    }
    for (const event of asking.events) this._about(event);
    return this.state.call;
  }

  /** Answer the call that rings. @param {{video?: boolean}} [wish] */
  async accept({ video = false } = {}) {
    const { id, media: own } = this._current();
    await this._enter(video, () => {
      const media = { audio: own.audio, video: this._capture.track("video") !== null };
      return this.command("call_accept", { call: id, data: { media } });
    });
    // What was answered with is not told to the caller.
    this._do(this._tellMedia(true));
    return this.state.call;
  }

  /** @param {"declined" | "busy" | "away"} reason @param {string} [note] */
  async reject(reason = "declined", note) {
    return this.command("call_reject", { call: this._current().id, data: { reason, note } });
  }

  /** Out, in any state; the terminal event says what it came to. */
  async hangUp() {
    // Nothing may be said about a call before its request is answered.
    await this._asking?.entered;
    return this.command("call_end", { call: this._current().id });
  }

  /**
   * Go on here with a call that another device of this user has lost (`elsewhere.canTake`), or with
   * ours, when there was no microphone for it at first.
   */
  async take({ video = false } = {}) {
    const { call, elsewhere } = this.state;
    await this._enter(video, async () => {
      const isOurs = isLeg(call) && !this._media.isStarted;
      const { id } = isOurs ? call : (elsewhere ?? this._current());
      const answer = await this.command(isOurs ? "ice_servers" : "call_take", { call: id });
      // The other leg has had offers: ours is the next.
      const snapshot = answer.call ?? this.state.call;
      return { ...answer, call: snapshot, gen: snapshot.gen };
    });
    this._do(this._recall());
    return this.state.call;
  }

  /** Open microphone and camera, ask for the call, and start its media. */
  async _enter(video, ask) {
    this._starting += 1;
    let wrong, answer;
    try {
      wrong = await this._open(video);
      answer = await ask();
    } catch (error) {
      this._letGo();
      throw error;
    } finally {
      this._starting -= 1;
    }
    const { call: snapshot, iceServers, gen = 0 } = answer;
    const known = this.state.call?.id === snapshot.id ? this.state.call : null;
    const call = fromSnapshot(snapshot, known);
    if (!isLive(call)) return this._end(call);
    this._show(call);
    if (!this._media.isStarted) this._begin(iceServers, gen, wrong);
  }

  /** Forget a call that has ended. */
  dismiss() {
    if (this.state.call?.state === "ended") this._set({ call: null });
  }

  // -- our media

  /** @param {{audio?: boolean, video?: boolean, hold?: boolean}} change */
  async setMedia(change) {
    const { id } = this._current();
    if (change.video) await this._wish(() => this._capture.open("video"));
    const { call } = this.state;
    if (call?.id !== id || !isLive(call)) return this._letGo();
    if (change.video === false) this._capture.release("video");
    this._patch({ media: { ...call.media, ...change }, error: null });
    this._media.apply();
    if (change.video !== undefined) await this._media.send("video");
    await this._tellMedia();
  }

  /** Another one from now on; null for the system's choice. */
  async useMicrophone(deviceId) {
    await this._capture.use("audio", deviceId);
    await this._media?.send("audio");
  }

  async useCamera(deviceId) {
    await this._capture.use("video", deviceId);
    await this._media?.send("video");
  }

  listDevices() {
    return listDevices();
  }

  // -- chat and presence

  async sendChat(text) {
    const { id } = this._current();
    this._typedAt = null;
    const { message } = await this.command("chat_send", { data: { conversation: id, text } });
    const { call, user } = this.state;
    if (call?.id === id) {
      this._patch({ messages: withMessage(call.messages, message, user.userId) });
    }
    return message;
  }

  /** Ask again for what was written before: `call.chatError` says that it could not be had. */
  async loadChat() {
    this._current();
    await this._recall();
  }

  async readChat(messageId) {
    const data = { conversation: this._current().id, message: messageId };
    return this.command("chat_read", { data });
  }

  /** Say so with each key that is pressed; it is told when that is news. */
  async typing(typing) {
    const conversation = this._current().id;
    const now = performance.now();
    const isTold = this._typedAt !== null && now - this._typedAt < this._timing.typingMs;
    if (typing ? isTold : this._typedAt === null) return;
    this._typedAt = typing ? now : null;
    await this.command("chat_typing", { data: { conversation, typing } });
  }

  /** @param {"online" | "break" | "offline"} presence @param {string} [statusMessage] */
  setPresence(presence, statusMessage) {
    return this.command("presence_set", { data: { presence, statusMessage } });
  }

  /** In place of what was watched before; `presence_updated` tells of them. */
  async watch({ users = [], directory = false }) {
    const data = { users, directory };
    await this.command("presence_watch", { data });
    this._watched = data;
  }

  _current() {
    const { call } = this.state;
    if (call) return call;
    throw new CommandError({ code: "wrong_state", message: "There is no call." });
  }
}
