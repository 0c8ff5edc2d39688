/**
 * An admin's session: kept in sessionStorage alone, so that it ends with the tab.
 */

const KEY = "talktime.graphiql";

/** What the server said instead of an answer; `code` is its public code. */
export class Refusal extends Error {
  constructor(status, body) {
    super(body?.message ?? "The server did not answer. Try again.");
    this.status = status;
    this.code = body?.error ?? "";
  }
}

/** The session that is there: `{accessToken, refreshToken, name}`, or null. */
export function current() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY));
  } catch {
    return null;
  }
}

/** Log in; rejects with a Refusal. */
export async function logIn(email, password) {
  keep(await post("/auth/login", { email, password }), email);
}

/** End the session here, and at the server if it can be reached. */
export async function logOut() {
  const session = current();
  sessionStorage.removeItem(KEY);
  if (session) {
    await send("/auth/logout", undefined, session.accessToken).catch(() => null);
  }
}

/** POST with the session's token, renewed once when it has expired; rejects with a Refusal. */
export async function post(path, body) {
  const used = current()?.accessToken;
  let answer = await send(path, body, used);
  if (answer.status === 401 && used) {
    await renew(used);
    answer = await send(path, body, current()?.accessToken);
  }
  const told = await answer.json().catch(() => null);
  if (!answer.ok) {
    throw new Refusal(answer.status, told);
  }
  return told;
}

// A refresh token is good once: whoever else finds its token expired waits for the same renewal.
let renewing = null;

function renew(used) {
  const session = current();
  if (session && session.accessToken !== used) {
    return Promise.resolve();
  }
  renewing ??= exchange(session).finally(() => {
    renewing = null;
  });
  return renewing;
}

async function exchange(session) {
  const answer = await send("/auth/refresh", { refreshToken: session?.refreshToken });
  const told = await answer.json().catch(() => null);
  if (!answer.ok) {
    // For want of a server the session is not over.
    if (answer.status < 500 && answer.status !== 429) {
      sessionStorage.removeItem(KEY);
    }
    throw new Refusal(answer.status, told);
  }
  keep(told, session.name);
}

function keep({ accessToken, refreshToken }, name) {
  sessionStorage.setItem(KEY, JSON.stringify({ accessToken, refreshToken, name }));
}

async function send(path, body, token) {
  const headers = {};
  if (body !== undefined) {
    headers["Content-Type"] = "application/json";
  }
  if (token) {
    headers.Authorization = `Bearer ${token}`;
  }
  try {
    return await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
  } catch {
    throw new Refusal(0, null);
  }
}
