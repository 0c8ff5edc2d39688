/** The processes that serve this deployment. */

import { html } from "/assets/vendor/preact-htm/preact-htm.js";

import { useLoad } from "../hooks.js";
import { api } from "../store.js";
import { Badge, Head, Loaded, Section, When } from "../ui/parts.js";
import { Pager, Table, pageOf } from "../ui/table.js";
import { number } from "../words.js";

function state(node) {
  if (node.alive) return "alive";
  if (node.leftAt) return "left";
  return node.fenced ? "dead" : "silent";
}

const COLUMNS = [
  {
    key: "name",
    label: "Node",
    by: (row) => row.name,
    cell: (row) => html`<code>${row.name}.${row.epoch}</code>`,
  },
  {
    key: "state",
    label: "State",
    by: state,
    cell: (row) => html`<${Badge} status=${state(row)} />`,
  },
  {
    key: "calls",
    label: "Live calls",
    look: "number",
    by: (row) => row.calls,
    cell: (row) => number(row.calls),
  },
  {
    key: "since",
    label: "Started",
    by: (row) => row.startedAt,
    cell: (row) => html`<${When} at=${row.startedAt} />`,
  },
  {
    key: "beat",
    label: "Last beat",
    by: (row) => row.beatAt,
    cell: (row) => html`<${When} at=${row.beatAt} />`,
  },
  {
    key: "left",
    label: "Left in order",
    by: (row) => row.leftAt ?? "",
    cell: (row) => html`<${When} at=${row.leftAt} />`,
  },
];

export function Nodes({ query }) {
  const found = useLoad(() => api.get("/operators/nodes", pageOf(query)), [query.page], {
    everyMs: 3_000,
  });
  return html`<div class="page">
    <${Head} title="Nodes" note="A line is one life of a server process; the youngest is first" />
    <${Section} flush>
      <${Loaded} of=${found}>
        ${(list) => html`<${Table}
            label="Nodes"
            columns=${COLUMNS}
            rows=${list.items}
            id=${(row) => row.epoch}
          />
          <${Pager} of=${list} />`}
      <//>
    <//>
  </div>`;
}
