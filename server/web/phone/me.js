/** Oneself: profile, colours, where one is logged in, whom one has blocked, and the way out. */

import { html, useState } from "/assets/vendor/preact-htm/preact-htm.js";
import { when } from "/assets/shared/format.js";
import { Icon } from "./icons.js";
import { Avatar, Failure, Field, Skeleton, Title, Wrong } from "./parts.js";
import { Picture } from "./picture.js";
import { to } from "./router.js";
import { useApp, useLoaded, useShared } from "./store.js";
import { ThemeButton } from "./theme-button.js";
import { sayError } from "./words.js";

export function Me() {
  const { desk } = useApp();
  const { user } = useShared();
  return html`
    <${Title} aside=${html`<${ThemeButton} />`}>Me<//>
    <div class="columns">
      <div class="column">
        ${user && html`<${Profile} user=${user} />`}
        ${user && user.status === undefined && html`<${Invitation} />`}
        <button class="button wide" type="button" onClick=${() => desk.leave()}>
          <${Icon} name="out" size=${20} /> Log out
        </button>
      </div>
      <div class="column">
        <${Sessions} />
        <${Blocked} />
      </div>
    </div>
  `;
}

function Profile({ user }) {
  const { api, desk } = useApp();
  const [editing, setEditing] = useState(false);
  const [error, setError] = useState(null);
  const save = async (event) => {
    event.preventDefault();
    const { name, bio } = Object.fromEntries(new FormData(event.target));
    try {
      await api.put("/user/profile", { name: name.trim(), bio: bio.trim() });
      await desk.refreshUser();
      setEditing(false);
      desk.toast("Your profile is saved.", "good");
    } catch (caught) {
      setError(caught);
    }
  };
  return html`<section class="card profile" aria-label="Profile">
    <div class="profile-head">
      <${Avatar} name=${user.name} url=${user.avatarUrl} size="large" />
      <div class="row-what">
        <strong class="person-name">${user.name}</strong>
        <span class="soft small">${user.email ?? user.phone}</span>
      </div>
      ${!editing &&
      html`<button class="button small" type="button" onClick=${() => setEditing(true)}>Edit</button>`}
    </div>
    ${!editing && user.intro && html`<p class="prose">${user.intro}</p>`}
    ${editing && html`<${Picture} user=${user} />`}
    ${editing &&
    html`<form class="form" onSubmit=${save}>
      <${Field} id="my-name" name="name" label="Name" defaultValue=${user.name} required maxlength="32" />
      <${Field} id="my-bio" label="About you">
        ${(id) => html`<textarea class="input" id=${id} name="bio" rows="3" maxlength="500">
${user.intro ?? ""}</textarea
        >`}
      <//>
      <${Wrong} error=${error} />
      <div class="buttons">
        <button class="button main" type="submit">Save</button>
        <button class="button" type="button" onClick=${() => setEditing(false)}>Cancel</button>
      </div>
    </form>`}
  </section>`;
}

function Invitation() {
  return html`<section class="card">
    <h2>Take calls yourself</h2>
    <p class="soft">Name your price for a minute, and people can call you here.</p>
    <a class="button" href=${to("work")}><${Icon} name="work" size=${20} /> Become a provider</a>
  </section>`;
}

function Sessions() {
  const { api, desk, site } = useApp();
  const { data, error, again } = useLoaded(() => api.get("/auth/sessions"), []);
  const end = async (id) => {
    try {
      await api.delete(`/auth/sessions/${id}`);
      desk.toast("That log-in was ended.", "good");
    } catch (caught) {
      desk.toast(sayError(caught, site), "bad");
    }
    again();
  };
  return html`<section class="card">
    <h2>Where you are logged in</h2>
    ${error && html`<${Failure} error=${error} again=${again} />`}
    ${!data && !error && html`<${Skeleton} rows=${2} />`}
    <ul class="rows">
      ${data?.sessions.map(
        (each) => html`<li class="row" key=${each.id}>
          <span class="entry-icon"><${Icon} name="device" size=${18} /></span>
          <span class="row-what">
            <strong>${sayDevice(each.device)}</strong>
            <span class="soft small">since ${when(each.createdAt)}</span>
          </span>
          ${each.current
            ? html`<span class="badge good">This one</span>`
            : html`<button class="button small" type="button" onClick=${() => end(each.id)}>End</button>`}
        </li>`,
      )}
    </ul>
  </section>`;
}

/** A user agent, as people would call it. */
function sayDevice(agent) {
  if (!agent) return "Unknown device";
  const program = /(Edg|OPR|Firefox|Chrome|Safari)\//.exec(agent)?.[1];
  const system = /(Android|iPhone|iPad|Windows|Mac OS X|Linux)/.exec(agent)?.[1];
  if (!program) return agent.slice(0, 60);
  const name = { Edg: "Edge", OPR: "Opera" }[program] ?? program;
  return system ? `${name} on ${system.replace("Mac OS X", "Mac")}` : name;
}

function Blocked() {
  const { api, desk, site } = useApp();
  const { data, error, again } = useLoaded(() => api.get("/user/block-list"), []);
  const unblock = async (each) => {
    try {
      await api.delete(`/user/block/${each.userId}`);
      desk.toast(`${each.name} is not blocked any more.`);
    } catch (caught) {
      desk.toast(sayError(caught, site), "bad");
    }
    again();
  };
  return html`<section class="card">
    <h2>Blocked people</h2>
    ${error && html`<${Failure} error=${error} again=${again} />`}
    ${!data && !error && html`<${Skeleton} rows=${1} />`}
    ${data?.items.length === 0 &&
    html`<p class="soft">Nobody. You can block somebody on their page.</p>`}
    <ul class="rows">
      ${data?.items.map(
        (each) => html`<li class="row" key=${each.userId}>
          <${Avatar} name=${each.name} url=${each.avatarUrl} />
          <span class="row-what">
            <strong>${each.name}</strong>
            <span class="soft small">since ${when(each.blockedAt)}</span>
          </span>
          <button class="button small" type="button" onClick=${() => unblock(each)}>Unblock</button>
        </li>`,
      )}
    </ul>
  </section>`;
}
