/**
 * What comes in on a line: snapshots and events, and what they do to the one call of this device
 * and to its media.
 */

import { after, ended, fromSnapshot, isAnswered, isLeg, isLive } from "./call.js";
import { Capture } from "./capture.js";
import { keptMessages, withKept } from "./chat.js";
import { Media } from "./media.js";
import { Socket } from "./socket.js";
import { Store } from "./store.js";

const OTHERS = ["elsewhere", "canTake"];
const TERMINAL = ["call_rejected", "call_ended"];

/**
 * @typedef {object} State
 * @property {import("./socket.js").LinkState} link
 * @property {number | null} retryAt  when it is "waiting", in `Date.now()`
 * @property {number | null} stopCode  the close code when it is "stopped"
 * @property {object | null} user  our own profile
 * @property {object[]} recent  calls that ended not long ago
 * @property {import("./call.js").CallState | null} call
 * @property {{id: string, role: string, rev: number, canTake: boolean} | null} elsewhere  a live
 *   call on another device of this user
 */
const NOTHING = {
  link: "off",
  retryAt: null,
  stopCode: null,
  user: null,
  recent: [],
  call: null,
  elsewhere: null,
};

export class Line extends Store {
  constructor({ api, device, url, rtc, relayOnly, timing }) {
    super(NOTHING);
    this._api = api;
    this._device = device;
    this._rtc = rtc;
    this._relayOnly = relayOnly;
    this._timing = timing;
    this._socket = new Socket({
      url,
      api,
      device,
      timing,
      onEvent: (event) => this._receive(event),
      onLink: (change) => this._linked(change),
    });
    this._capture = new Capture({
      onChange: (local) => this._patch({ local }),
      onEnded: (kind) => this._do(this._replace(kind)),
    });
    /** @type {Media | null} of the call, from its first sign to its end */
    this._media = null;
    // The request that is not answered yet, with what has come about its call.
    this._asking = null;
    // Calls that are being entered, whose media starts with the answer to a command.
    this._starting = 0;
    this._watched = null;
    this._fault = (error) => {
      this._emit({ type: "fault", data: shown(error) });
    };
  }

  // -- state

  _patch(change) {
    if (this.state.call) this._set({ call: { ...this.state.call, ...change } });
  }

  _show(call) {
    if (isLive(call) && this._media?.callId !== call.id) this._renew(call.id);
    const { elsewhere } = this.state;
    this._set({ call, elsewhere: elsewhere?.id === call.id ? null : elsewhere });
    this._socket.inCall = isLeg(call);
    this._watchRing(call);
  }

  _renew(callId) {
    this._media?.close();
    const media = new Media({
      callId,
      call: () => this.state.call,
      socket: this._socket,
      capture: this._capture,
      rtc: this._rtc,
      timing: this._timing,
      onChange: (change) => media === this._media && this._patch(change),
      onFault: this._fault,
    });
    this._media = media;
  }

  /** A ring ends by itself if nobody tells us that it has. */
  _watchRing(call) {
    clearTimeout(this._ringing);
    if (!isLive(call) || call.you !== "ringing") return;
    const leftMs = call.expiresAt - this.now() + this._timing.ringOverMs;
    this._ringing = setTimeout(() => this._set({ call: null }), leftMs);
  }

  /** The call goes on without this device. */
  _leave({ id, role, rev }, canTake) {
    if (this.state.call?.id === id) {
      this._silence();
      this._set({ call: null });
    }
    this._set({ elsewhere: { id, role, rev, canTake } });
  }

  _end(call) {
    this._silence();
    this._show({ ...call, local: null, remote: null });
  }

  _silence() {
    clearTimeout(this._ringing);
    this._socket.inCall = false;
    this._media?.close();
    this._media = null;
    // What was opened for the next call is for that one to let go of.
    if (!this._starting) this._capture.close();
  }

  _do(work) {
    work.catch(this._fault);
  }

  // -- what comes

  _linked({ link, retryAt = null, stopCode = null }) {
    if (link === "off" || link === "stopped") {
      this._silence();
      this._set({ call: null, elsewhere: null });
    }
    this._set({ link, retryAt, stopCode });
  }

