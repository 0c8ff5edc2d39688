/** Our own microphone and camera. */

const VIDEO = { width: { ideal: 640 }, height: { ideal: 480 }, facingMode: "user" };

/** The microphones, cameras and speakers there are; unnamed before one was allowed. */
export async function listDevices() {
  const found = await navigator.mediaDevices.enumerateDevices();
  const of = (kind) => found.filter((each) => each.kind === kind);
  return {
    microphones: of("audioinput"),
    cameras: of("videoinput"),
    speakers: of("audiooutput"),
  };
}

export class Capture {
  /**
   * @param {object} options
   * @param {(stream: MediaStream | null) => void} options.onChange  `stream` is another one
   * @param {(kind: "audio" | "video") => void} options.onEnded  a device has gone
   */
  constructor({ onChange, onEnded }) {
    /** @type {MediaStream | null} */
    this.stream = null;
    this._onChange = onChange;
    this._onEnded = onEnded;
    this._ids = {};
    this._enabled = { audio: true, video: true };
  }

  track(kind) {
    return this.stream?.getTracks().find((track) => track.kind === kind) ?? null;
  }

  /**
   * Have tracks of these kinds ("audio", "video"), asking once for those that are missing.
   *
   * @throws {DOMException}  NotAllowedError: denied; NotFoundError: there is no such device…
   */
  async open(...kinds) {
    await this._ask(kinds.filter((kind) => !this.track(kind)));
  }

  /** Another device, from now on and as long as it is there; null means the system's choice. */
  async use(kind, deviceId) {
    this._ids[kind] = deviceId;
    if (this.track(kind)) await this._ask([kind]);
  }

  /** Send silence, or nothing, and keep the device. */
  enable(kind, enabled) {
    this._enabled[kind] = enabled;
    const track = this.track(kind);
    if (track) track.enabled = enabled;
  }

  /** Let go of a device: its light goes out. */
  release(kind) {
    this._replace(kind, []);
  }

  close() {
    this._enabled = { audio: true, video: true };
    if (!this.stream) return;
    for (const track of this.stream.getTracks()) track.stop();
    this.stream = null;
    this._onChange(null);
  }

  async _ask(kinds) {
    if (!kinds.length) return;
    // Pages that came by plain HTTP have no media devices at all.
    if (!navigator.mediaDevices) throw new DOMException("The page is not secure.", "SecurityError");
    const wishes = Object.fromEntries(kinds.map((kind) => [kind, this._wish(kind)]));
    const given = await navigator.mediaDevices.getUserMedia(wishes);
    for (const kind of kinds) {
      const tracks = given.getTracks().filter((track) => track.kind === kind);
      for (const track of tracks) {
        track.enabled = this._enabled[kind];
        track.onended = () => this._onEnded(kind);
      }
      this._replace(kind, tracks);
    }
  }

  _wish(kind) {
    const id = this._ids[kind];
    return { ...(kind === "video" && VIDEO), ...(id && { deviceId: id }) };
  }

  _replace(kind, tracks) {
    const old = this.stream?.getTracks() ?? [];
    for (const track of old) if (track.kind === kind) track.stop();
    this.stream = new MediaStream([...old.filter((track) => track.kind !== kind), ...tracks]);
    this._onChange(this.stream);
  }
}
