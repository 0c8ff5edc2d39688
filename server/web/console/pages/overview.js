/** How it goes: what is going on now, and how that has been. */

import { html } from "/assets/vendor/preact-htm/preact-htm.js";

import { useLoad } from "../hooks.js";
import { link, setQuery } from "../router.js";
import { api } from "../store.js";
import { Chart } from "../ui/chart.js";
import { Amount, Failed, Head, Loaded, Tabs } from "../ui/parts.js";
import { amount, number } from "../words.js";

const RANGES = [
  ["15", "15 min"],
  ["60", "1 h"],
  ["360", "6 h"],
  ["1440", "24 h"],
];

export function Overview({ query }) {
  const range = RANGES.some(([minutes]) => minutes === query.minutes) ? query.minutes : "60";
  const now = useLoad(() => api.get("/operators/overview"), [], { everyMs: 2_000 });
  const rates = useLoad(() => api.get("/operators/rates", { minutes: range }), [range], {
    everyMs: 10_000,
  });
  return html`<div class="page">
    <${Head} title="Overview">
      <${Tabs}
        label="Time range"
        value=${range}
        options=${RANGES}
        onPick=${(minutes) => setQuery({ minutes })}
      />
    <//>
    <${Loaded} of=${now}>${(seen) => html`<${Tiles} now=${seen} />`}<//>
    ${rates.error && html`<${Failed} error=${rates.error} reload=${rates.reload} />`}
    ${rates.data && html`<${Charts} rates=${rates.data} />`}
  </div>`;
}

function Tiles({ now }) {
  const bad = (count) => (count > 0 ? "bad" : "");
  const tiles = [
    ["Calls live", number(now.liveCalls.total), `${number(now.callsToday)} today`, ["calls"]],
    ["Ringing", number(now.ringing), `${number(now.callsLastMinute)} new in a minute`, ["calls"]],
    ["Sockets", number(now.sockets), `${number(now.usersOnline)} people`],
    [
      "Money per minute",
      html`<${Amount} minor=${now.chargedLastMinute} currency=${now.currency} />`,
      `${amount(now.chargedToday)} today`,
      ["money"],
    ],
    [
      "Errors per minute",
      number(now.errorsPerMinute),
      `of ${number(now.requestsPerMinute)} requests`,
      null,
      bad(now.errorsPerMinute),
    ],
    [
      "Jobs failed",
      number(now.jobsFailed),
      "given up",
      ["jobs"],
      bad(now.jobsFailed),
      { tab: "failed" },
    ],
    [
      "Webhooks failing",
      number(now.webhooksFailing),
      "tried again",
      ["webhooks"],
      bad(now.webhooksFailing),
    ],
    [
      "Nodes alive",
      number(now.nodesAlive),
      now.nodes.join(", "),
      ["nodes"],
      bad(now.nodesAlive ? 0 : 1),
    ],
  ];
  return html`<div class="tiles">
    ${tiles.map(
      ([
        name,
        value,
        about,
        path,
        mood = "",
        query,
      ]) => html`<div key=${name} class="card tile ${mood}">
        ${
          path
            ? html`<a class="tile-name" href=${link(path, query)}>${name}</a>`
            : html`<span class="tile-name">${name}</span>`
        }
        <strong class="tile-value">${value}</strong>
        <span class="soft small" title=${about}>${about}</span>
      </div>`,
    )}
  </div>`;
}

// More than this many points are a scribble.
const POINTS_MAX = 90;

/** The means of as many values at a time as leave few enough; null where nobody wrote any. */
function thin(values) {
  const many = Math.ceil(values.length / POINTS_MAX);
  return Array.from({ length: Math.ceil(values.length / many) }, (_, n) => {
    const known = values.slice(n * many, (n + 1) * many).filter((value) => value !== null);
    return known.length ? known.reduce((sum, value) => sum + value, 0) / known.length : null;
  });
}

function Charts({ rates }) {
  const at = thin(rates.at.map((moment) => Date.parse(moment) / 1000));
  const perMinute = (values) =>
    values.map((sum) => (sum === null ? null : (sum * 60) / rates.stepS));
  const count = (value) => number(Math.round(value));
  const line = (label, values) => ({ label, values: thin(values) });
  return html`<div class="charts">
    <${Chart}
      title="Live calls"
      at=${at}
      write=${count}
      series=${[line("live", rates.live), line("ringing", rates.ringing)]}
    />
    <${Chart}
      title="Calls per minute"
      at=${at}
      write=${count}
      series=${[
        line("requested", perMinute(rates.requested)),
        line("connected", perMinute(rates.connected)),
        line("ended", perMinute(rates.ended)),
      ]}
    />
    <${Chart}
      title=${`Money per minute, ${rates.currency}`}
      at=${at}
      write=${(value) => amount(Math.round(value))}
      series=${[line("charged", perMinute(rates.charged))]}
    />
    <${Chart}
      title="Sockets"
      at=${at}
      write=${count}
      series=${[line("sockets", rates.sockets), line("people", rates.users)]}
    />
    <${Chart}
      title="Requests per minute"
      at=${at}
      write=${count}
      series=${[line("requests", perMinute(rates.requests))]}
    />
    <${Chart}
      title="Errors per minute"
      at=${at}
      write=${count}
      series=${[line("errors", perMinute(rates.errors))]}
    />
  </div>`;
}
