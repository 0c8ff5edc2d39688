/** Writing to each other in the call, with who types and what was read. */

import { html, useEffect, useRef, useState } from "/assets/vendor/preact-htm/preact-htm.js";
import { Message } from "./chatlog.js";
import { Icon } from "./icons.js";
import { useApp } from "./store.js";
import { sayError } from "./words.js";

const STILL_MS = 3000;

export function Chat({ call, grab, onClose }) {
  const { client } = useApp();
  const list = useRef(null);
  const last = call.messages.at(-1);
  useEffect(() => {
    list.current.scrollTop = list.current.scrollHeight;
    const theirs = call.messages.findLast((each) => !each.mine);
    if (theirs && document.visibilityState === "visible") client.readChat(theirs.id).catch?.(() => {});
  }, [last?.id, call.peerTyping]);
  const lastRead = call.messages.findLast((each) => each.mine && each.read);
  const escape = (event) => event.key === "Escape" && onClose();
  return html`<aside class="chat" aria-label="Chat" onKeyDown=${escape}>
    <header class="chat-head">
      <h2>Chat</h2>
      <button class="button round plain small-round" type="button" aria-label="Hide chat" onClick=${onClose}>
        <${Icon} name="close" />
      </button>
    </header>
    <div class="chat-list" ref=${list} tabindex="0" role="log" aria-label="Messages" aria-live="polite">
      <${Missing} error=${call.chatError} />
      ${call.messages.length === 0 &&
      !call.chatError &&
      html`<p class="soft small chat-empty">
        Write to each other while you talk.
      </p>`}
      ${call.messages.map(
        (each) =>
          html`<${Message} key=${each.id} message=${each} name=${call.peer.name}
            note=${each === lastRead ? "Read" : ""} />`,
      )}
      ${call.peerTyping && html`<p class="soft small typing">${call.peer.name} is typing…</p>`}
    </div>
    <${Write} name=${call.peer.name} grab=${grab} />
  </aside>`;
}

/** What was written before this page was loaded could not be had. */
function Missing({ error }) {
  const { client, site } = useApp();
  const [busy, setBusy] = useState(false);
  const again = async () => {
    setBusy(true);
    await client.loadChat().catch(() => {}); // It says so itself, where it said it before.
    setBusy(false);
  };
  return error &&
    html`<div class="note bad trouble">
      <p>Earlier messages are missing. ${sayError(error, site)}</p>
      <button class="button small" type="button" disabled=${busy} onClick=${again}>Try again</button>
    </div>`;
}

function Write({ name, grab }) {
  const { client, desk, site } = useApp();
  const [text, setText] = useState("");
  const typing = useRef({ on: false, timer: 0 });
  const say = (on) => {
    clearTimeout(typing.current.timer);
    if (on) typing.current.timer = setTimeout(() => say(false), STILL_MS);
    if (typing.current.on === on) return;
    typing.current.on = on;
    client.typing(on)?.catch?.(() => {});
  };
  const field = useRef(null);
  useEffect(() => {
    if (grab) field.current.focus();
    return () => clearTimeout(typing.current.timer);
  }, []);
  const submit = async (event) => {
    event.preventDefault();
    const said = text.trim();
    if (!said) return;
    setText("");
    say(false);
    try {
      await client.sendChat(said);
    } catch (error) {
      setText(said);
      desk.toast(sayError(error, site), "bad");
    }
  };
  return html`<form class="chat-write" onSubmit=${submit}>
    <input class="input" ref=${field} aria-label=${`Message to ${name}`} placeholder="Message" maxlength="4000"
      autocomplete="off" value=${text}
      onInput=${(event) => {
        setText(event.target.value);
        say(event.target.value !== "");
      }} />
    <button class="control lit" type="submit" aria-label="Send"><${Icon} name="send" /></button>
  </form>`;
}
