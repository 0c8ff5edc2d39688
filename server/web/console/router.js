/** Where one is: `#/calls/<id>?tab=live`. Filters and pages are in it, so that a link says all. */

import { useEffect, useState } from "/assets/vendor/preact-htm/preact-htm.js";

/** @returns {{path: string[], query: Record<string, string>}} */
export function here() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  return {
    path: path.split("/").filter(Boolean).map(decodeURIComponent),
    query: Object.fromEntries(new URLSearchParams(query)),
  };
}

/**
 * The `href` of a page of the console. Empty values of `query` are left out.
 * @param {string[]} path
 * @param {Record<string, string | number | null>} [query]
 */
export function link(path, query = {}) {
  const kept = Object.entries(query).filter(([, value]) => value !== "" && value != null);
  const said = new URLSearchParams(kept).toString();
  return `#/${path.map(encodeURIComponent).join("/")}${said ? `?${said}` : ""}`;
}

/**
 * Change some of the query without a new step in the history.
 * @param {Record<string, string | number | null>} patch
 */
export function setQuery(patch) {
  const { path, query } = here();
  history.replaceState(null, "", link(path, { ...query, ...patch }));
  dispatchEvent(new HashChangeEvent("hashchange"));
}

/** Re-renders when one goes elsewhere. */
export function useRoute() {
  const [route, setRoute] = useState(here);
  useEffect(() => {
    const changed = () => setRoute(here());
    addEventListener("hashchange", changed);
    return () => removeEventListener("hashchange", changed);
  }, []);
  return route;
}
