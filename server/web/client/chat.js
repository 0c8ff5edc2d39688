/** The chat of a call: what is in it, and what the server has kept of it. */

const MESSAGES_MAX = 1_000;
const PAGE = 100;

/**
 * @typedef {object} Message
 * @property {string} id  later ones are greater
 * @property {string} sender
 * @property {string} text
 * @property {number} createdAt
 * @property {boolean} mine
 * @property {boolean} read  by the other side; or by us, before this page was loaded
 */

/**
 * What was written in a call of ours, live or over: the oldest first, the newest 1 000 if there
 * is more.
 *
 * @param {import("./api.js").Api} api
 * @param {string} callId
 * @param {string} me  our user
 * @returns {Promise<Message[]>}
 * @throws {import("./errors.js").ApiError}
 */
export async function keptMessages(api, callId, me) {
  let found = [];
  let left = 1;
  for (let offset = 0; left > 0 && offset < MESSAGES_MAX; offset += PAGE) {
    const query = { limit: PAGE, offset };
    const { items, total } = await api.get(`/calls/${callId}/messages`, query);
    const page = items.map((each) => ({
      ...message(each, me),
      createdAt: Date.parse(each.createdAt),
      read: each.read,
    }));
    // One that came meanwhile has moved the pages.
    found = withKept(found, page);
    left = total - offset - items.length;
  }
  return found;
}

/** Those that came by themselves and those that were kept, each once. */
export function withKept(messages, kept) {
  const all = new Map(messages.map((each) => [each.id, each]));
  for (const each of kept) {
    all.set(each.id, { ...each, read: each.read || (all.get(each.id)?.read ?? false) });
  }
  return [...all.values()].sort((a, b) => (a.id < b.id ? -1 : 1)).slice(-MESSAGES_MAX);
}

/** Each message once, however often it comes; the oldest go when there are too many. */
export function withMessage(messages, given, me) {
  if (messages.some(({ id }) => id === given.id)) return messages;
  return [...messages, message(given, me)].slice(-MESSAGES_MAX);
}

/** Who has read a message has read those before it. */
export function readUpTo(messages, messageId) {
  const last = messages.findIndex(({ id }) => id === messageId);
  const isRead = ({ mine, read }, at) => read || (mine && at <= last);
  return messages.map((each, at) => ({ ...each, read: isRead(each, at) }));
}

function message({ id, sender, text, createdAt }, me) {
  return { id, sender, text, createdAt, mine: sender === me, read: false };
}
