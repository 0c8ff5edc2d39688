/** Calls of everybody: those that go on, and those that are over. */

import { html } from "/assets/vendor/preact-htm/preact-htm.js";
import { duration } from "/assets/shared/format.js";

import { useLoad, useTick } from "../hooks.js";
import { setQuery } from "../router.js";
import { api } from "../store.js";
import { REASON, ask } from "../ui/ask.js";
import { Amount, Badge, Head, Ident, Loaded, Person, Section, Tabs, When } from "../ui/parts.js";
import { Pager, Pick, Table, pageOf } from "../ui/table.js";
import { plain, title } from "../words.js";

const HOUR_MS = 3_600_000;
const TIMES = [
  ["", "30 days"],
  ["1", "Last hour"],
  ["24", "24 hours"],
  ["168", "7 days"],
];
const REASONS = [
  "hangup",
  "cancelled",
  "no_answer",
  "declined",
  "busy",
  "unavailable",
  "unreachable",
  "connect_failed",
  "connection_lost",
  "balance_exhausted",
  "max_duration",
  "admin",
  "server_error",
];

/** End a call after a question. */
export const endCall = (call) =>
  ask({
    title: `End the call of ${call.caller.name} and ${call.callee.name}?`,
    text: "Both hear that an operator has ended it. What was talked so far is charged.",
    fields: [REASON],
    confirm: "End call",
    danger: true,
    done: "The call has ended.",
    run: (values) => api.post(`/operators/calls/${call.id}/end`, values),
  });

/** How long it has been going, counting on between two answers; then how long was talked. */
export function Elapsed({ call }) {
  useTick(1);
  if (call.state === "ended") return duration(call.talkSeconds * 1000);
  return duration(call.elapsedSeconds * 1000 + Date.now() - call.readAt);
}

/** How both legs are doing. */
export function Quality({ of, caller, callee }) {
  if (!of || (!of.caller && !of.callee)) return html`<span class="soft">–</span>`;
  const leg = (quality, name) =>
    html`<span class="leg ${quality ?? "none"}" title=${`${name}: ${quality ?? "no media yet"}`}>
      ${quality ?? "–"}
    </span>`;
  return html`<span class="legs">
    ${leg(of.caller, caller.name)}${leg(of.callee, callee.name)}
  </span>`;
}

const read = (call) => ({ ...call, readAt: Date.now() });

export function Calls({ query }) {
  const tab = query.tab === "ended" ? "ended" : "live";
  return html`<div class="page">
    <${Head} title="Calls">
      <${Tabs}
        label="Which"
        value=${tab}
        options=${[
          ["live", "Live"],
          ["ended", "Ended"],
        ]}
        onPick=${(word) => setQuery({ tab: word, reason: null, hours: null, page: null })}
      />
    <//>
    <${CallList} key=${tab} query=${query} state=${tab} />
  </div>`;
}

/** Those of a state, or all of an account. */
export function CallList({ query, state, userId, title: heading }) {
  const { reason = "", hours = "", page } = query;
  const wanted = {
    ...(state && { state }),
    ...(userId && { userId }),
    ...(reason && { reason }),
    ...(hours && { since: new Date(Date.now() - Number(hours) * HOUR_MS).toISOString() }),
  };
  const found = useLoad(
    async () => {
      const list = await api.get("/operators/calls", { ...pageOf(query), ...wanted });
      return { ...list, items: list.items.map(read) };
    },
    [state, userId, reason, hours, page],
    { everyMs: state === "ended" ? 10_000 : 2_000 },
  );
  const filters =
    state !== "live" &&
    html`<${Pick} label="Time" name="hours" value=${hours} options=${TIMES} />
      <${Pick}
        label="Ended by"
        name="reason"
        value=${reason}
        options=${[["", "Any reason"], ...REASONS.map((word) => [word, title(word)])]}
      />`;
  return html`<${Section} title=${heading ?? title(`${state} calls`)} tools=${filters} flush>
    <${Loaded} of=${found}>
      ${(list) => html`<${Table}
          label="Calls"
          columns=${columns(state, found.reload)}
          rows=${list.items}
          empty=${state === "live" ? "Nobody talks at the moment." : "No call is like that."}
        />
        <${Pager} of=${list} />`}
    <//>
  <//>`;
}

function columns(state, reload) {
  const live = state === "live";
  return [
    {
      key: "id",
      label: "Call",
      cell: (row) => html`<${Ident} id=${row.id} to=${["calls", row.id]} what="call id" />`,
    },
    {
      key: "state",
      label: "State",
      by: (row) => row.state,
      cell: (row) => html`<${Badge} status=${row.state} />`,
    },
    {
      key: "caller",
      label: "Caller",
      by: (row) => row.caller.name,
      cell: (row) => html`<${Person} ...${row.caller} />`,
    },
    {
      key: "callee",
      label: "Callee",
      by: (row) => row.callee.name,
      cell: (row) => html`<${Person} ...${row.callee} />`,
    },
    { key: "kind", label: "Kind", by: (row) => row.kind, cell: (row) => plain(row.kind) },
    {
      key: "time",
      label: live ? "Elapsed" : "Talked",
      look: "number",
      by: (row) => (row.state === "ended" ? row.talkSeconds : row.elapsedSeconds),
      cell: (row) => html`<${Elapsed} call=${row} />`,
    },
    {
      key: "charged",
      label: "Charged",
      look: "number",
      by: (row) => row.charged,
      cell: (row) => html`<${Amount} minor=${row.charged} currency=${row.currency} />`,
    },
    ...(live
      ? [
          {
            key: "quality",
            label: "Quality",
            cell: (row) =>
              html`<${Quality} of=${row.quality} caller=${row.caller} callee=${row.callee} />`,
          },
        ]
      : [
          {
            key: "reason",
            label: "Ended by",
            by: (row) => row.reason ?? "",
            cell: (row) =>
              row.reason
                ? `${plain(row.reason)}${row.endedBy ? ` (${plain(row.endedBy)})` : ""}`
                : html`<span class="soft">–</span>`,
          },
        ]),
    {
      key: "node",
      label: "Node",
      by: (row) => row.node ?? "",
      cell: (row) =>
        row.node ? html`<code>${row.node}</code>` : html`<span class="soft">–</span>`,
    },
    ...(live
      ? []
      : [
          {
            key: "began",
            label: "Began",
            by: (row) => row.createdAt,
            cell: (row) => html`<${When} at=${row.createdAt} />`,
          },
        ]),
    ...(state === "ended" ? [] : [endColumn(reload)]),
  ];
}

const endColumn = (reload) => ({
  key: "do",
  label: "Actions",
  look: "do",
  cell: (row) => html`<div class="row-tools">
    ${
      row.state !== "ended" &&
      html`<button class="button small" onClick=${() => endCall(row).then(reload)}>End</button>`
    }
  </div>`,
});
