/** Names of accounts that a list tells by their ids alone. */

import { html, useEffect, useState } from "/assets/vendor/preact-htm/preact-htm.js";

import { api } from "../store.js";
import { Person } from "./parts.js";

const KEPT_MAX = 500;
/** @type {Map<string, Promise<string | null>>} */
const asked = new Map();

function nameOf(id) {
  if (!asked.has(id)) {
    if (asked.size >= KEPT_MAX) asked.clear();
    const name = api.get(`/operators/users/${id}`).then(
      ({ user }) => user.name,
      () => null,
    );
    asked.set(id, name);
  }
  return asked.get(id);
}

/** Somebody, by their id until the name has come. */
export function Named({ id }) {
  const [name, setName] = useState(null);
  useEffect(() => {
    let here = true;
    if (id) nameOf(id).then((found) => here && setName(found));
    return () => {
      here = false;
    };
  }, [id]);
  return html`<${Person} id=${id} name=${name} />`;
}
