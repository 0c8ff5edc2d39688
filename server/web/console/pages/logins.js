/** Where an account is logged in, and ending that. */

import { html } from "/assets/vendor/preact-htm/preact-htm.js";

import { useLoad } from "../hooks.js";
import { api } from "../store.js";
import { REASON, ask } from "../ui/ask.js";
import { Ident, Loaded, Section, When } from "../ui/parts.js";
import { Pager, Table, pageOf } from "../ui/table.js";
import { number } from "../words.js";

const why = ({ reason }) => new URLSearchParams({ reason }).toString();

export function Logins({ user, query, reload }) {
  const path = `/operators/users/${user.id}/sessions`;
  const found = useLoad(() => api.get(path, pageOf(query)), [query.page], { everyMs: 10_000 });
  const again = () => Promise.all([found.reload(), reload()]);

  const end = (row) =>
    ask({
      title: "End this log-in?",
      text: `${row.device ?? "The device"} is logged out, and its sockets close.`,
      fields: [REASON],
      confirm: "End log-in",
      danger: true,
      done: "It has ended.",
      run: (values) => api.delete(`${path}/${row.id}?${why(values)}`),
    }).then(again);
  const endAll = () =>
    ask({
      title: `End all log-ins of ${user.name}?`,
      text: "All their devices are logged out. They can log in again.",
      fields: [REASON],
      confirm: "End all",
      danger: true,
      run: async (values) => {
        const { ended } = await api.delete(`${path}?${why(values)}`);
        return `${number(ended)} log-ins have ended.`;
      },
    }).then(again);

  const columns = [
    {
      key: "device",
      label: "Device",
      look: "wide",
      by: (row) => row.device ?? "",
      cell: (row) => row.device ?? html`<span class="soft">not told</span>`,
    },
    {
      key: "made",
      label: "Logged in",
      by: (row) => row.createdAt,
      cell: (row) => html`<${When} at=${row.createdAt} />`,
    },
    {
      key: "seen",
      label: "Last renewed",
      by: (row) => row.lastSeenAt,
      cell: (row) => html`<${When} at=${row.lastSeenAt} />`,
    },
    { key: "id", label: "Id", cell: (row) => html`<${Ident} id=${row.id} what="session id" />` },
    {
      key: "do",
      label: "Actions",
      look: "do",
      cell: (row) => html`<div class="row-tools">
        <button class="button small" onClick=${() => end(row)}>End</button>
      </div>`,
    },
  ];
  const tools = html`<button
    class="button small"
    disabled=${!found.data?.total}
    onClick=${endAll}
  >
    End all
  </button>`;
  return html`<${Section} title="Log-ins" tools=${tools} flush>
    <${Loaded} of=${found}>
      ${(list) => html`<${Table}
          label="Log-ins"
          columns=${columns}
          rows=${list.items}
          empty="Nobody is logged in with this account."
        />
        <${Pager} of=${list} />`}
    <//>
  <//>`;
}
