/**
 * The media of one call: a peer connection, what the server is told of it, and what it takes for it
 * to outlive a lost socket.
 */

import { isAnswered, isLeg } from "./call.js";
import { Peer } from "./peer.js";
import { qualityOf } from "./quality.js";

const HELD_MAX = 64;

export class Media {
  /**
   * @param {object} options
   * @param {string} options.callId
   * @param {() => import("./call.js").CallState} options.call  the call as it is now
   * @param {import("./socket.js").Socket} options.socket
   * @param {import("./capture.js").Capture} options.capture
   * @param {typeof RTCPeerConnection} options.rtc
   * @param {import("./timing.js").Timing} options.timing
   * @param {(change: object) => void} options.onChange  of `remote` or `quality`
   * @param {(error: Error) => void} options.onFault
   */
  constructor({ callId, call, socket, capture, rtc, timing, onChange, onFault }) {
    this.callId = callId;
    this._call = call;
    this._socket = socket;
    this._capture = capture;
    this._rtc = rtc;
    this._timing = timing;
    this._onChange = onChange;
    this._onFault = onFault;
    this._peer = null;
    this._signals = [];
    this._measuring = null;
  }

  get isStarted() {
    return this._peer !== null;
  }

  /**
   * The caller offers, and whoever comes into a call that has offers (`gen`) already.
   *
   * @param {object} options
   * @param {RTCIceServer[]} options.iceServers
   * @param {boolean} options.relayOnly  show no address, use no way but the operator's relays
   * @param {number} options.gen
   */
  start({ iceServers, relayOnly, gen }) {
    const { role } = this._call();
    const iceTransportPolicy = relayOnly ? "relay" : "all";
    this._peer?.close();
    this._peer = new Peer({
      rtc: this._rtc,
      config: { iceServers, iceTransportPolicy },
      polite: role === "callee",
      gen,
      offers: gen > 0 || role === "caller",
      stream: this._capture.stream,
      timing: this._timing,
      send: (data) => this._command("signal", data),
      onMedia: (change) => this._changed(change),
      onRemote: (remote) => this._onChange({ remote }),
      onFault: this._onFault,
    });
    this.apply();
    for (const signal of this._signals.splice(0)) this._peer.receive(signal);
  }

  /** A signal of the other leg; early ones wait for `start`. */
  receive(signal) {
    if (this._peer) this._peer.receive(signal);
    else if (this._signals.length < HELD_MAX) this._signals.push(signal);
  }

  /**
   * After a welcome in which this device is the leg: say whether its media still flows, and mend
   * what does not. A resumed session has lost no signal, so what is under way goes on by itself.
   */
  async rejoin({ gen, state }, resumed) {
    const peer = this._peer;
    if (peer.flowing) {
      await this.confirm();
      if (!resumed && peer.isUnanswered) peer.restart(gen);
    } else if (state === "connected" || state === "reconnecting") {
      await this._command("media_lost", { gen: Math.max(1, gen, peer.gen), why: "ice" });
      if (resumed) peer.expectOffer();
      else peer.restart(gen);
    } else if (resumed) {
      return;
    } else if (gen < peer.gen) {
      // It may have lost what was offered, and nobody has media from it yet.
      peer.reset(gen, this._call().role === "caller" || gen > 0);
    } else if (state === "accepted" && gen > 0) {
      peer.restart(gen); // An answer or candidates may have been lost on the way.
    }
  }

  /** Say again that media flows, if it does. */
  async confirm() {
    if (this._peer?.flowing) await this._command("media_connected", { gen: this._peer.gen });
  }

  otherDevice() {
    this._peer?.otherDevice();
  }

  networkChanged() {
    this._peer?.networkChanged();
  }

  use(iceServers) {
    this._peer?.use(iceServers);
  }

  /** Send what the capture has of this kind now. */
  async send(kind) {
    await this._peer?.sendTrack(kind, this._capture.track(kind), this._capture.stream);
  }

  /** Mute and hold as the call has them. Media flows on: it is what time is proved by. */
  apply() {
    const { media } = this._call();
    this._capture.enable("audio", media.audio && !media.hold);
    this._capture.enable("video", !media.hold);
    this._peer?.setAudible(!media.hold);
  }

  close() {
    clearInterval(this._measuring);
    this._peer?.close();
    this._peer = null;
  }

  _command(type, data) {
    return this._socket.command(type, { call: this.callId, data });
  }

  _changed({ flowing, gen, ms, relay }) {
    if (!isLeg(this._call())) return;
    if (!flowing) {
      this._command("media_lost", { gen, why: "ice" }).catch(this._onFault);
      return;
    }
    this._command("media_connected", { gen, relay, ms }).catch(this._onFault);
    if (!this._measuring) this._measure();
  }

  _measure() {
    const { qualityMs, statsMs } = this._timing;
    let before = null;
    let toldAt = -Infinity;
    const look = async () => {
      const figures = await this._peer.figures();
      if (!this._peer) return;
      const at = performance.now();
      const quality = before && qualityOf(figures, before.figures, at - before.at);
      before = { figures, at };
      if (quality) this._onChange({ quality });
      if (at - toldAt < statsMs || !isAnswered(this._call())) return;
      toldAt = at;
      this._report(figures, quality);
    };
    const carefully = () => look().catch(this._onFault);
    this._measuring = setInterval(carefully, qualityMs);
    carefully();
  }

  /** The evidence that media flows: without it the meter stops. */
  _report({ rttMs, jitterMs, inBytes, outBytes, relay }, quality) {
    const loss = quality?.loss ?? 0;
    const data = { rttMs, loss, jitterMs, inBytes, outBytes, relay };
    this._socket.report("media_stats", { call: this.callId, data });
  }
}
