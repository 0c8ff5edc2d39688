/**
 * The log-in of the operator's console: whoever is logged in there is so here, in the same tab. It
 * is kept in sessionStorage alone, so that it ends with the tab.
 */

import { Api } from "/assets/client/api.js";

const api = new Api({ storage: sessionStorage, key: "talktime.console" });

/** The account that is logged in, or null. */
export const current = () => api.session?.user ?? null;

/** Log in; rejects with an ApiError. */
export const logIn = (email, password) => api.login({ email, password });

/** End the session here, and at the server if it can be reached. */
export async function logOut() {
  if (api.session) await api.logout();
}

/** POST as who is logged in; rejects with an ApiError. */
export const post = (path, body) => api.post(path, body);
