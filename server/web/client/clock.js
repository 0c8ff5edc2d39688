const SAMPLES = 8;

/** The server's Unix ms, from its answers to pings. */
export class Clock {
  constructor() {
    this._offsetMs = 0;
    this._samples = [];
  }

  now() {
    return Date.now() + this._offsetMs;
  }

  /** A first guess, until a pong knows how long the way is. */
  welcome(serverMs, nowMs) {
    if (!this._samples.length) this._offsetMs = serverMs - nowMs;
  }

  /** Of the last few samples the one with the shortest way is the most exact. */
  pong(sentMs, serverMs, nowMs) {
    const sample = { wayMs: nowMs - sentMs, offsetMs: serverMs - (nowMs + sentMs) / 2 };
    this._samples = [...this._samples, sample].slice(-SAMPLES);
    this._offsetMs = this._samples.reduce((a, b) => (b.wayMs < a.wayMs ? b : a)).offsetMs;
  }
}