  _receive(event) {
    const { type, data } = event;
    if (type === "welcome") this._welcomed(data);
    else if (type === "call_incoming") this._incoming(event);
    else this._about(event);
    this._emit(event);
  }

  _welcomed({ user, recent, resumed, call: snapshot }) {
    this._set({ user, recent });
    if (!resumed) {
      this._miss(snapshot, recent);
      if (this._watched) this._do(this._socket.command("presence_watch", { data: this._watched }));
    }
    if (snapshot) this._resync(snapshot, resumed);
  }

  /** A new session: our call may have ended without our hearing of it. */
  _miss(snapshot, recent) {
    const { call } = this.state;
    if (snapshot?.id !== this.state.elsewhere?.id) this._set({ elsewhere: null });
    if (!isLive(call) || snapshot?.id === call.id) return;
    const unknown = { reason: null, by: null, final: null };
    this._end({ ...call, ...ended(recent.find(({ id }) => id === call.id) ?? unknown) });
  }

  /** The call as it is now. In a resumed session, the events that follow lead up to it. */
  _resync(snapshot, resumed) {
    const { call, elsewhere } = this.state;
    const isKnown = call?.id === snapshot.id;
    if (resumed && elsewhere?.id === snapshot.id) return;
    if (!isKnown || !resumed) {
      // Another node of the server may count the revisions of the same call anew.
      const before = isKnown ? { ...call, rev: 0 } : null;
      if (snapshot.you === "ringing") this._ring(fromSnapshot(snapshot, before));
      else if (snapshot.you === "active") this._show(fromSnapshot(snapshot, before));
      else this._leave(snapshot, snapshot.you === "canTake");
    }
    if (snapshot.you !== "active" || this.state.call?.id !== snapshot.id) return;
    // Messages are no part of the snapshot.
    if (!resumed && isAnswered(this.state.call)) this._do(this._recall());
    const isEarly = resumed || snapshot.state === "requested" || snapshot.state === "ringing";
    if (!(this._starting && isEarly)) this._do(this._rejoin(snapshot, resumed));
  }

  /** This device is the leg: go on with the media there is, or make some. */
  async _rejoin(snapshot, resumed) {
    if (this._media.isStarted) return this._media.rejoin(snapshot, resumed);
    const { id, gen, role, legs } = snapshot;
    try {
      const wrong = await this._open(legs[role].media.video);
      const { iceServers } = await this._socket.command("ice_servers", { call: id });
      if (this._media?.callId !== id) this._letGo();
      else if (!this._media.isStarted) this._begin(iceServers, gen, wrong);
      // An answer has started it meanwhile, but what came with that was for the session before.
      else await this._media.rejoin(snapshot, resumed);
    } catch (error) {
      this._letGo();
      throw error;
    }
  }

  _incoming({ seq, data: { call } }) {
    // What is replayed is old news: the welcome said what is ringing now.
    if (seq <= this._socket.replayTo || isLive(this.state.call)) return;
    this._ring(fromSnapshot(call, null));
  }

  _ring(call) {
    if (call.expiresAt - this.now() < this._timing.ringLeftMs) return;
    this._show(call);
    this._do(this._socket.command("call_ringing", { call: call.id }));
  }

  _about(event) {
    const { call } = this.state;
    const id = event.call ?? event.data.conversation ?? event.data.message?.conversation;
    if (id === undefined) return;
    if (id === this._asking?.id) this._asking.events.push(event);
    else if (id === call?.id) this._apply(call, event);
    else if (event.rev !== undefined) this._elsewhere(id, event);
  }

  _apply(call, event) {
    const { type, data } = event;
    if (type === "signal") this._media?.receive(data);
    if (type === "ice_servers") this._media?.use(data.iceServers);
    const next = after(call, event, this.state.user.userId);
    if (next === call) return;
    if (TERMINAL.includes(type)) {
      this._end(next);
      if (data.elsewhere) this._set({ call: null });
    } else if (OTHERS.includes(next.you) || this._isTaken(next, event)) {
      this._leave(next, next.you === "canTake");
    } else {
      this._show(next);
      this._follow(next, event);
    }
  }

