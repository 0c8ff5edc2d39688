/** The round buttons under a call. */

import { html, useState } from "/assets/vendor/preact-htm/preact-htm.js";
import { Devices } from "./devices.js";
import { Icon } from "./icons.js";
import { useApp } from "./store.js";
import { sayError } from "./words.js";

export function Controls({ call, chatOpen, unseen, onChat, speaker, onSpeaker }) {
  const { client, desk, site } = useApp();
  const [choosing, setChoosing] = useState(false);
  const [leaving, setLeaving] = useState(false);
  const { audio, video, hold } = call.media;
  const answered = ["accepted", "connected", "reconnecting"].includes(call.state);
  const attempt = async (work) => {
    try {
      await work();
    } catch (error) {
      desk.toast(sayError(error, site), "bad");
    }
  };
  const set = (change) => attempt(() => client.setMedia(change));
  const leave = async () => {
    setLeaving(true);
    await attempt(() => client.hangUp());
    setLeaving(false);
  };
  return html`<div class="controls" role="toolbar" aria-label="Call controls">
    <${Round} label=${audio ? "Mute" : "Unmute"} icon=${audio ? "mic" : "micOff"} off=${!audio}
      onClick=${() => set({ audio: !audio })} />
    <${Round} label=${video ? "Camera off" : "Camera on"} icon=${video ? "video" : "videoOff"}
      off=${!video} onClick=${() => set({ video: !video })} />
    ${answered &&
    html`<${Round} label=${hold ? "Resume" : "Hold"} icon=${hold ? "play" : "pause"} off=${hold}
      onClick=${() => set({ hold: !hold })} />`}
    ${answered &&
    html`<${Round} label=${chatOpen ? "Close chat" : "Open chat"} icon="chat" lit=${chatOpen} id="chat-button"
      count=${unseen} onClick=${onChat} />`}
    <${Round} label="Devices" icon="sliders" onClick=${() => setChoosing(true)} />
    <button class="control hangup" type="button" disabled=${leaving} onClick=${leave}
      aria-label=${answered ? "Hang up" : "Cancel call"}>
      <${Icon} name="hangup" size=${26} />
    </button>
    ${choosing &&
    html`<${Devices} speaker=${speaker} onSpeaker=${onSpeaker} onClose=${() => setChoosing(false)} />`}
  </div>`;
}

function Round({ label, icon, onClick, off = false, lit = false, count = 0, id }) {
  return html`<button
    class=${`control ${off ? "off" : ""} ${lit ? "lit" : ""}`}
    type="button"
    id=${id}
    aria-label=${count > 0 ? `${label}, ${count} new` : label}
    onClick=${onClick}
  >
    <${Icon} name=${icon} />
    ${count > 0 && html`<span class="count" aria-hidden="true">${count}</span>`}
  </button>`;
}
