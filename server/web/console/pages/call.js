/** One call: its facts, its money, and everything that happened in it. */

import { html } from "/assets/vendor/preact-htm/preact-htm.js";

import { useLoad } from "../hooks.js";
import { api } from "../store.js";
import { REASON, ask } from "../ui/ask.js";
import { Amount, Badge, Facts, Head, Ident, Loaded, Person, Section, When } from "../ui/parts.js";
import { Table } from "../ui/table.js";
import { amount, plain, span } from "../words.js";
import { Elapsed, Quality, endCall } from "./calls.js";
import { Timeline } from "./timeline.js";

const LIVE_MS = 2_000;

export function Call({ id }) {
  const path = `/operators/calls/${id}`;
  const found = useLoad(async () => ({ ...(await api.get(path)).call, readAt: Date.now() }), [id], {
    everyMs: LIVE_MS,
  });
  const call = found.data;
  const happened = useLoad(() => api.get(`${path}/timeline`), [id, call?.state, call?.charged], {
    everyMs: call?.state === "ended" ? 10_000 : LIVE_MS,
  });
  const again = () => Promise.all([found.reload(), happened.reload()]);
  const names = call ? `${call.caller.name} calls ${call.callee.name}` : "Call";

  return html`<div class="page">
    <${Head} title=${names} back=${[["calls"], "Calls"]}>
      ${call && html`<${Tools} call=${call} again=${again} />`}
    <//>
    <${Section}>
      <${Loaded} of=${found}>${(known) => html`<${Known} call=${known} />`}<//>
    <//>
    <${Section} title="Timeline" note=${call && note(happened.data)}>
      <${Loaded} of=${happened} rows=${6}>
        ${(timeline) => html`<${Timeline} items=${timeline.items} call=${call} />`}
      <//>
    <//>
    ${call && html`<${Money} call=${call} />`}
  </div>`;
}

function note(timeline) {
  if (!timeline) return null;
  const reports = timeline.journals.reduce((sum, each) => sum + each.reports, 0);
  const parts = [`${timeline.items.length} entries`, `${reports} media reports changed nothing`];
  if (timeline.missing) parts.push("a node left no journal");
  if (timeline.truncated) parts.push("there are more transfers than are shown");
  return parts.join(" · ");
}

function Tools({ call, again }) {
  const refund = () =>
    ask({
      title: `Refund ${amount(call.charged)} ${call.currency} to ${call.caller.name}?`,
      text: "Everything that the call cost goes back, once; the provider’s part is recalled.",
      fields: [
        { ...REASON, max: 500 },
        {
          name: "houseBears",
          kind: "check",
          label: "What the provider was paid out already is the house’s loss",
        },
      ],
      confirm: "Refund",
      danger: true,
      run: async (values, key) => {
        const done = await api.post(`/calls/${call.id}/refund`, values, { key });
        return `${amount(done.refunded)} ${done.currency} went back.`;
      },
    }).then(again);

  if (call.state !== "ended") {
    return html`<button class="button small hazard" onClick=${() => endCall(call).then(again)}>
      End call
    </button>`;
  }
  return (
    call.charged > 0 &&
    !call.refundedAt &&
    html`<button class="button small" onClick=${refund}>Refund</button>`
  );
}

function Known({ call }) {
  const sum = (minor) => html`<${Amount} minor=${minor} currency=${call.currency} />`;
  const over = call.state === "ended";
  return html`<${Facts}
    of=${[
      ["State", html`<${Badge} status=${call.state} />`],
      ["Caller", html`<${Person} ...${call.caller} />`],
      ["Callee", html`<${Person} ...${call.callee} />`],
      ["Kind", plain(call.kind)],
      [over ? "Talked" : "Elapsed", html`<${Elapsed} call=${call} />`],
      ["Charged", sum(call.charged)],
      ["Earned", sum(call.earned)],
      ["Refunded", call.refunded ? sum(call.refunded) : undefined],
      ["Held", call.meter ? sum(call.meter.held) : undefined],
      ["Balance", call.meter?.balance != null ? sum(call.meter.balance) : undefined],
      [
        "Funded until",
        call.meter?.fundedUntil ? html`<${When} at=${call.meter.fundedUntil} />` : undefined,
      ],
      [
        "Quality",
        over
          ? undefined
          : html`<${Quality} of=${call.quality} caller=${call.caller} callee=${call.callee} />`,
      ],
      [
        "Ended by",
        over ? `${plain(call.reason ?? "–")}, ${plain(call.endedBy ?? "–")}` : undefined,
      ],
      ["Price", html`${sum(call.tariff.pricePerMinute)}/min`],
      ["Unit", `${span(call.tariff.firstMs)}, then ${span(call.tariff.nextMs)}`],
      [
        "Node",
        html`<code>${call.node ?? "–"}</code>${call.owners > 1 ? ` (of ${call.owners})` : ""}`,
      ],
      ["Devices", `${call.legs.caller.device ?? "–"} · ${call.legs.callee.device ?? "–"}`],
      ["Began", html`<${When} at=${call.createdAt} />`],
      ["Ended", over ? html`<${When} at=${call.endedAt} />` : undefined],
      ["Id", html`<${Ident} id=${call.id} what="call id" />`],
    ]}
  />`;
}

function Money({ call }) {
  const sum = (minor) => html`<${Amount} minor=${minor} currency=${call.currency} />`;
  const columns = [
    { key: "n", label: "Unit", cell: (row) => row.n },
    { key: "at", label: "Posted", cell: (row) => html`<${When} at=${row.at} />` },
    { key: "amount", label: "Charged", look: "number", cell: (row) => sum(row.amount) },
    { key: "total", label: "Total", look: "number", cell: (row) => sum(row.total) },
  ];
  return html`<${Section} title="Money" flush>
    <${Table}
      label="Units"
      columns=${columns}
      rows=${call.billingUnits}
      id=${(row) => row.n}
      empty="Nothing was charged."
    />
  <//>`;
}
