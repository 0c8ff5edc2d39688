/** What there is, who wants to know of changes, and who wants to hear of events. */
export class Store {
  constructor(state) {
    this.state = state;
    this._subscribers = new Set();
    this._listeners = new Map();
    this._isTelling = false;
  }

  /** `fn(state)` after changes, once for those of a moment. Returns how to stop it. */
  subscribe(fn) {
    this._subscribers.add(fn);
    return () => this._subscribers.delete(fn);
  }

  /**
   * `fn(event)` with the server's events as they come, by type, or "*" for all of them; and with
   * "fault", for what went wrong in the background. Returns how to stop it.
   */
  on(type, fn) {
    if (!this._listeners.has(type)) this._listeners.set(type, new Set());
    this._listeners.get(type).add(fn);
    return () => this._listeners.get(type).delete(fn);
  }

  _set(change) {
    this.state = { ...this.state, ...change };
    if (this._isTelling) return;
    this._isTelling = true;
    queueMicrotask(() => {
      this._isTelling = false;
      for (const fn of [...this._subscribers]) careful(fn, this.state);
    });
  }

  _emit(event) {
    for (const type of [event.type, "*"]) {
      for (const fn of [...(this._listeners.get(type) ?? [])]) careful(fn, event);
    }
  }
}

/** A mistake of the app must not keep the others from hearing. */
function careful(fn, value) {
  try {
    fn(value);
  } catch (error) {
    reportError(error);
  }
}
