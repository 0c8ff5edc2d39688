/**
 * The WebRTC connection of a leg: offers, answers and candidates in and out.
 *
 * A generation (`gen`) is one offer and its answer. A connection is kept over generations, also
 * over an ICE restart; it is built anew when the other end is another, or when a restart failed.
 */

import { figuresOf } from "./quality.js";

const HELD_MAX = 64;
const CANDIDATES_MAX = 32;

export class Peer {
  /**
   * @param {object} options
   * @param {typeof RTCPeerConnection} options.rtc
   * @param {RTCConfiguration} options.config
   * @param {boolean} options.polite  gives way where offers cross: the callee
   * @param {number} options.gen  the newest generation so far
   * @param {boolean} options.offers  offer at once, else wait for an offer
   * @param {MediaStream} options.stream  what we send
   * @param {import("./timing.js").Timing} options.timing
   * @param {(signal: object) => Promise<object>} options.send
   * @param {(change: {flowing: boolean, gen: number, ms?: number, relay?: boolean}) => void}
   *   options.onMedia  media arrives, or is lost
   * @param {(stream: MediaStream) => void} options.onRemote
   * @param {(error: Error) => void} options.onFault
   */
  constructor({ rtc, config, polite, gen, offers, stream, timing, ...callbacks }) {
    /** Whether media of this generation has arrived and was not lost since. */
    this.flowing = false;
    this.gen = gen;
    this._rtc = rtc;
    this._config = { ...config, bundlePolicy: "max-bundle" };
    this._polite = polite;
    this._stream = stream;
    this._timing = timing;
    this._send = callbacks.send;
    this._onMedia = callbacks.onMedia;
    this._onRemote = callbacks.onRemote;
    this._onFault = callbacks.onFault;
    this._closed = false;
    this._steps = Promise.resolve();
    this._held = [];
    this._audible = true;
    // The newest offer of ours that the server has taken.
    this._taken = 0;
    this._retried = false;
    // What earlier connections have brought.
    this._base = { inBytes: 0, outBytes: 0 };
    this._last = null;
    this._build(offers);
  }

  /** Whether an offer of ours is out. */
  get isUnanswered() {
    return this._pc.signalingState === "have-local-offer";
  }

  /** A `signal` of the other leg. Signals are worked off one after the other. */
  receive(signal) {
    this._do(() => this._take(signal));
  }

  /** Mend the connection by an offer, in a generation beyond `above` too. */
  restart(above = 0) {
    this._do(() => this._restart(above));
  }

  /**
   * The server knows of `gen` only: go back to it, and offer anew. An offer that was under way, and
   * that the server takes meanwhile, stands.
   */
  reset(gen, offers) {
    const taken = this._taken;
    this._do(() => {
      if (this._taken > taken) return;
      this.gen = this._taken = gen;
      this._build(offers);
    });
  }

  /** The other leg will offer again; when it does not in time, we do. */
  expectOffer() {
    const { gen } = this;
    clearTimeout(this._expecting);
    this._expecting = setTimeout(() => {
      if (gen === this.gen && (!this.flowing || this.isUnanswered)) this.restart();
    }, this._timing.offerMs);
  }

  /** The other leg moved to another device, so this connection leads nowhere any more. */
  otherDevice() {
    this.flowing = false;
    this.expectOffer();
  }

  /** This device's network has changed: do not wait until the connection is given up. */
  networkChanged() {
    const { connectionState } = this._pc;
    if (connectionState === "disconnected" || connectionState === "failed") this._lose(this._pc);
  }

  /** Fresh servers and credentials, for the next gathering. */
  use(iceServers) {
    this._config = { ...this._config, iceServers };
    this._pc.setConfiguration(this._config);
  }

  /** Send this track; null: no more of the kind. The first one of a kind makes a new offer. */
  async sendTrack(kind, track, stream) {
    this._stream = stream;
    const sender = this._senders[kind];
    if (sender) await sender.replaceTrack(track);
    else if (track) this._senders[kind] = this._pc.addTrack(track, stream);
  }

  /** Whether what arrives is played. */
  setAudible(audible) {
    this._audible = audible;
    for (const track of this._heardTracks) track.enabled = audible;
  }

  /** Figures of now; bytes of all connections so far. */
  async figures() {
    const pc = this._pc;
    const figures = figuresOf(await pc.getStats());
    if (pc === this._pc) this._last = figures;
    const inBytes = this._base.inBytes + figures.inBytes;
    const outBytes = this._base.outBytes + figures.outBytes;
    return { ...figures, inBytes, outBytes };
  }

  close() {
    this._closed = true;
    clearTimeout(this._expecting);
    this._drop();
  }

  // -- connections

  _build(offers) {
    this._drop();
    const pc = new this._rtc(this._config);
    this._pc = pc;
    this.flowing = this._lost = this._retried = false;
    this._mayOffer = offers;
    this._remoteGen = 0;
    this._senders = {};
    this._heardTracks = new Set();
    this._since = performance.now();
    pc.onnegotiationneeded = () => {
      if (this._mayOffer) this._do(() => this._offer(pc));
    };
    pc.onicecandidate = ({ candidate }) => this._gathered(candidate);
    pc.ontrack = ({ track }) => this._heard(track);
    pc.onconnectionstatechange = () => this._changed(pc);
    for (const track of this._stream.getTracks()) {
      this._senders[track.kind] = pc.addTrack(track, this._stream);
    }
  }

  _drop() {
    clearTimeout(this._gathering);
    clearTimeout(this._doubt);
    this._gathering = null;
    this._candidates = [];
    if (this._last) {
      this._base.inBytes += this._last.inBytes;
      this._base.outBytes += this._last.outBytes;
      this._last = null;
    }
    const pc = this._pc;
    if (!pc) return;
    pc.onnegotiationneeded = pc.onicecandidate = pc.ontrack = pc.onconnectionstatechange = null;
    pc.close();
  }

