/** Who comes in: e-mail and password of an admin. */

import { html, useEffect, useState } from "/assets/vendor/preact-htm/preact-htm.js";

import { api, explain, isOperator, site } from "./store.js";

const NOT_AN_ADMIN =
  "This account is not an operator's. Log in with one that has the role admin; " +
  "`talktime user create --admin` makes one.";

export function Login() {
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const [wrong, setWrong] = useState("");
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    document.title = "Log in · Talktime console";
  }, []);
  const demo = site.accounts.find((each) => each.role === "admin");

  async function enter(who) {
    setBusy(true);
    setWrong("");
    try {
      await api.login(who);
      if (!isOperator(api.session)) {
        await api.logout();
        setWrong(NOT_AN_ADMIN);
      }
    } catch (error) {
      setWrong(explain(error));
    }
    setBusy(false);
  }

  return html`<main class="alone">
    <div class="card login">
      <img src="/assets/shared/icon.svg" width="44" height="44" alt="" />
      <h1>Talktime console</h1>
      <form
        onSubmit=${(event) => {
          event.preventDefault();
          enter({ email: email.trim(), password });
        }}
      >
        <div class="field">
          <label for="email">E-mail</label>
          <input
            class="input"
            id="email"
            type="email"
            autocomplete="username"
            required
            value=${email}
            onInput=${(event) => setEmail(event.target.value)}
          />
        </div>
        <div class="field">
          <label for="password">Password</label>
          <input
            class="input"
            id="password"
            type="password"
            autocomplete="current-password"
            required
            value=${password}
            onInput=${(event) => setPassword(event.target.value)}
          />
        </div>
        ${wrong && html`<p class="note bad" role="alert">${wrong}</p>`}
        <button class="button main" disabled=${busy}>${busy ? "One moment…" : "Log in"}</button>
      </form>
      ${
        demo &&
        html`<div class="demo">
        <p class="soft small">Development: demo accounts are open to everybody here.</p>
        <button
          class="button"
          disabled=${busy}
          onClick=${() => enter({ email: demo.email, password: demo.password })}
        >
          Continue as ${demo.name}
        </button>
      </div>`
      }
    </div>
  </main>`;
}
