/** What every page of the console stands on: the API, and the deployment's facts. */

import { Api } from "/assets/client/api.js";

/** Kept for this tab; /graphiql finds the log-in under the same key. */
export const api = new Api({ storage: sessionStorage, key: "talktime.console" });

/** What `/site.json` says; filled by `loadSite`. */
export const site = {
  dev: false,
  version: "",
  currency: "",
  currencyExponent: 0,
  accounts: [],
};

/** @returns {Promise<void>} rejects when the server cannot be reached */
export async function loadSite() {
  const answer = await fetch("/site.json");
  if (!answer.ok) throw new Error("The server does not say what it is. Try again in a moment.");
  Object.assign(site, await answer.json());
}

/** @param {object | null} session */
export const isOperator = (session) => Boolean(session?.user?.roles?.includes("admin"));

/**
 * An error in words that say what to do next.
 * @param {Error & {status?: number, code?: string}} error
 */
export function explain(error) {
  if (error.code === "OFFLINE" || error instanceof TypeError) {
    return "The server cannot be reached. Check the connection, then try again.";
  }
  if (error.status >= 500) return "The server could not do it just now. Try again in a moment.";
  return error.message;
}
