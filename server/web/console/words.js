/** Words and numbers as the console writes them. */

import { site } from "./store.js";

const count = new Intl.NumberFormat();
const exactly = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto", style: "short" });
const STEPS = [
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];

/** @param {number} n */
export const number = (n) => count.format(n);

/** `1,050.00`, without its currency; `signed` writes a plus as well. */
export function amount(minor, { signed = false } = {}) {
  const exponent = site.currencyExponent;
  return new Intl.NumberFormat(undefined, {
    minimumFractionDigits: exponent,
    maximumFractionDigits: exponent,
    signDisplay: signed ? "exceptZero" : "auto",
  }).format(minor / 10 ** exponent);
}

/** Everything that there is to know of a moment. */
export const exact = (time) => exactly.format(new Date(time));

/** `3 min. ago`, `in 20 sec.`; a date when it is over a month away. */
export function ago(time) {
  const seconds = Math.round((new Date(time).getTime() - Date.now()) / 1000);
  const away = Math.abs(seconds);
  if (away > 30 * 86_400) return day.format(new Date(time));
  if (away < 5) return "now";
  for (const [unit, size] of STEPS) {
    if (away >= size) return relative.format(Math.trunc(seconds / size), unit);
  }
  return relative.format(seconds, "second");
}

/** `call_request` → `call request`; `answeredElsewhere` → `answered elsewhere`. */
export function plain(word) {
  return String(word)
    .replace(/([a-z])([A-Z])/g, "$1 $2")
    .replace(/[_.]/g, " ")
    .toLowerCase();
}

/** With a capital. */
export function title(word) {
  const text = plain(word);
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** `420 ms`, `3.2 s`, `2 min 5 s`. */
export function span(ms) {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(ms < 10_000 ? 1 : 0)} s`;
  const minutes = Math.floor(ms / 60_000);
  const seconds = Math.round((ms % 60_000) / 1_000);
  if (minutes >= 60) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  return seconds ? `${minutes} min ${seconds} s` : `${minutes} min`;
}

const GOOD = [
  "active",
  "completed",
  "connected",
  "delivered",
  "good",
  "live",
  "paid",
  "alive",
  "approved",
];
const WARN = [
  "ringing",
  "pending",
  "waiting",
  "requested",
  "reconnecting",
  "poor",
  "delayed",
  "connecting",
  "draining",
  "opened",
  "initiated",
  "processing",
];
const BAD = ["failed", "suspended", "lost", "rejected", "dead", "gone", "fenced"];

/** The look of a status: good, warn, bad or none. */
export function mood(status) {
  if (GOOD.includes(status)) return "good";
  if (WARN.includes(status)) return "warn";
  return BAD.includes(status) ? "bad" : "";
}

const WALLETS = {
  call_credits: "Call credits",
  primary: "Main wallet",
  earnings_available: "Earnings, available",
  earnings_pending: "Earnings, pending",
};

/** A wallet or account of the ledger, by its kind. */
export const walletName = (kind) => WALLETS[kind] ?? title(kind);
