/** How good the line is: bars, a word, and on request the figures. */

import { html, useState } from "/assets/vendor/preact-htm/preact-htm.js";
import { Bars } from "./icons.js";
import { Dialog } from "./parts.js";
import { sayQuality } from "./words.js";

const PEER = { good: "Good", poor: "Weak", lost: "Lost" };
const figure = (value, unit, digits = 0) =>
  value === undefined || value === null ? "–" : `${value.toFixed(digits)} ${unit}`;

export function Quality({ call }) {
  const [open, setOpen] = useState(false);
  const { level, word } = sayQuality(call.quality);
  const quality = call.quality ?? {};
  const lines = [
    ["Your line", word],
    [`${call.peer.name}'s line`, PEER[call.peerQuality] ?? "–"],
    ["There and back", figure(quality.rttMs, "ms")],
    ["Lost on the way", figure(quality.loss === undefined ? null : quality.loss * 100, "%", 1)],
    ["Unsteadiness", figure(quality.jitterMs, "ms")],
    ["Receiving", figure(quality.inKbps, "kbit/s")],
    ["Sending", figure(quality.outKbps, "kbit/s")],
    ["Way", call.quality ? (quality.relay ? "By a relay" : "Direct") : "–"],
  ];
  return html`<button class="quality" type="button" onClick=${() => setOpen(true)}
      aria-label=${`Connection: ${word}. Details`}>
      <${Bars} level=${level} /><span aria-hidden="true">${word}</span>
    </button>
    ${open &&
    html`<${Dialog} title="Connection" onClose=${() => setOpen(false)}>
      <dl class="lines">
        ${lines.map(
          ([name, text]) => html`<div key=${name}><dt>${name}</dt><dd class="number">${text}</dd></div>`,
        )}
      </dl>
    <//>`}`;
}
