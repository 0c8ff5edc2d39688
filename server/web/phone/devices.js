/** Which microphone, camera and speaker. */

import { html, useState } from "/assets/vendor/preact-htm/preact-htm.js";
import { Dialog, Failure, Field, Skeleton, Wrong } from "./parts.js";
import { useApp, useLoaded } from "./store.js";

const KINDS = [
  ["microphones", "Microphone", "useMicrophone"],
  ["cameras", "Camera", "useCamera"],
  ["speakers", "Speaker", null],
];
const chosen = new Map();

export function Devices({ speaker, onSpeaker, onClose }) {
  const { client } = useApp();
  const { data, error, again } = useLoaded(() => client.listDevices(), []);
  const [wrong, setWrong] = useState(null);
  const use = async (kind, method, id) => {
    setWrong(null);
    if (!method) {
      onSpeaker(id);
      return;
    }
    try {
      await client[method](id);
      chosen.set(kind, id);
    } catch (caught) {
      setWrong(caught);
    }
  };
  return html`<${Dialog} title="Devices" onClose=${onClose}>
    ${error && html`<${Failure} error=${error} again=${again} />`}
    ${!data && !error && html`<${Skeleton} rows=${3} />`}
    <div class="form">
      ${data &&
      KINDS.map(
        ([kind, name, method]) => html`<${Field} key=${kind} id=${kind} label=${name}>
          ${(id) => html`<select class="input" id=${id} disabled=${data[kind].length === 0}
            onChange=${(event) => use(kind, method, event.target.value)}>
            ${data[kind].length === 0 && html`<option>None found</option>`}
            ${data[kind].map(
              (each, at) => html`<option key=${each.deviceId} value=${each.deviceId}
                selected=${each.deviceId === (method ? chosen.get(kind) : speaker)}>
                ${each.label || `${name} ${at + 1}`}
              </option>`,
            )}
          </select>`}
        <//>`,
      )}
      <${Wrong} error=${wrong} />
    </div>
    <div class="buttons"><button class="button main" type="button" onClick=${onClose}>Done</button></div>
  <//>`;
}
