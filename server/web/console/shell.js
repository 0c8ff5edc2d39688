/** What is around every page: where one can go, who one is, dark or light. */

import { html, useEffect, useRef, useState } from "/assets/vendor/preact-htm/preact-htm.js";
import { switchTheme } from "/assets/shared/theme.js";

import { link } from "./router.js";
import { api, site } from "./store.js";
import { Icon } from "./ui/icons.js";

const PLACES = [
  ["", "Overview", "overview"],
  ["calls", "Calls", "calls"],
  ["users", "Users", "users"],
  ["money", "Money", "money"],
  ["jobs", "Jobs", "jobs"],
  ["webhooks", "Webhooks", "webhooks"],
  ["nodes", "Nodes", "nodes"],
  ["audit", "Audit log", "audit"],
];
// Pages that share the log-in are in the same tab: a tab has a log-in of its own.
const TOOLS = [
  ["/api-docs", "API", "_blank"],
  ["/graphiql", "GraphiQL", "_self"],
  ["/metrics", "Metrics", "_blank"],
];

export function Shell({ session, path, children }) {
  const [open, setOpen] = useState(false);
  const button = useRef(null);
  const at = path[0] ?? "";

  useEffect(() => setOpen(false), [path.join("/")]);
  useEffect(() => {
    if (!open) return undefined;
    const pressed = (event) => {
      if (event.key !== "Escape") return;
      setOpen(false);
      button.current?.focus();
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, [open]);

  function skip(event) {
    event.preventDefault();
    document.querySelector("main")?.focus();
  }

  return html`<div class="shell">
    <a class="skip button small" href="#main" onClick=${skip}>Skip to the page</a>
    <header class="side">
      <div class="brand">
        <img src="/assets/shared/icon.svg" width="28" height="28" alt="" />
        <span>Talktime</span>
        ${site.dev && html`<span class="badge warn">dev</span>`}
        <button
          class="tool menu"
          ref=${button}
          aria-expanded=${String(open)}
          aria-controls="places"
          aria-label="Menu"
          onClick=${() => setOpen(!open)}
        >
          <${Icon} name="menu" />
        </button>
      </div>
      <div id="places" class="places ${open ? "open" : ""}">
        <nav aria-label="Console">
          ${PLACES.map(
            ([place, text, icon]) => html`<a
              key=${place}
              href=${link(place ? [place] : [])}
              aria-current=${at === place ? "page" : undefined}
              onClick=${() => setOpen(false)}
            >
              <${Icon} name=${icon} />${text}
            </a>`,
          )}
        </nav>
        <nav aria-label="Other pages of this server" class="tools">
          ${TOOLS.map(
            ([
              href,
              text,
              where,
            ]) => html`<a key=${href} href=${href} target=${where} rel="noopener">
              <${Icon} name="out" />${text}
            </a>`,
          )}
        </nav>
        <div class="who">
          <div class="who-name">
            <strong>${session.user.name}</strong>
            <span class="soft small" title=${session.user.email}>${session.user.email}</span>
          </div>
          <button
            class="tool"
            aria-label="Dark or light"
            title="Dark or light"
            onClick=${switchTheme}
          >
            <${Icon} name="theme" />
          </button>
          <button class="tool" aria-label="Log out" title="Log out" onClick=${() => api.logout()}>
            <${Icon} name="leave" />
          </button>
        </div>
      </div>
    </header>
    <main id="main" tabindex="-1">${children}</main>
  </div>`;
}
