/**
 * One WebSocket to the server that survives reconnects.
 *
 * A command is sent again, unchanged and with the same id, until the server has answered it. Events
 * come out in order and once. After every (re)connect the first event is `welcome`.
 */

import { Clock } from "./clock.js";
import { CommandError } from "./errors.js";
import { newId } from "./ids.js";
import { every } from "./ticker.js";

const PROTOCOL = 1;
const SUBPROTOCOL = "talktime.v1";
const STOP_FROM = 4400;
const UNAUTHORIZED = 4401;
const TOKEN_EXPIRED = 4502;
const BYE = 1000;
const LOST = 1006;
const ACK_EVERY = 64;
// The server knows so many ids again: more of them could take effect twice.
const PENDING_MAX = 256;
// What may be sent again by itself: how often, and after a pause of how long at most.
const RETRIES_MAX = 3;
const RETRY_MS_MAX = 2_500;

/** @typedef {"off" | "connecting" | "online" | "waiting" | "stopped"} LinkState */

export class Socket {
  /**
   * @param {object} options
   * @param {string} options.url  ws: or wss:
   * @param {import("./api.js").Api} options.api
   * @param {{id: string, name?: string, platform?: string}} options.device
   * @param {import("./timing.js").Timing} options.timing
   * @param {(event: object) => void} options.onEvent
   * @param {(change: {link: LinkState, retryAt?: number, stopCode?: number}) => void}
   *   options.onLink
   */
  constructor({ url, api, device, timing, onEvent, onLink }) {
    this.clock = new Clock();
    /** Set while the device is a leg: then a dead socket is noticed sooner. */
    this.inCall = false;
    this.replayTo = 0;
    this._url = url;
    this._api = api;
    this._device = device;
    this._timing = timing;
    this._onEvent = onEvent;
    this._onLink = onLink;
    this._link = "off";
    this._socket = null;
    this._stopBeat = null;
    this._pending = new Map();
    this._forget();
  }

  get online() {
    return this._link === "online";
  }

  start() {
    if (this._link !== "off" && this._link !== "stopped") return;
    this._attempt = 0;
    this._renewed = false;
    this._stopBeat = every(this._timing.beatMs, () => this._look());
    this._connect();
  }

  /** Say bye, which ends the session and hangs up. */
  stop() {
    if (this._link === "off") return;
    if (this.online) this._socket.send('{"type":"bye"}');
    this._end(BYE, "off");
  }

  /** The network has changed, or somebody looks again: be there now, or notice that we are not. */
  poke() {
    if (this._link === "waiting") this._connect();
    else if (this.online) {
      this._ping();
      this._deadAt = Math.min(this._deadAt, performance.now() + this._timing.probeMs);
    }
  }

  /**
   * @param {string} type
   * @param {{call?: string, data?: object, id?: string}} [options]
   * @returns {Promise<object>}  the `data` of the answer, however often the socket breaks before
   * @throws {CommandError}  refused, or stopped for good
   */
  command(type, { call, data = {}, id = newId() } = {}) {
    return new Promise((resolve, reject) => {
      if (this._link === "off" || this._link === "stopped") {
        reject(new CommandError({ code: "stopped", message: "There is no connection." }));
      } else if (this._pending.size >= PENDING_MAX) {
        reject(new CommandError({ code: "unavailable", message: "Too much is unanswered." }));
      } else {
        const frame = JSON.stringify({ type, id, call, data });
        this._pending.set(id, { frame, resolve, reject, retries: 0 });
        this._send(frame);
      }
    });
  }

  /** Nobody answers, and without a socket it is lost. */
  report(type, { call, data = {} }) {
    this._send(JSON.stringify({ type, call, data }));
  }

  _send(frame) {
    if (this.online) this._socket.send(frame);
  }

  // -- connecting

  async _connect() {
    this._tell("connecting");
    const attempt = (this._connecting = {});
    let token;
    try {
      token = await this._api.token(this._refused);
    } catch (error) {
      if (attempt === this._connecting) this._closed(error.status === 401 ? UNAUTHORIZED : LOST);
      return;
    }
    if (attempt !== this._connecting) return;
    const socket = new WebSocket(this._url, SUBPROTOCOL);
    this._socket = socket;
    this._token = token;
    this._deadAt = performance.now() + this._timing.welcomeMs;
    socket.onopen = () => socket.send(this._hello(token));
    socket.onmessage = ({ data }) => this._receive(JSON.parse(data));
    socket.onclose = ({ code }) => this._closed(code);
  }

