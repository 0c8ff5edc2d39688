/** The operator's console: logged in or not, and which page. */

import { html, render, useEffect, useRef, useState } from "/assets/vendor/preact-htm/preact-htm.js";

import { Login } from "./login.js";
import { Audit } from "./pages/audit.js";
import { Call } from "./pages/call.js";
import { Calls } from "./pages/calls.js";
import { Jobs } from "./pages/jobs.js";
import { Money } from "./pages/money.js";
import { Nodes } from "./pages/nodes.js";
import { Overview } from "./pages/overview.js";
import { User } from "./pages/user.js";
import { Users } from "./pages/users.js";
import { Webhooks } from "./pages/webhooks.js";
import { link, useRoute } from "./router.js";
import { Shell } from "./shell.js";
import { api, isOperator, loadSite } from "./store.js";
import { Questions } from "./ui/ask.js";
import { Empty, Failed, Head } from "./ui/parts.js";
import { Toasts } from "./ui/toast.js";

const PAGES = {
  "": Overview,
  calls: Calls,
  users: Users,
  money: Money,
  jobs: Jobs,
  webhooks: Webhooks,
  nodes: Nodes,
  audit: Audit,
};
const ONE = { calls: Call, users: User };

function Page({ path, query }) {
  const [name = "", id] = path;
  const Wanted = id ? ONE[name] : PAGES[name];
  if (!Wanted) {
    return html`<div class="page">
    <${Head} title="No such page" />
      <${Empty}>There is nothing here. <a href=${link([])}>Go to the overview</a>.<//>
  </div>`;
  }
  return html`<${Wanted} key=${`${name}/${id ?? ""}`} id=${id} query=${query} />`;
}

function App() {
  const [session, setSession] = useState(api.session);
  const [state, setState] = useState({ ready: false, error: null });
  const route = useRoute();
  const where = route.path.join("/");
  const arrived = useRef(false);

  async function boot() {
    setState({ ready: false, error: null });
    try {
      await loadSite();
      setState({ ready: true, error: null });
    } catch (error) {
      setState({ ready: false, error });
    }
  }

  useEffect(() => {
    boot();
    return api.subscribe(setSession);
  }, []);

  useEffect(() => {
    // Who goes to another page by keyboard or ear is at its beginning.
    if (arrived.current) document.querySelector("main h1")?.focus({ preventScroll: true });
    arrived.current = state.ready;
    scrollTo(0, 0);
  }, [where, state.ready, Boolean(session)]);

  if (state.error) {
    return html`<main class="alone"><${Failed} error=${state.error} reload=${boot} /></main>`;
  }
  if (!state.ready) return null;
  return html`<div>
    ${
      isOperator(session)
        ? html`<${Shell} session=${session} path=${route.path}><${Page} ...${route} /><//>`
        : html`<${Login} />`
    }
    <${Questions} />
    <${Toasts} />
  </div>`;
}

addEventListener("keydown", (event) => {
  const typing = event.target.closest?.("input, textarea, select, dialog");
  const search = document.querySelector("[data-search]");
  if (event.key === "/" && !typing && search) {
    event.preventDefault();
    search.focus();
    search.select();
  }
});

render(html`<${App} />`, document.getElementById("app"));