  /** What an event about the call of this device makes us do. */
  _follow(call, { type, seq, data }) {
    if (type === "call_accepted") this._do(this._tellMedia());
    if (type === "call_taken") this._media.otherDevice();
    if (type === "chat_typing") this._watchTyping();
    // It may not have heard us.
    const isOurs = type === "call_reconnecting" && data.leg === call.role;
    if (isOurs && seq > this._socket.replayTo) this._do(this._media.confirm());
  }

  _isTaken({ role }, { type, data }) {
    return type === "call_taken" && data.leg === role && data.device !== this._device.id;
  }

  /** Who stops typing may never say so. */
  _watchTyping() {
    clearTimeout(this._typing);
    const stop = () => this._patch({ peerTyping: false });
    this._typing = setTimeout(stop, 2 * this._timing.typingMs);
  }

  /** A call that this device has no part in. Of a callee's it has seen more than its events. */
  _elsewhere(id, { type, rev, data }) {
    const { elsewhere } = this.state;
    const isKnown = elsewhere?.id === id;
    const known = isKnown ? elsewhere : { id, role: "caller", rev: 0, canTake: false };
    if (rev <= known.rev) return;
    if (TERMINAL.includes(type)) {
      if (isKnown) this._set({ elsewhere: null });
      return;
    }
    const isOurs = data.leg === known.role;
    let { canTake } = known;
    if (type === "call_reconnecting" && isOurs) canTake = true;
    if (type === "call_connected" || (type === "call_taken" && isOurs)) canTake = false;
    this._set({ elsewhere: { ...known, rev, canTake } });
  }

  // -- chat

  /** What was written in our call before this device was in it, or while it did not hear of it. */
  async _recall() {
    const { call, user } = this.state;
    if (!call) return;
    const isOver = () => this.state.call?.id !== call.id;
    try {
      const kept = await keptMessages(this._api, call.id, user.userId);
      if (isOver()) return;
      this._patch({ messages: withKept(this.state.call.messages, kept), chatError: null });
    } catch (error) {
      if (!isOver()) this._patch({ chatError: shown(error) });
    }
  }

  // -- media

  /** What the deployment wants of media. */
  async _learn() {
    this._relayOnly ??= (await this._api.get("/site.json")).relayOnly;
  }

  /**
   * Have a microphone, and a camera if `video`; and know by which ways media may go.
   *
   * @returns {Promise<Error | null>}  what is wrong with the camera: then there is sound only
   * @throws {DOMException}  there is no sound either
   */
  async _open(video) {
    await this._learn();
    let wrong = null;
    if (video) wrong = await this._capture.open("audio", "video").catch((error) => error);
    await this._wish(() => this._capture.open("audio"));
    return wrong ?? null;
  }

  /** Ask for a device; the call says what is wrong with it. */
  async _wish(ask) {
    try {
      await ask();
    } catch (error) {
      if (isLive(this.state.call)) this._patch({ error: shown(error) });
      throw error;
    }
  }

  /** A device was unplugged: go on with another, if there is one. */
  async _replace(kind) {
    await this._wish(() => this._capture.use(kind, null));
    await this._media?.send(kind);
  }

  /** Let go of what was opened for a call that did not come to be. */
  _letGo() {
    if (!this._media?.isStarted) this._capture.close();
  }

  _begin(iceServers, gen, wrong) {
    const video = this._capture.track("video") !== null;
    const { media } = this.state.call;
    const error = wrong && shown(wrong);
    this._patch({ local: this._capture.stream, media: { ...media, video }, error });
    this._media.start({ iceServers, relayOnly: this._relayOnly, gen });
    this._do(this._tellMedia());
  }

  /** Tell how our media is, if the server and the other leg do not know. */
  async _tellMedia(isNews = false) {
    const { call } = this.state;
    if (!isLeg(call) || !isAnswered(call)) return;
    const { role, legs, media } = call;
    const told = legs[role].media;
    if (!isNews && Object.keys(media).every((key) => media[key] === told[key])) return;
    this._patch({ legs: { ...legs, [role]: { ...legs[role], media } } });
    await this._socket.command("media_state", { call: call.id, data: media });
  }
}

/** A DOMException is known by its name; its `code` is a number of old. */
function shown({ code, name, message }) {
  return { code: typeof code === "string" ? code : name, message };
}
