/** One's own picture: another one, or none. */

import { html, useState } from "/assets/vendor/preact-htm/preact-htm.js";
import { Field, Wrong } from "./parts.js";
import { useApp } from "./store.js";

export function Picture({ user }) {
  const { api, desk } = useApp();
  const [error, setError] = useState(null);
  const [busy, setBusy] = useState(false);
  const attempt = async (work, said) => {
    setBusy(true);
    setError(null);
    try {
      await work();
      await desk.refreshUser();
      desk.toast(said, "good");
    } catch (caught) {
      setError(caught);
    }
    setBusy(false);
  };
  const choose = (event) => {
    const [file] = event.target.files;
    if (file) attempt(() => upload(api, file), "Your picture is saved.");
  };
  const remove = () => attempt(() => api.delete("/user/avatar"), "Your picture is gone.");
  return html`<div class="form">
    <${Field} id="my-picture" label="Picture" type="file" accept="image/jpeg,image/png,image/webp"
      disabled=${busy} onChange=${choose} hint="A JPEG, PNG or WebP." />
    ${user.avatarUrl &&
    html`<button class="button small" type="button" disabled=${busy} onClick=${remove}>
      Remove picture
    </button>`}
    <${Wrong} error=${error} />
  </div>`;
}

/** A form with a file, which is not JSON as all else is. */
async function upload(api, file) {
  const form = new FormData();
  form.append("avatar", file);
  const headers = { Authorization: `Bearer ${await api.token()}` };
  const answer = await fetch("/user/avatar", { method: "PUT", headers, body: form });
  if (answer.ok) return;
  const { error, message } = await answer.json().catch(() => ({}));
  throw Object.assign(new Error(message), { code: error });
}
