/** A call as this device sees it, and what snapshots and events make of it. Nothing here acts. */

import { readUpTo, withMessage } from "./chat.js";

const ANSWERED = ["accepted", "connected", "reconnecting"];

/**
 * Every field of the server's snapshot, and:
 *
 * @typedef {object} CallState
 * @property {string} id
 * @property {"requested" | "ringing" | "accepted" | "connected" | "reconnecting" | "ended"} state
 * @property {"caller" | "callee"} role
 * @property {"active" | "ringing" | "elsewhere" | "canTake"} you
 * @property {object | null} final  what the books say, at the end
 * @property {string | null} reason  why it ended; null also if nobody knows any more
 * @property {string | null} by
 * @property {string | null} note
 * @property {MediaStream | null} local
 * @property {MediaStream | null} remote
 * @property {{audio: boolean, video: boolean, hold: boolean}} media  own
 * @property {{audio: boolean, video: boolean, hold: boolean}} peerMedia
 * @property {import("./quality.js").Quality | null} quality
 * @property {"good" | "poor" | "lost"} peerQuality
 * @property {{endsAt: number, secondsLeft: number} | null} low  the money ends soon
 * @property {object | null} tick  the last slice that was charged
 * @property {import("./chat.js").Message[]} messages
 * @property {boolean} peerTyping
 * @property {{code: string, message: string} | null} chatError  why earlier messages are missing
 * @property {{code: string, message: string} | null} error  what is wrong with our own devices
 */

/** Whether there is a call that has not ended. */
export function isLive(call) {
  return call !== null && call.state !== "ended";
}

export function isAnswered(call) {
  return ANSWERED.includes(call.state);
}

/** Whether this device sends and hears. */
export function isLeg(call) {
  return isLive(call) && call.you === "active";
}

/** The other one's role. */
export function otherRole({ role }) {
  return role === "caller" ? "callee" : "caller";
}

/**
 * Take a snapshot over, unless events have already told more.
 *
 * @param {CallState | null} before  what was known of the same call
 * @returns {CallState}
 */
export function fromSnapshot(snapshot, before) {
  // What is read from the books after the end has no revision.
  const isFinal = snapshot.state === "ended";
  if (before && snapshot.rev < before.rev && !isFinal) return before;
  const kept = before ?? {
    final: null,
    local: null,
    remote: null,
    media: snapshot.legs[snapshot.role].media,
    quality: null,
    peerQuality: "good",
    low: null,
    tick: null,
    messages: [],
    peerTyping: false,
    chatError: null,
    error: null,
  };
  const peerMedia = snapshot.legs[otherRole(snapshot)].media;
  const note = snapshot.note ?? before?.note ?? null;
  return { ...kept, ...snapshot, rev: Math.max(snapshot.rev, kept.rev ?? 0), note, peerMedia };
}

/**
 * What an event makes of a call. Events it knows already change nothing.
 *
 * @param {CallState} call
 * @param {object} event
 * @param {string} me  our user
 * @returns {CallState}
 */
export function after(call, event, me) {
  if (event.rev === undefined) {
    const change = plain(call, event, me);
    return change ? { ...call, ...change } : call;
  }
  if (event.rev <= call.rev) return call;
  return { ...call, ...step(call, event), rev: event.rev };
}

function step(call, { type, data }) {
  switch (type) {
    case "call_ringing":
      return { state: "ringing", expiresAt: data.expiresAt };
    case "call_accepted": {
      const callee = { ...call.legs.callee, device: data.device };
      const you = call.role === "caller" ? call.you : answererOf(data);
      const { expiresAt } = data;
      return { state: "accepted", expiresAt, you, legs: { ...call.legs, callee } };
    }
    case "call_connected": {
      const { connectedAt, meter } = data;
      const legs = withLegs(call, { connected: true });
      return { state: "connected", connectedAt, meter: { ...call.meter, ...meter }, legs };
    }
    case "call_reconnecting": {
      const leg = { ...call.legs[data.leg], connected: false };
      const meter = call.meter && { ...call.meter, running: false };
      const legs = { ...call.legs, [data.leg]: leg };
      return { state: "reconnecting", expiresAt: data.expiresAt, legs, meter };
    }
    case "call_taken": {
      const leg = { ...call.legs[data.leg], device: data.device };
      return { legs: { ...call.legs, [data.leg]: leg } };
    }
    case "call_tick": {
      const { unit, total, fundedUntil, balance = call.meter?.balance } = data;
      const meter = { ...call.meter, units: unit, charged: total, fundedUntil, balance };
      return { tick: data, meter };
    }
    case "balance_low": {
      const { endsAt, secondsLeft } = data;
      return { low: data.withdrawn ? null : { endsAt, secondsLeft } };
    }
    case "call_rejected":
    case "call_ended":
      return ended(data);
    default:
      return {};
  }
}

/** What this device of the callee is after an answer, which may have come without any device. */
function answererOf({ device, elsewhere }) {
  if (device === null) return "canTake";
  return elsewhere ? "elsewhere" : "active";
}

/** Why a call is over, of a terminal event or an entry of `recent`. */
export function ended({ reason, by, final, note = null, endedAt = null }) {
  return { state: "ended", reason, by, final, note, endedAt, expiresAt: null, peerTyping: false };
}

function plain(call, { type, data }, me) {
  switch (type) {
    case "media_state": {
      const { leg, ...peerMedia } = data;
      const legs = { ...call.legs, [leg]: { ...call.legs[leg], media: peerMedia } };
      return { peerMedia, legs };
    }
    case "peer_quality":
      return { peerQuality: data.quality };
    case "chat_message": {
      const peerTyping = call.peerTyping && data.message.sender === me;
      return { messages: withMessage(call.messages, data.message, me), peerTyping };
    }
    case "chat_read":
      return data.userId === me ? null : { messages: readUpTo(call.messages, data.message) };
    case "chat_typing":
      return data.userId === me ? null : { peerTyping: data.typing };
    default:
      return null;
  }
}

function withLegs({ legs }, change) {
  return { caller: { ...legs.caller, ...change }, callee: { ...legs.callee, ...change } };
}
