/** The call on the screen: coming in, going on, or over. */

import { html, useEffect, useRef, useState } from "/assets/vendor/preact-htm/preact-htm.js";
import { After } from "./after.js";
import { Chat } from "./chat.js";
import { Controls } from "./controls.js";
import { Icon } from "./icons.js";
import { Incoming } from "./incoming.js";
import { Meter } from "./meter.js";
import { Quality } from "./quality.js";
import { useRing } from "./ring.js";
import { Stage } from "./stage.js";
import { useApp, useClient, useNow } from "./store.js";
import { duration } from "/assets/shared/format.js";
import { sayError } from "./words.js";

const WIDE = "(min-width: 900px)";
const WORDS = {
  requested: "Calling",
  ringing: "Ringing",
  accepted: "Connecting",
  connected: "Connected",
  reconnecting: "Reconnecting",
};

/** @param {{call: import("/assets/client/call.js").CallState}} props */
export function CallView({ call }) {
  if (call.state === "ended") return html`<${After} key=${call.id} call=${call} />`;
  if (call.you === "ringing") return html`<${Incoming} key=${call.id} call=${call} />`;
  return html`<${Live} key=${call.id} call=${call} />`;
}

function Live({ call }) {
  const { peer, state } = call;
  const [chatOpen, setChatOpen] = useState(() => matchMedia(WIDE).matches);
  const [pressed, setPressed] = useState(false);
  const [speaker, setSpeaker] = useState("");
  const toggleChat = () => {
    setPressed(true);
    setChatOpen(!chatOpen);
    if (chatOpen) document.getElementById("chat-button")?.focus();
  };
  const unseen = useUnseen(call, chatOpen);
  const talking = state === "connected" || state === "reconnecting";
  useRing(call.role === "caller" && state === "ringing" ? "outgoing" : null);
  useEffect(() => {
    const before = document.title;
    document.title = `${peer.name} · Talktime`;
    return () => {
      document.title = before;
    };
  }, [peer.name]);
  const answered = talking || state === "accepted";
  return html`<div class=${`call ${chatOpen && answered ? "with-chat" : ""}`}>
    <main class="call-main" aria-label=${`Call with ${peer.name}`}>
      <${Head} call=${call} />
      <${Stage} call=${call} speaker=${speaker} />
      <div class="call-notes">
        <${Trouble} call=${call} />
        <${Low} call=${call} />
      </div>
      ${talking && html`<${Meter} call=${call} />`}
      <${Controls}
        call=${call}
        chatOpen=${chatOpen}
        unseen=${answered ? unseen : null}
        onChat=${toggleChat}
        speaker=${speaker}
        onSpeaker=${setSpeaker}
      />
    </main>
    ${answered && chatOpen && html`<${Chat} call=${call} grab=${pressed} onClose=${toggleChat} />`}
  </div>`;
}

/** How many messages came while the chat was closed, and were not read before either. */
function useUnseen(call, open) {
  const theirs = call.messages.filter((each) => !each.mine && !each.read);
  const seen = useRef("");
  if (open) seen.current = theirs.at(-1)?.id ?? "";
  return theirs.filter((each) => each.id > seen.current).length;
}

function Head({ call }) {
  const heading = useRef(null);
  const running = call.state === "connected";
  const now = useNow(running ? 500 : 0);
  useEffect(() => heading.current?.focus({ preventScroll: true }), []);
  const poor = call.peerQuality === "poor" && running;
  return html`<header class="call-head">
    <div>
      <h1 tabindex="-1" ref=${heading}>${call.peer.name}</h1>
      <p class="call-state">
        <span role="status" aria-live="polite">${WORDS[call.state]}${running ? "" : "…"}</span>
        ${running && html`<span class="number" aria-hidden="true">${duration(now - call.connectedAt)}</span>`}
        ${call.peerMedia.hold && running && html`<span class="badge warn">On hold</span>`}
        ${!call.peerMedia.audio && running && html`<span class="badge"><${Icon} name="micOff" size=${14} /> Muted</span>`}
        ${poor && html`<span class="badge warn">Weak line there</span>`}
      </p>
    </div>
    ${(running || call.state === "reconnecting") && html`<${Quality} call=${call} />`}
  </header>`;
}

/** What keeps the two from talking, and how long it may last. */
function Trouble({ call }) {
  const { client } = useApp();
  const { link } = useClient();
  const reconnecting = call.state === "reconnecting";
  const now = useNow(reconnecting ? 500 : 0);
  const [gone, setGone] = useState(null);
  const [wrong, setWrong] = useState(null);
  const error = wrong ?? (call.error === gone ? null : call.error);
  const leftMs = call.expiresAt - now;
  const mine = call.legs?.[call.role]?.connected === false;
  // Without any sound of ours the call is entered anew; without a picture it goes on as it is.
  const again = async () => {
    setWrong(null);
    try {
      if (call.local) await client.setMedia({ video: true });
      else await client.take({ video: call.kind === "video" });
      setGone(call.error);
    } catch (caught) {
      setWrong(caught);
    }
  };
  return html`
    ${reconnecting &&
    html`<div class="note warn trouble" role="alert">
      <span class="spinner" aria-hidden="true"></span>
      <p>
        ${mine ? "Your connection was lost." : `${call.peer.name}'s connection was lost.`}
        ${" "}Reconnecting; nothing is charged meanwhile.
        ${" "}<strong class="number" aria-hidden="true">${duration(leftMs + 500)} left</strong>
      </p>
    </div>`}
    ${!reconnecting &&
    link !== "online" &&
    html`<div class="note warn trouble" role="alert">
      <span class="spinner" aria-hidden="true"></span>
      <p>The server cannot be reached; trying again. You can go on talking.</p>
    </div>`}
    ${error &&
    html`<div class="note bad trouble" role="alert">
      <p>${sayError(error)}</p>
      <button class="button small" type="button" onClick=${again}>Try again</button>
    </div>`}
  `;
}

/** The money ends soon. Said once to screen readers, counted down for eyes. */
function Low({ call }) {
  const low = call.low;
  const now = useNow(low ? 500 : 0);
  if (!low || call.state === "reconnecting") return null;
  const payer = call.role === "caller";
  const leftMs = Math.max(0, (low.endsAt ?? now) - now);
  return html`<div class="note warn trouble low" role="alert">
    <${Icon} name="warning" size=${20} />
    <p>
      ${payer ? "Your balance is almost used up." : `${call.peer.name}'s balance is almost used up.`}
      ${" "}<strong class="number" aria-hidden="true">${duration(leftMs)} left</strong>
    </p>
  </div>`;
}