  _hello(token) {
    const resume = this._session && { ...this._session, lastSeq: this._seq };
    const data = { token, device: this._device, protocol: PROTOCOL, resume: resume ?? undefined };
    return JSON.stringify({ type: "hello", data });
  }

  _closed(code) {
    this._drop();
    if (code === TOKEN_EXPIRED && !this._renewed) {
      this._renewed = true;
      this._refused = this._token;
      this._connect();
    } else if (code === BYE || code >= STOP_FROM) {
      this._end(code, "stopped");
    } else {
      const { backoffMs, backoffMaxMs } = this._timing;
      const middleMs = Math.min(backoffMaxMs, backoffMs * 2 ** this._attempt);
      const waitMs = this._drainingMs + middleMs * (0.5 + Math.random());
      this._attempt += 1;
      this._drainingMs = 0;
      this._retryAt = performance.now() + waitMs;
      this._tell("waiting", { retryAt: Date.now() + waitMs });
    }
  }

  _end(code, link) {
    this._drop();
    this._connecting = null;
    this._stopBeat();
    this._forget();
    const waiting = [...this._pending.values()];
    this._pending.clear();
    this._tell(link, link === "stopped" ? { stopCode: code } : {});
    for (const { reject } of waiting) {
      reject(new CommandError({ code: "stopped", message: `The connection ended (${code}).` }));
    }
  }

  _drop() {
    const socket = this._socket;
    this._socket = null;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  /** There is nothing to resume. */
  _forget() {
    this._session = null;
    this._seq = this._acked = this.replayTo = 0;
    this._drainingMs = 0;
    this._limits = {};
  }

  _tell(link, more = {}) {
    this._link = link;
    this._onLink({ link, ...more });
  }

  // -- heartbeat

  _look() {
    const now = performance.now();
    if (this._link === "waiting") {
      if (now >= this._retryAt) this._connect();
    } else if (this._socket && now > this._deadAt) {
      this._closed(LOST);
    } else if (this.online) {
      const { pingMs, pingCallMs } = this._limits;
      const dueMs = this.inCall ? pingCallMs : pingMs;
      if (now - this._pingedAt >= dueMs) this._ping();
      else if (this._seq - this._acked >= ACK_EVERY) {
        this._acked = this._seq;
        this._send(JSON.stringify({ type: "ack", data: { seq: this._seq } }));
      }
    }
  }

  _ping() {
    this._pingedAt = performance.now();
    this._acked = this._seq;
    this._send(JSON.stringify({ type: "ping", ack: this._seq, data: { t: Date.now() } }));
  }

  _heard() {
    const { deadMs, deadCallMs } = this._limits;
    this._deadAt = performance.now() + (this.inCall ? deadCallMs : deadMs);
  }

  // -- frames

  _receive(frame) {
    if (frame.type === "welcome") this._welcomed(frame);
    this._heard();
    if (frame.type === "ok" || frame.type === "error") this._answered(frame);
    else if (frame.type === "pong") this.clock.pong(frame.data.t, frame.data.now, Date.now());
    else if (frame.type !== "welcome" && frame.seq > this._seq) {
      this._seq = frame.seq;
      if (frame.type === "draining" && frame.seq > this.replayTo) {
        this._drainingMs = frame.data.retryMs;
      }
      this._onEvent(frame);
    }
  }

  _welcomed(frame) {
    const { session, secret, resumed, replayTo, now } = frame.data;
    if (!resumed) this._seq = this._acked = frame.seq;
    this._session = { session, secret };
    this._limits = frame.data;
    this._pingedAt = performance.now();
    this._attempt = 0;
    this._renewed = false;
    this._refused = undefined;
    this.replayTo = resumed ? replayTo : 0;
    this.clock.welcome(now, Date.now());
    // What it makes us say comes after what was not answered before.
    this._onEvent(frame);
    if (!this._socket) return;
    this._tell("online");
    for (const { frame: unanswered } of this._pending.values()) this._send(unanswered);
  }

  _answered({ type, re, data }) {
    const pending = this._pending.get(re);
    if (!pending) return;
    if (type === "error" && this._again(pending, data)) return;
    this._pending.delete(re);
    if (type === "ok") pending.resolve(data);
    else pending.reject(new CommandError(data));
  }

  /** Whether it is sent once more by itself: nothing was applied, and the same id is safe. */
  _again(pending, { code, retryAfterMs = 500 }) {
    const passing = code === "unavailable" || code === "rate_limited";
    if (!passing || retryAfterMs > RETRY_MS_MAX || pending.retries === RETRIES_MAX) return false;
    pending.retries += 1;
    setTimeout(() => this._send(pending.frame), retryAfterMs);
    return true;
  }
}