  _changed(pc) {
    clearTimeout(this._doubt);
    if (pc.connectionState === "connected") {
      this._arrive(pc).catch(this._onFault);
    } else if (pc.connectionState === "failed") {
      this._lose(pc);
    } else if (pc.connectionState === "disconnected") {
      this._doubt = setTimeout(() => this._lose(pc), this._timing.disconnectedMs);
    }
  }

  /** Connected means little yet: media flows when packets arrive. */
  async _arrive(pc) {
    if (this.flowing) return;
    const isNew = !this._last;
    const before = isNew ? 0 : (await this.figures()).inPackets;
    while (pc === this._pc && pc.connectionState === "connected" && !this._closed) {
      const { inPackets, relay } = await this.figures();
      if (this.flowing) return;
      if (inPackets > before) {
        this.flowing = true;
        this._lost = this._retried = false;
        const ms = Math.round(performance.now() - this._since);
        this._onMedia({ flowing: true, gen: this.gen, ms, relay });
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, this._timing.arriveMs));
    }
  }

  _lose(pc) {
    if (pc !== this._pc || this._closed) return;
    if (!this._lost) this._onMedia({ flowing: false, gen: this.gen });
    this._lost = true;
    this.flowing = false;
    // Both sides notice; to wait a little on one side spares most crossings.
    if (this._polite) this.expectOffer();
    else this.restart();
  }

  _heard(track) {
    track.enabled = this._audible;
    this._heardTracks.add(track);
    this._onRemote(new MediaStream([...this._heardTracks]));
  }

  // -- signals

  _do(step) {
    const careful = async () => {
      if (!this._closed) await step();
    };
    this._steps = this._steps.then(careful).catch(this._onFault);
  }

  _restart(above) {
    clearTimeout(this._expecting);
    this.gen = Math.max(this.gen, above);
    const pc = this._pc;
    if (pc.signalingState === "stable" && pc.currentRemoteDescription && !this._retried) {
      this._retried = true;
      pc.restartIce();
    } else {
      this._build(true);
    }
  }

  async _offer(pc) {
    // Not stable: the browser asks again when it is.
    if (pc !== this._pc || pc.signalingState !== "stable") return;
    clearTimeout(this._expecting);
    this.gen += 1;
    const { gen } = this;
    this._since = performance.now();
    await pc.setLocalDescription();
    const answer = await this._send({ kind: "offer", gen, sdp: pc.localDescription.sdp });
    // The other leg's offer is on its way to us.
    if (answer.stale || answer.superseded) this.expectOffer();
    else this._taken = gen;
  }

  async _take(signal) {
    const { kind, gen, sdp } = signal;
    if (kind === "offer") return this._takeOffer(gen, sdp);
    const pc = this._pc;
    if (kind === "answer") {
      if (gen !== this.gen || !this.isUnanswered) return;
      await pc.setRemoteDescription({ type: "answer", sdp });
      await this._release();
    } else if (gen === this.gen && gen === this._remoteGen) {
      await this._takeCandidates(signal);
    } else if (gen >= this.gen && this._held.length < HELD_MAX) {
      this._held.push(signal);
    }
  }

  async _takeOffer(gen, sdp) {
    const crossing = gen === this.gen && this.isUnanswered;
    if (gen < this.gen || (gen === this.gen && !(crossing && this._polite))) return;
    clearTimeout(this._expecting);
    if (this._isOther(sdp)) this._build(true);
    this.gen = gen;
    this._mayOffer = true;
    this._since = performance.now();
    const pc = this._pc;
    await pc.setRemoteDescription({ type: "offer", sdp });
    await pc.setLocalDescription();
    await this._send({ kind: "answer", gen, sdp: pc.localDescription.sdp });
    await this._release();
  }

  /** Whether an offer comes from another device, or from one that began anew. */
  _isOther(sdp) {
    const known = this._pc.currentRemoteDescription;
    return known !== null && fingerprintOf(known.sdp) !== fingerprintOf(sdp);
  }

  /** Take the candidates that waited for this generation; keep those of later ones. */
  async _release() {
    this._remoteGen = this.gen;
    const waiting = this._held;
    this._held = waiting.filter(({ gen }) => gen > this.gen);
    for (const signal of waiting) {
      if (signal.gen === this.gen) await this._takeCandidates(signal);
    }
    // A restart may be done without the connection ever having been down.
    if (this._pc.connectionState === "connected") this._arrive(this._pc).catch(this._onFault);
  }

  async _takeCandidates({ kind, candidates }) {
    const pc = this._pc;
    if (kind === "end") return pc.addIceCandidate();
    // One that is of no use, or of an offer that was rolled back, must not keep the others away.
    for (const each of candidates) await pc.addIceCandidate(each).catch(this._onFault);
  }

  _gathered(candidate) {
    if (candidate?.candidate) this._candidates.push(candidate.toJSON());
    if (candidate === null) this._flush(true);
    else this._gathering ??= setTimeout(() => this._flush(false), this._timing.gatherMs);
  }

  _flush(isEnd) {
    clearTimeout(this._gathering);
    this._gathering = null;
    const { gen } = this;
    while (this._candidates.length) {
      const candidates = this._candidates.splice(0, CANDIDATES_MAX);
      this._send({ kind: "candidates", gen, candidates }).catch(this._onFault);
    }
    if (isEnd) this._send({ kind: "end", gen }).catch(this._onFault);
  }
}

function fingerprintOf(sdp) {
  return /^a=fingerprint:(.*)$/m.exec(sdp)?.[1].trim();
}
