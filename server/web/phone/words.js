/** What went wrong or came to an end, as a sentence that says what to do next. */

import { duration, money } from "/assets/shared/format.js";

/** REST's codes in capitals, those of the socket in small letters, media by their DOM names. */
const ERRORS = {
  // The socket's own.
  bad_frame: "This page and the server do not understand each other. Reload the page.",
  too_large: "That is too much at once. Try something shorter.",
  unknown_type: "The server does not know this yet. Reload the page to get the matching version.",
  unauthorized: "You are not logged in any more. Log in again.",
  token_expired: "Your log-in has run out. Log in again.",
  forbidden: "Your account may not do this.",
  not_found: "This person or call cannot be found any more. Go back and choose again.",
  not_your_call: "This call belongs to other people.",
  not_your_leg: "This call runs on another device of yours. Go on there.",
  wrong_state: "That is not possible at this moment of the call.",
  call_over: "The call has ended already.",
  answered_elsewhere: "You have answered on another device.",
  self_call: "You cannot call yourself.",
  self_busy: "You are in another call. End that one first.",
  insufficient_funds: "Your balance is too low for this call. Top up, then call again.",
  price_changed: "The price has changed. Look at the new one, then decide.",
  blocked: "One of you has blocked the other, so there can be no call.",
  cooldown: "Too many calls that nobody came to talk in. Wait a little, then try again.",
  rate_limited: "That was too fast. Wait a moment, then try again.",
  unavailable: "The server cannot do this right now. Try again in a moment.",
  internal: "Something went wrong on our side. Try again; if it stays, tell support.",
  // Of the API.
  OFFLINE: "The server cannot be reached. Check your connection, then try again.",
  INVALID_CREDENTIALS: "E-mail or password is wrong. Check both, or log in by phone.",
  INVALID_REFRESH_TOKEN: "Your log-in has run out. Log in again.",
  TOKEN_EXPIRED: "Your log-in has run out. Log in again.",
  UNAUTHORIZED: "You are not logged in any more. Log in again.",
  SESSION_REVOKED: "This log-in was ended. Log in again.",
  ACCOUNT_SUSPENDED: "This account is suspended. Write to support to learn why.",
  ACCOUNT_DELETED: "This account was deleted. You can sign up anew.",
  ACCOUNT_BUSY: "A call of this account is still going on. End it first.",
  FRESH_LOGIN_REQUIRED: "For this, log in again: it is allowed for ten minutes from then on.",
  EMAIL_ALREADY_USED: "This e-mail address has an account already. Log in instead.",
  PHONE_ALREADY_USED: "This phone number belongs to another account.",
  PHONE_NOT_SUPPORTED: "No messages can be sent to this number. Use another one.",
  SMS_UNAVAILABLE: "No codes are sent at this time. Try again in a few minutes.",
  INVALID_EMAIL: "This is no e-mail address. It looks like name@example.org.",
  INVALID_PASSWORD: "A password has 8 to 72 characters. Choose another one.",
  INVALID_CURRENT_PASSWORD: "This is not your current password.",
  INVALID_NAME: "A name has 1 to 32 characters.",
  INVALID_PHONE: "Write the number internationally, with + and the country: +1 202 555 0147.",
  INVALID_OTP: "The code is wrong or has expired. Check it, or ask for a new one.",
  INVALID_ROLE: "Choose one of the two kinds of account.",
  INVALID_AMOUNT: "Give the amount as a whole number above zero.",
  INVALID_METHOD: "This way to pay is not offered here. Choose another one.",
  INVALID_PRICE: "Give the price of a minute as a number, zero or more.",
  INVALID_INTRODUCTION: "The introduction is too long, or has characters that cannot be shown.",
  INVALID_STATUS_MESSAGE: "A status message has at most 140 characters.",
  INVALID_TAGS: "At most 20 tags of 40 characters each, with commas between them.",
  INVALID_GENRES: "At most 20 topics of 40 characters each, with commas between them.",
  INVALID_SCORE: "Choose one to five stars.",
  INVALID_COMMENT: "A comment has at most 500 characters.",
  INVALID_DESTINATION: "Say where the money shall go, in one line of at most 100 characters.",
  INVALID_FILTER: "These filters contradict each other. Loosen one of them.",
  INVALID_PAYLOAD: "Something in this form is missing. Look through it once more.",
  INVALID_USER_ID: "You cannot block yourself.",
  INVALID_FILE_TYPE: "A picture is a JPEG, a PNG or a WebP. Choose another file.",
  INVALID_FILE: "This picture cannot be read. Choose another one.",
  FILE_TOO_LARGE: "This picture is too large. Choose a smaller one.",
  UPLOAD_FAILED: "The picture could not be kept. Try again later.",
  FORBIDDEN: "Your account may not do this.",
  NOT_FOUND: "This is not here any more. Go back and choose again.",
  OTOMO_NOT_FOUND: "This person does not take calls here any more. Choose another one.",
  USER_NOT_FOUND: "This account does not exist any more.",
  CALL_NOT_FOUND: "You have no such call.",
  CALL_NOT_ENDED: "The call is still going on.",
  CALL_NOT_FINISHED: "Only a call in which you talked, and which has ended, can be rated.",
  CALL_OVER: "The call has ended already.",
  REVIEW_ALREADY_POSTED: "You have rated this call already. You can change your rating for 24 hours.",
  REVIEW_CLOSED: "A rating can be changed for 24 hours only.",
  NOTIFICATION_NOT_FOUND: "This message was deleted.",
  SESSION_NOT_FOUND: "This log-in has ended already.",
  PLAN_NOT_FOUND: "This offer has ended. Choose another one.",
  PAYMENT_NOT_FOUND: "You have no such payment.",
  PAYOUT_NOT_FOUND: "You have no such payout.",
  PAYMENT_NOT_COMPLETED: "The payment has not arrived yet. Check again in a moment.",
  PAYMENT_REFUSED: "The payment was refused. Try another way to pay.",
  GATEWAY_UNAVAILABLE: "The payment company does not answer. Nothing was taken; try again.",
  INSUFFICIENT_FUNDS: "There is not enough money for this. Top up first.",
  IN_DEBT: "What you owe comes first. Top up to go on.",
  WALLET_NOT_FOUND: "You have no wallet yet. Top up to open one.",
  WALLET_NOT_EMPTY: "There is still money in the wallet.",
  IDEMPOTENCY_CONFLICT: "This was sent before with other contents. Reload the page and try again.",
  IDEMPOTENCY_IN_PROGRESS: "This is being worked on already. Wait a moment.",
  RATE_LIMITED: "Too many tries. Wait a little, then try again.",
  REQUEST_TIMEOUT: "This took too long to arrive. Check your connection, then try again.",
  TOO_LARGE: "That is too much at once. Try something shorter.",
  UNAVAILABLE: "The server is busy. Try again in a moment.",
  INTERNAL: "Something went wrong on our side. Try again; if it stays, tell support.",
  // Of the browser's media.
  NotAllowedError:
    "The browser does not let this page use your microphone or camera. " +
    "Allow them beside the address, then try again.",
  NotFoundError: "No microphone or camera was found. Plug one in, or choose another device, then try again.",
  NotReadableError: "Another program uses the microphone or camera. Close it, then try again.",
  OverconstrainedError: "This device is not there any more. Choose another one.",
  AbortError: "The microphone or camera could not be started. Try again.",
  stopped: "The line to the server is closed. Reload the page.",
  UNREADABLE: "The server gave an answer that cannot be read. Try again in a moment.",
  SecurityError: "This page may not use a microphone. Open it over https.",
};

