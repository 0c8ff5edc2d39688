/** What two people wrote to each other in a call, to be read again beside its receipt. */

import { keptMessages } from "/assets/client/client.js";
import { html } from "/assets/vendor/preact-htm/preact-htm.js";
import { Failure } from "./parts.js";
import { useApp, useLoaded, useShared } from "./store.js";

const time = (ms) =>
  new Intl.DateTimeFormat(undefined, { timeStyle: "short" }).format(new Date(ms));

/** One message; `note` stands beside its time. */
export function Message({ message, name, note = "" }) {
  return html`<div class=${`message ${message.mine ? "mine" : ""}`}>
    <p><span class="hushed">${message.mine ? "You" : name}: </span>${message.text}</p>
    <span class="small">${time(message.createdAt)}${note && ` · ${note}`}</span>
  </div>`;
}

/**
 * Nothing where nobody wrote.
 *
 * @param {{call: string, name: string}} props  the call's id, and who the other one is
 */
export function ChatLog({ call, name }) {
  const { api } = useApp();
  const { calls, user } = useShared();
  const { data, error, again } = useLoaded(
    () => keptMessages(api, call, user.id),
    [call, calls],
  );
  if (error) return html`<${Failure} error=${error} again=${again} />`;
  if (!data?.length) return null;
  return html`<section class="card chat-log" aria-label="Chat">
    <h2>Chat</h2>
    <div class="chat-list" tabindex="0" role="group" aria-label="Messages">
      ${data.map((each) => html`<${Message} key=${each.id} message=${each} name=${name} />`)}
    </div>
  </section>`;
}
