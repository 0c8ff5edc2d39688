/** The REST side of an app: one log-in, shared by all tabs of the browser. */

// How long before its end a token is renewed; of short-lived ones, a fifth of their life.
const RENEW_MS = 30_000;
const ANSWER_MS_MAX = 30_000;

/**
 * The server said no, or could not be reached (`status` 0, `code` "OFFLINE").
 * `message` is the server's, for developers.
 */
export class ApiError extends Error {
  /**
   * @param {number} status
   * @param {{error?: string, message?: string, details?: object, requestId?: string}} body
   * @param {number | null} retryAfterMs
   */
  constructor(status, body, retryAfterMs = null) {
    super(body.message ?? `The server answered with ${status}.`);
    this.name = "ApiError";
    this.status = status;
    this.code = body.error ?? "UNREADABLE";
    this.details = body.details ?? {};
    this.requestId = body.requestId ?? null;
    this.retryAfterMs = retryAfterMs;
  }
}

/**
 * @typedef {object} Session
 * @property {string} accessToken
 * @property {string} refreshToken
 * @property {number} expiresAt  of the access token, in `Date.now()`
 * @property {number} renewAt  when to get a new one
 * @property {object} user  the account, as the log-in answered it
 */

export class Api {
  /**
   * @param {object} [options]
   * @param {string} [options.base]  the server's address; "" is where the page came from
   * @param {Storage} [options.storage]  where the log-in is kept
   * @param {string} [options.key]  under which name
   */
  constructor({ base = "", storage = localStorage, key = "talktime.session" } = {}) {
    this.base = base;
    this._storage = storage;
    this._key = key;
    this._listeners = new Set();
    this._renewing = null;
    /** @type {Session | null} */
    this.session = this._kept();
    addEventListener("storage", (event) => {
      if (event.storageArea === storage && event.key === key) this._use(this._kept());
    });
  }

  /** `fn(session)` at log-in, renewal and log-out, of other tabs too. Returns how to stop it. */
  subscribe(fn) {
    this._listeners.add(fn);
    return () => this._listeners.delete(fn);
  }

  /** @param {{email?: string, phone?: string, password: string}} credentials */
  async login(credentials) {
    return this._enter(await this._send("POST", "/auth/login", { body: credentials }));
  }

  /** @param {{name: string, email: string, password: string}} account */
  async signup(account) {
    return this._enter(await this._send("POST", "/auth/signup", { body: account }));
  }

  /** @returns {Promise<{ttl: number, devCode?: string}>}  `ttl` in seconds */
  sendCode(phone) {
    return this._send("POST", "/otp/send", { body: { phone } });
  }

  /** @param {{phone: string, otp: string, role?: string, name?: string}} proof */
  async verifyCode(proof) {
    return this._enter(await this._send("POST", "/otp/verify", { body: proof }));
  }

  /** Forgets the log-in here whatever the server says. */
  async logout() {
    try {
      await this.post("/auth/logout");
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
    } finally {
      this._keep(null);
    }
  }

  get(path, query) {
    return this._ask("GET", path, { query });
  }

  /** `key` makes it safe to send the same again. */
  post(path, body, { key } = {}) {
    return this._ask("POST", path, { body, key });
  }

  put(path, body, { key } = {}) {
    return this._ask("PUT", path, { body, key });
  }

  patch(path, body, { key } = {}) {
    return this._ask("PATCH", path, { body, key });
  }

  delete(path) {
    return this._ask("DELETE", path, {});
  }

  /**
   * An access token that is good for a while; renewed first if it is about to end, or `refused`.
   *
   * @param {string} [refused]  a token the server did not take
   * @throws {ApiError} nobody is logged in, or the server cannot be reached
   */
  async token(refused) {
    const { session } = this;
    if (!session) throw new ApiError(401, { error: "UNAUTHORIZED", message: "Log in first." });
    if (session.accessToken !== refused && Date.now() < session.renewAt) return session.accessToken;
    this._renewing ??= this._renew(session).finally(() => (this._renewing = null));
    await this._renewing;
    return this.session.accessToken;
  }

  /**
   * A refresh token is good once, so one tab uses it. The browser may be slow to show the others
   * what that one has stored; for some seconds the server answers a second use with the same next.
   */
  _renew(session) {
    return locked(this._key, async () => {
      const kept = this._kept();
      if (kept?.accessToken !== session.accessToken) {
        this._use(kept);
        if (!kept) throw new ApiError(401, { error: "UNAUTHORIZED", message: "Logged out." });
        return;
      }
      const body = { refreshToken: session.refreshToken };
      try {
        const tokens = await this._send("POST", "/auth/refresh", { body });
        this._keep(sessionOf(tokens, session.user));
      } catch (error) {
        if (error.status === 400 || error.status === 401) this._keep(null);
        throw error;
      }
    });
  }

  async _ask(method, path, options) {
    if (!this.session) return this._send(method, path, options);
    const token = await this.token();
    try {
      return await this._send(method, path, { ...options, token });
    } catch (error) {
      if (error.code === "UNAUTHORIZED") this._forget(token);
      if (error.code !== "TOKEN_EXPIRED") throw error;
      return this._send(method, path, { ...options, token: await this.token(token) });
    }
  }

  async _send(method, path, { query, body, key, token }) {
    const headers = {};
    if (body !== undefined) headers["Content-Type"] = "application/json";
    if (key) headers["Idempotency-Key"] = key;
    if (token) headers.Authorization = `Bearer ${token}`;
    let answer, text;
    try {
      answer = await fetch(this.base + path + queryOf(query), {
        method,
        headers,
        body: body === undefined ? undefined : JSON.stringify(body),
        credentials: "omit",
        signal: AbortSignal.timeout(ANSWER_MS_MAX),
      });
      text = await answer.text();
    } catch {
      throw new ApiError(0, { error: "OFFLINE", message: "The server cannot be reached." });
    }
    const found = parsed(text);
    if (answer.ok && found) return found;
    const retryAfterS = Number(answer.headers.get("Retry-After"));
    throw new ApiError(answer.status, found ?? {}, retryAfterS ? retryAfterS * 1000 : null);
  }

  _enter(answer) {
    this._keep(sessionOf(answer, answer.user));
    return this.session;
  }

  /** Log out here, unless there is a newer log-in than that of `token`. */
  _forget(token) {
    if (this.session?.accessToken === token) this._keep(null);
  }

  _kept() {
    return parsed(this._storage.getItem(this._key) ?? "");
  }

  _keep(session) {
    if (session) this._storage.setItem(this._key, JSON.stringify(session));
    else this._storage.removeItem(this._key);
    this._use(session);
  }

  _use(session) {
    this.session = session;
    for (const fn of [...this._listeners]) fn(session);
  }
}

function sessionOf({ accessToken, refreshToken, expiresIn }, user) {
  const lifeMs = expiresIn * 1000;
  const expiresAt = Date.now() + lifeMs;
  const renewAt = expiresAt - Math.min(RENEW_MS, lifeMs / 5);
  return { accessToken, refreshToken, expiresAt, renewAt, user };
}

function queryOf(query) {
  const given = Object.entries(query ?? {}).filter(([, value]) => value != null && value !== "");
  return given.length ? `?${new URLSearchParams(given)}` : "";
}

/** What is not JSON is null. */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** One tab at a time, where the browser can tell (it cannot on plain HTTP). */
function locked(name, work) {
  return navigator.locks ? navigator.locks.request(name, work) : work();
}