const CLOSED = {
  1000: "You have left. Connect again to take calls here.",
  4401: "You are not logged in any more. Log in again.",
  4500: "This page and the server do not understand each other. Reload the page.",
  4502: "Your log-in has run out. Log in again.",
  4503: "You went on in another window or on another device. Use this one to go on here.",
  4504: "This log-in was ended. Log in again.",
  4505: "This page is too old for the server. Reload it.",
};

/**
 * @param {any} error  an ApiError, a CommandError, a DOMException, or `{code, message}`
 * @param {{currency?: string, currencyExponent?: number}} [site]  how amounts are written
 * @returns {string} a sentence or two
 */
export function sayError(error, site = {}) {
  const code = error?.code && typeof error.code === "string" ? error.code : error?.name;
  const more = error?.details ?? {};
  const sum = (minor) => money(minor, site.currency ?? "", site.currencyExponent ?? 0).trim();
  if (code === "insufficient_funds" && more.required !== undefined) {
    return (
      `This call needs ${sum(more.required)} to begin, and you have ${sum(more.available ?? 0)}. ` +
      "Top up, then call again."
    );
  }
  if (code === "price_changed" && more.pricePerMinute !== undefined) {
    return `The price is ${sum(more.pricePerMinute)} a minute now. Decide whether to call.`;
  }
  if (code === "INVALID_AMOUNT" && more.minimum !== undefined) {
    return `Less than ${sum(more.minimum)} is not paid out. Ask for that much or more.`;
  }
  const said = ERRORS[code];
  const waitMs = error?.retryAfterMs;
  if (said && waitMs >= 5000 && /^(cooldown|rate_limited|RATE_LIMITED)$/.test(code)) {
    return said.replace(/Wait a (little|moment)/, `Wait ${duration(waitMs)}`);
  }
  if (said) return said;
  if (code?.startsWith?.("INVALID_") && error.message) return error.message;
  return "That did not work. Try again; if it stays, reload the page.";
}

