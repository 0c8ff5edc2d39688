/** What the screens share: who is here, what they have, what is unread, who is online. */

import {
  createContext,
  useContext,
  useEffect,
  useReducer,
  useState,
} from "/assets/vendor/preact-htm/preact-htm.js";

/**
 * @typedef {object} Shared
 * @property {object | null} user  the account, as `GET /auth/me` has it
 * @property {object | null} balance  as `GET /wallet/balance` has it
 * @property {number} unread  of the inbox
 * @property {Map<string, {presence: string, statusMessage: string | null}>} presence
 * @property {object[]} toasts  what is said at the edge of the screen for a while
 * @property {number} calls  grows when the history has changed
 * @property {number} money  grows when a wallet has changed
 * @property {number} inbox  grows when the inbox has changed
 */

/** @returns {Shared} */
export const nothing = () => ({
  user: null,
  balance: null,
  unread: 0,
  presence: new Map(),
  toasts: [],
  calls: 0,
  money: 0,
  inbox: 0,
});

export class Store {
  constructor() {
    this.state = nothing();
    this._listeners = new Set();
  }

  /** @param {Partial<Shared>} change */
  set(change) {
    this.state = { ...this.state, ...change };
    for (const listener of [...this._listeners]) listener();
  }

  /** @param {() => void} listener  @returns {() => void} ends it */
  subscribe(listener) {
    this._listeners.add(listener);
    return () => this._listeners.delete(listener);
  }
}

/** `{api, client, site, store, desk}`; `client` is null while nobody is logged in. */
export const AppContext = createContext(null);

export const useApp = () => useContext(AppContext);

/** The shared state, drawn anew with every change of it. */
export function useShared() {
  const { store } = useApp();
  const [, draw] = useReducer((n) => n + 1, 0);
  useEffect(() => {
    draw(); // It may have changed before this was drawn.
    return store.subscribe(draw);
  }, [store]);
  return store.state;
}

/** The state of the client's line and call, drawn anew with every change of it. */
export function useClient() {
  const { client } = useApp();
  const [, draw] = useReducer((n) => n + 1, 0);
  useEffect(() => {
    draw();
    return client.subscribe(draw);
  }, [client]);
  return client.state;
}

/**
 * What `load` answers, asked anew when something in `inputs` changes. While asked anew the old
 * answer stays.
 *
 * @param {() => Promise<any>} load
 * @param {any[]} inputs
 * @returns {{data: any, error: Error | null, loading: boolean, again: () => void}}
 */
export function useLoaded(load, inputs) {
  const [found, setFound] = useState({ data: null, error: null, loading: true });
  const [turn, again] = useReducer((n) => n + 1, 0);
  useEffect(() => {
    let wanted = true;
    setFound((before) => ({ ...before, loading: true }));
    load().then(
      (data) => wanted && setFound({ data, error: null, loading: false }),
      (error) => wanted && setFound((before) => ({ ...before, error, loading: false })),
    );
    return () => {
      wanted = false;
    };
  }, [...inputs, turn]);
  return { ...found, again };
}

/** Server time now, drawn anew every `everyMs`; without `everyMs` it stands still. */
export function useNow(everyMs) {
  const { client } = useApp();
  const [, draw] = useReducer((n) => n + 1, 0);
  useEffect(() => {
    if (!everyMs) return undefined;
    const timer = setInterval(draw, everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return client.now();
}
