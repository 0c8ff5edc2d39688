/** The phone at `/`: where it starts, and what is on the screen. */

import { Api } from "/assets/client/api.js";
import { html, render, useEffect, useReducer } from "/assets/vendor/preact-htm/preact-htm.js";
import { CallView } from "./call.js";
import { Desk } from "./desk.js";
import { LogIn } from "./login.js";
import { Shell } from "./shell.js";
import { AppContext, Store, useClient } from "./store.js";
import { Toasts } from "./parts.js";
import { sayError } from "./words.js";

function App({ parts }) {
  const [, draw] = useReducer((n) => n + 1, 0);
  useEffect(() => {
    parts.changed = draw;
    draw();
  }, []);
  const { api, store, site, desk } = parts;
  const { client } = desk;
  const value = { api, store, site, desk, client };
  return html`<${AppContext.Provider} value=${value}>
    ${client ? html`<${Inside} key=${desk.turn} />` : html`<${LogIn} />`}
    <${Toasts} />
  <//>`;
}

/** The call before everything else; the screens wait behind it as they were. */
function Inside() {
  const { call } = useClient();
  const busy = Boolean(call) && (call.state === "ended" || ["active", "ringing"].includes(call.you));
  return html`
    <div class="behind" hidden=${busy}><${Shell} /></div>
    ${busy && html`<${CallView} call=${call} />`}
  `;
}

async function start() {
  const root = document.getElementById("app");
  try {
    const answer = await fetch("/site.json");
    if (!answer.ok) throw Object.assign(new Error(), { code: "UNAVAILABLE" });
    const parts = { site: await answer.json(), api: new Api(), store: new Store(), changed() {} };
    parts.desk = new Desk({ ...parts, changed: () => parts.changed() });
    render(html`<${App} parts=${parts} />`, root);
  } catch (error) {
    const said = sayError(error instanceof TypeError ? { code: "OFFLINE" } : error);
    const again = () => location.reload();
    render(
      html`<main class="alone">
        <p class="note bad" role="alert">${said}</p>
        <button class="button" type="button" onClick=${again}>Try again</button>
      </main>`,
      root,
    );
  }
}

start();
