/** Who are you: by password, by phone, as somebody new, or as a demo account in development. */

import { html, useState } from "/assets/vendor/preact-htm/preact-htm.js";
import { Icon } from "./icons.js";
import { Avatar, Choice, Field, Title, Wrong } from "./parts.js";
import { ThemeButton } from "./theme-button.js";
import { useApp } from "./store.js";

const WAYS = [
  ["password", "Log in"],
  ["signup", "Sign up"],
  ["phone", "By phone"],
];

export function LogIn() {
  const { site } = useApp();
  const [way, setWay] = useState("password");
  const Form = { password: ByPassword, signup: SignUp, phone: ByPhone }[way];
  return html`<div class="welcome">
    <header class="welcome-pitch">
      <div class="brand">
        <img src="/assets/shared/icon.svg" alt="" width="44" height="44" />
        <span>Talktime</span>
      </div>
      <p class="pitch">Good conversations, paid by the minute.</p>
      <ul class="promises">
        <li><${Icon} name="video" /> Audio and video, from person to person</li>
        <li><${Icon} name="wallet" /> You see what you spend while you talk</li>
        <li><${Icon} name="receipt" /> A receipt after every call</li>
      </ul>
    </header>
    <main class="welcome-forms">
      <div class="card">
        <${Title} aside=${html`<${ThemeButton} />`}>Welcome<//>
        <${Choice} label="How to come in" options=${WAYS} value=${way} onChange=${setWay} />
        <${Form} key=${way} />
      </div>
      ${site.accounts.length > 0 && html`<${Demo} accounts=${site.accounts} />`}
    </main>
  </div>`;
}

/** A form that does one thing, says what went wrong with it, and is still while it works. */
function useAttempt() {
  const [state, setState] = useState({ busy: false, error: null });
  const attempt = async (work) => {
    setState({ busy: true, error: null });
    try {
      await work();
      setState({ busy: false, error: null });
    } catch (error) {
      setState({ busy: false, error });
    }
  };
  const wrong = (field) => state.error?.details?.field === field;
  return { ...state, attempt, wrong };
}

const read = (event) => {
  event.preventDefault();
  return Object.fromEntries(new FormData(event.target));
};

function ByPassword() {
  const { api } = useApp();
  const { busy, error, attempt, wrong } = useAttempt();
  const submit = (event) => {
    const { name, password } = read(event);
    const who = name.includes("@") ? { email: name.trim() } : { phone: name.trim() };
    attempt(() => api.login({ ...who, password }));
  };
  return html`<form class="form" onSubmit=${submit}>
    <${Field} id="name" name="name" label="E-mail or phone number" autocomplete="username" required
      wrong=${wrong("email") || wrong("phone")} />
    <${Field} id="password" name="password" type="password" label="Password" required
      autocomplete="current-password" />
    <${Wrong} error=${error} />
    <button class="button main" type="submit" disabled=${busy}>Log in</button>
  </form>`;
}

function SignUp() {
  const { api } = useApp();
  const { busy, error, attempt, wrong } = useAttempt();
  const submit = (event) => {
    const { name, email, password } = read(event);
    attempt(() => api.signup({ name: name.trim(), email: email.trim(), password }));
  };
  return html`<form class="form" onSubmit=${submit}>
    <${Field} id="name" name="name" label="Your name" autocomplete="nickname" maxlength="32"
      required wrong=${wrong("name")} hint="Others see it when you call." />
    <${Field} id="email" name="email" type="email" label="E-mail" autocomplete="email" required
      wrong=${wrong("email")} />
    <${Field} id="password" name="password" type="password" label="Password" required minlength="8"
      maxlength="72" autocomplete="new-password" wrong=${wrong("password")}
      hint="8 characters or more." />
    <${Wrong} error=${error} />
    <button class="button main" type="submit" disabled=${busy}>Create account</button>
  </form>`;
}

function ByPhone() {
  const { api, site } = useApp();
  const { busy, error, attempt, wrong } = useAttempt();
  const [sent, setSent] = useState(null);
  const send = (event) => {
    const { phone } = read(event);
    attempt(async () => setSent({ phone: phone.trim(), ...(await api.sendCode(phone.trim())) }));
  };
  const verify = (event) => {
    const { otp, name } = read(event);
    const named = name?.trim() ? { name: name.trim() } : {};
    attempt(() => api.verifyCode({ phone: sent.phone, otp: otp.trim(), ...named }));
  };
  if (!sent) {
    return html`<form class="form" key="send" onSubmit=${send}>
      <${Field} id="phone" name="phone" type="tel" label="Phone number" autocomplete="tel" required
        wrong=${wrong("phone")} hint="With the country, as +1 202 555 0147." />
      <${Wrong} error=${error} />
      <button class="button main" type="submit" disabled=${busy}>Send me a code</button>
    </form>`;
  }
  return html`<form class="form" key="verify" onSubmit=${verify}>
    <p class="soft">
      A code of six digits is on its way to <strong>${sent.phone}</strong>. It is good for
      ${" "}${Math.round(sent.ttl / 60)} minutes.
    </p>
    ${site.dev && sent.devCode && html`<${DevInbox} phone=${sent.phone} code=${sent.devCode} />`}
    <${Field} id="otp" name="otp" label="Code" inputmode="numeric" pattern="[0-9]{6}" maxlength="6"
      autocomplete="one-time-code" required wrong=${wrong("otp")} />
    <${Field} id="name" name="name" label="Your name" autocomplete="nickname" maxlength="32"
      hint="Only if you are new here." wrong=${wrong("name")} />
    <${Wrong} error=${error} />
    <button class="button main" type="submit" disabled=${busy}>Log in with the code</button>
    <button class="button plain" type="button" onClick=${() => setSent(null)}>
      Use another number
    </button>
  </form>`;
}

/** In development no message is sent: here is what would have been in it. */
function DevInbox({ phone, code }) {
  return html`<section class="dev-inbox" aria-label="Dev inbox">
    <header><span class="badge warn">Dev inbox</span><span class="soft small">to ${phone}</span></header>
    <p>Your code is <strong class="mono">${code}</strong></p>
  </section>`;
}

function Demo({ accounts }) {
  const { api } = useApp();
  const { busy, error, attempt } = useAttempt();
  return html`<section class="card demo" aria-labelledby="demo-title">
    <h2 id="demo-title">Try it as</h2>
    <p class="soft small">Demo accounts of this development server, with play money.</p>
    <ul>
      ${accounts.map(
        (each) => html`<li key=${each.email}>
          <button
            class="demo-account"
            type="button"
            disabled=${busy}
            onClick=${() => attempt(() => api.login({ email: each.email, password: each.password }))}
          >
            <${Avatar} name=${each.name} />
            <span><strong>${each.name}</strong><span class="soft small">${each.role}</span></span>
          </button>
        </li>`,
      )}
    </ul>
    <${Wrong} error=${error} />
  </section>`;
}