/** As `sayError`, of what one has earned instead of what one has to spend. */
export function sayPayoutError(error, site) {
  const { available } = error.details ?? {};
  if (error.code === "INSUFFICIENT_FUNDS" && available !== undefined) {
    const sum = money(available, site.currency, site.currencyExponent);
    return `That is more than is ready: ${sum} can be paid out now.`;
  }
  if (error.code === "WRONG_STATE") return "The operator has decided on this payout already.";
  return sayError(error, site);
}

/** What a payout has come to: in a word, and what that means where the word does not say it. */
export const PAYOUT = {
  requested: ["Requested", "The operator decides on it."],
  approved: ["Approved", "It is on its way to you."],
  paid: ["Paid", ""],
  rejected: ["Refused", "The money is with your earnings again."],
  cancelled: ["Taken back", ""],
};

/** @param {number} code  with which the socket was closed for good */
export const sayClosed = (code) =>
  CLOSED[code] ?? "The line to the server was closed. Reload the page.";

/**
 * Why a call ended.
 *
 * @param {{reason: string, by: string, role: string, peer: {name: string}}} call
 * @returns {{title: string, text: string}}
 */
export function sayEnd(call) {
  const name = call.peer?.name ?? "The other side";
  const mine = call.by === call.role;
  const caller = call.role === "caller";
  switch (call.reason) {
    case "declined":
      return mine
        ? { title: "Call declined", text: `${name} was told that you cannot talk now.` }
        : { title: "Call declined", text: `${name} cannot talk now. Try again later.` };
    case "busy":
      return mine
        ? { title: "Call declined", text: `${name} was told that you are busy.` }
        : { title: "Busy", text: `${name} is in another call. Try again in some minutes.` };
    case "unavailable":
      return mine
        ? { title: "Call declined", text: `${name} was told that you are away.` }
        : { title: "Not available", text: `${name} does not take calls at the moment.` };
    case "cancelled":
      return caller
        ? { title: "Call cancelled", text: "Nothing was charged." }
        : { title: "Missed call", text: `${name} stopped ringing.` };
    case "no_answer":
      return caller
        ? { title: "No answer", text: `${name} did not answer. Nothing was charged.` }
        : { title: "Missed call", text: `${name} rang and you did not answer.` };
    case "unreachable":
      return caller
        ? { title: "Not reachable", text: `${name}'s device did not ring. Nothing was charged.` }
        : { title: "Missed call", text: `${name} tried to reach you.` };
    case "connect_failed":
      return {
        title: "No connection",
        text: "Sound could not get through between you. Nothing was charged; try another network.",
      };
    case "hangup":
      return { title: "Call ended", text: mine ? "You hung up." : `${name} hung up.` };
    case "connection_lost":
      return {
        title: "Connection lost",
        text: "The line did not come back in time. You pay only for the time you could talk.",
      };
    case "balance_exhausted":
      return caller
        ? { title: "Balance used up", text: "The call ended with the last paid second. Top up to go on." }
        : { title: "Call ended", text: `${name}'s balance was used up.` };
    case "max_duration":
      return { title: "Call ended", text: "It reached the longest time that is allowed." };
    case "admin":
      return { title: "Call ended", text: "It was ended by the operator." };
    case null:
      return { title: "Call ended", text: "Look into your history to see how." };
    default:
      return { title: "Call ended", text: "Something went wrong on our side." };
  }
}

/** What moved in a wallet, by the kind of its entry. */
export const ENTRIES = {
  call_charge: "Call",
  topup: "Top-up",
  purchase: "Purchase",
  redemption: "Plan",
  refund: "Refund",
  call_refund: "Refund of a call",
  payment_refund: "Refund of a payment",
  bonus_expiry: "Bonus expired",
  bonus: "Bonus",
  payout: "Payout",
  earnings_release: "Earnings released",
  forfeit: "Given up",
  adjustment: "Adjustment",
  grant: "Gift of the house",
};

/** @param {string} kind  a word of the ledger, `call_charge` */
export const sayEntry = (kind) =>
  ENTRIES[kind] ?? kind.replaceAll("_", " ").replace(/^./, (first) => first.toUpperCase());

export const PRESENCE = {
  online: "Online",
  busy: "In a call",
  break: "On a break",
  offline: "Offline",
};

/** Own quality as a level of 0 to 4 and a word. */
export function sayQuality(quality) {
  if (!quality) return { level: 0, word: "Measuring" };
  const { rttMs = 0, loss = 0, jitterMs = 0 } = quality;
  if (loss > 0.15 || rttMs > 900) return { level: 1, word: "Very weak" };
  if (loss > 0.06 || rttMs > 450 || jitterMs > 80) return { level: 2, word: "Weak" };
  if (loss > 0.02 || rttMs > 220 || jitterMs > 40) return { level: 3, word: "Good" };
  return { level: 4, word: "Very good" };
}
