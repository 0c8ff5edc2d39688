/** What the entries of a timeline say. Pure. */

import { amount, plain, span, title, walletName } from "../words.js";

export const LANES = ["caller", "server", "callee", "money", "operator"];

const OWNERS = { caller: "caller", callee: "callee", house: "house" };
const INPUTS = {
  call_request: "Asks for the call",
  rang: "Rings",
  accepted: "Accepts",
  rejected: "Rejects",
  cancelled: "Cancels",
  hung_up: "Hangs up",
  signal: "Signal",
  media_connected: "Media is connected",
  media_lost: "Media is lost",
  media_stats: "Media report",
  media_state: "Media changed",
  timer_fired: "Timer",
  stopped: "Stopped",
  taken_over: "Another node takes over",
  funded: "Funded",
  charge_posted: "Charge posted",
  charge_refused: "Charge refused",
  settled: "Settled",
  charge: "Wants to charge",
  settle: "Wants to settle",
  wake_callee: "Wakes the callee’s devices",
};

/** A short name of the entry. */
export function nameOf({ kind, name, details }) {
  if (kind === "tick") return `Unit ${details.n}: ${signed(details.amount, details.currency)}`;
  if (kind === "transfer") return `${title(name)}: ${signed(details.amount, details.currency)}`;
  if (kind === "gap") return `${details.count} entries left out`;
  if (kind === "state") return `Call ${plain(name)}`;
  if (kind === "audit") return title(name);
  if (kind === "event") return `Is told: ${plain(name.replace(/^call_/, ""))}`;
  if (name === "signal") {
    const times = details.count ? `, ${details.count} times` : "";
    return `Sends ${plain(details.signal)}${times}`;
  }
  return INPUTS[name] ?? title(name);
}

const signed = (minor, currency) => `${amount(minor)} ${currency}`.trim();

/** The rest of it on a line. */
export function aboutOf({ kind, name, details }) {
  if (kind === "tick") return `${signed(details.total, details.currency)} in all`;
  if (kind === "transfer") {
    const end = (place) =>
      `${walletName(details[place])} (${OWNERS[details[`${place}Owner`]] ?? "another"})`;
    return `${end("from")} → ${end("to")}`;
  }
  if (kind === "gap") return "";
  if (kind === "audit") return `${details.byName}: ${details.reason}`;
  return Object.entries(details)
    .filter(([word]) => !(name === "signal" && word === "signal"))
    .map(([word, value]) => `${plain(word.replace(/(^m|M)s$/, ""))} ${wordOf(word, value)}`.trim())
    .join(" · ");
}

function wordOf(word, value) {
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (/(^m|M)s$/.test(word) && typeof value === "number") return span(value);
  return typeof value === "number" ? String(value) : plain(value);
}

/** `+0.012 s`, `+1:05.300`: since the beginning. */
export function since(ms) {
  if (ms < 60_000) return `+${(ms / 1000).toFixed(3)} s`;
  const minutes = Math.floor(ms / 60_000);
  return `+${minutes}:${((ms % 60_000) / 1000).toFixed(3).padStart(6, "0")}`;
}

/** What to show of it all. */
export const SHOWS = {
  all: () => true,
  money: ({ lane, kind }) => lane === "money" || kind === "state",
  people: ({ lane, kind }) => lane !== "money" || kind === "state",
  states: ({ kind, name }) =>
    kind === "state" || kind === "audit" || name === "call_reconnecting" || name === "taken_over",
};

const BANDS = {
  requested: "requested",
  ringing: "ringing",
  accepted: "accepted",
  connected: "connected",
};

/** The call's states as spans between entries: `{state, from, to}`, places in `items`. */
export function bandsOf(items) {
  const bands = [];
  const start = (state, at) => {
    const last = bands.at(-1);
    if (last && last.to === null) last.to = at;
    if (state) bands.push({ state, from: at, to: null });
  };
  items.forEach((item, at) => {
    if (item.kind === "state") start(BANDS[item.name], at);
    else if (item.kind !== "event") return;
    else if (item.name === "call_reconnecting" && bands.at(-1)?.state !== "reconnecting") {
      start("reconnecting", at);
    } else if (item.name === "call_connected" && bands.at(-1)?.state === "reconnecting") {
      start("connected", at);
    }
  });
  const last = bands.at(-1);
  if (last && last.to === null) last.to = items.length - 1;
  return bands;
}
