/** Background jobs: how many there are of each queue, which, why they failed, and another try. */

import { html } from "/assets/vendor/preact-htm/preact-htm.js";

import { useLoad } from "../hooks.js";
import { setQuery } from "../router.js";
import { api } from "../store.js";
import { ask } from "../ui/ask.js";
import { Head, Ident, Loaded, Section, Tabs, When } from "../ui/parts.js";
import { Pager, Table, pageOf } from "../ui/table.js";
import { number, span, title } from "../words.js";

const STATES = ["waiting", "active", "delayed", "failed"];
const ABOUT = {
  waiting: "Due, and nobody has taken them yet.",
  active: "Being done now.",
  delayed: "Wait for their time, or for their next try.",
  failed: "Given up after all their tries.",
};

export function Jobs({ query }) {
  const tab = STATES.includes(query.tab) ? query.tab : "waiting";
  const counts = useLoad(() => api.get("/jobs"), [], { everyMs: 3_000 });
  const sums = Object.fromEntries(
    STATES.map((state) => [state, counts.data?.jobs.reduce((sum, job) => sum + job[state], 0)]),
  );
  return html`<div class="page">
    <${Head} title="Jobs" note="Work that the server has promised itself" />
    <${Tabs}
      label="State"
      value=${tab}
      options=${STATES.map((state) => [state, title(state), sums[state]])}
      onPick=${(word) => setQuery({ tab: word, page: null })}
    />
    <${Section} title="Queues" note=${ABOUT[tab]} flush>
      <${Loaded} of=${counts}>${({ jobs }) => html`<${Queues} jobs=${jobs} tab=${tab} />`}<//>
    <//>
    ${
      tab === "failed"
        ? html`<${FailedJobs} query=${query} recount=${counts.reload} />`
        : html`<${Standing} key=${tab} state=${tab} query=${query} recount=${counts.reload} />`
    }
  </div>`;
}

function Queues({ jobs, tab }) {
  const column = (state) => ({
    key: state,
    label: title(state),
    look: "number",
    by: (job) => job[state],
    cell: (job) =>
      html`<span class=${job[state] === 0 ? "soft" : state === tab ? "strong" : ""}>
        ${number(job[state])}
      </span>`,
  });
  const columns = [
    {
      key: "name",
      label: "Queue",
      by: (job) => job.name,
      cell: (job) => html`<code>${job.name}</code>`,
    },
    ...STATES.map(column),
    {
      key: "oldest",
      label: "Oldest waits",
      look: "number",
      by: (job) => job.oldestSeconds,
      cell: (job) =>
        job.waiting ? span(job.oldestSeconds * 1000) : html`<span class="soft">–</span>`,
    },
  ];
  return html`<${Table}
    label="Queues"
    columns=${columns}
    rows=${jobs}
    id=${(job) => job.name}
    empty="No jobs have been promised yet."
  />`;
}

const EMPTY = {
  waiting: "No job is due.",
  active: "No job is being done.",
  delayed: "No job waits for its time.",
};

const NUMBER = {
  key: "id",
  label: "Job",
  by: (job) => job.id,
  cell: (job) => html`<${Ident} id=${job.id} what="job" />`,
};
const QUEUE = {
  key: "name",
  label: "Queue",
  by: (job) => job.name,
  cell: (job) => html`<code>${job.name}</code>`,
};
const TRIES = {
  key: "tries",
  label: "Tries",
  look: "number",
  by: (job) => job.tries,
  cell: (job) => job.tries,
};

const cancel = (job) =>
  ask({
    title: `Cancel job ${job.id}?`,
    text: "It is taken off the queue and is not done any more.",
    confirm: "Cancel job",
    danger: true,
    done: "It is off the queue.",
    run: () => api.post(`/jobs/${job.id}/cancel`),
  });

/** The jobs of a state other than failed. */
function Standing({ state, query, recount }) {
  const list = useLoad(() => api.get("/jobs/list", { state, ...pageOf(query) }), [query.page], {
    everyMs: 3_000,
  });
  const again = () => Promise.all([list.reload(), recount()]);
  const promote = (job) =>
    ask({
      title: `Run job ${job.id} now?`,
      text: "It does not wait for its time any longer.",
      confirm: "Run now",
      done: "It is due.",
      run: () => api.post(`/jobs/${job.id}/promote`),
    });
  const moment = (key, label) => ({
    key,
    label,
    by: (job) => job[key],
    cell: (job) => html`<${When} at=${job[key]} />`,
  });

  const columns = [NUMBER, QUEUE, TRIES, moment("promisedAt", "Promised")];
  if (state === "delayed") columns.push(moment("dueAt", "Due"));
  if (state !== "active") {
    columns.push({
      key: "do",
      label: "Actions",
      look: "do",
      cell: (job) => html`<div class="row-tools">
        ${
          state === "delayed" &&
          html`<button class="button small" onClick=${() => promote(job).then(again)}>
            Run now
          </button>`
        }
        <button class="button small" onClick=${() => cancel(job).then(again)}>Cancel</button>
      </div>`,
    });
  }
  return html`<${Section} title=${title(state)} flush>
    <${Loaded} of=${list}>
      ${(page) => html`<${Table}
          label=${`${title(state)} jobs`}
          columns=${columns}
          rows=${page.items}
          empty=${EMPTY[state]}
        />
        <${Pager} of=${page} />`}
    <//>
  <//>`;
}

function FailedJobs({ query, recount }) {
  const failed = useLoad(() => api.get("/jobs/failed", pageOf(query)), [query.page], {
    everyMs: 5_000,
  });
  const again = () => Promise.all([failed.reload(), recount()]);

  const retry = (job) =>
    ask({
      title: `Try job ${job.id} again?`,
      text: `It goes back to the queue ${job.name} with all its tries.`,
      confirm: "Retry",
      done: "It is back in its queue.",
      run: () => api.post(`/jobs/${job.id}/retry`),
    }).then(again);
  const retryAll = () =>
    ask({
      title: "Try all failed jobs again?",
      text: "Up to 1,000 go back to their queues.",
      confirm: "Retry all",
      run: async () => `${number((await api.post("/jobs/failed/retry", {})).retried)} are back.`,
    }).then(again);

  const columns = [
    NUMBER,
    QUEUE,
    { key: "error", label: "What it said last", look: "wide", cell: (job) => job.error },
    TRIES,
    {
      key: "at",
      label: "Failed",
      by: (job) => job.failedAt,
      cell: (job) => html`<${When} at=${job.failedAt} />`,
    },
    {
      key: "do",
      label: "Actions",
      look: "do",
      cell: (job) => html`<div class="row-tools">
        <button class="button small" onClick=${() => retry(job)}>Retry</button>
        <button class="button small" onClick=${() => cancel(job).then(again)}>Cancel</button>
      </div>`,
    },
  ];
  const tools = html`<button
    class="button small"
    disabled=${!failed.data?.total}
    onClick=${retryAll}
  >
    Retry all
  </button>`;
  return html`<${Section} title="Failed" tools=${tools} flush>
    <${Loaded} of=${failed}>
      ${(list) => html`<${Table}
          label="Failed jobs"
          columns=${columns}
          rows=${list.items}
          empty="No job has failed."
        />
        <${Pager} of=${list} />`}
    <//>
  <//>`;
}
