/** Amounts, times and durations in words. All amounts are minor units, all times Unix ms or ISO. */

/**
 * @param {number} minor  in the currency's smallest unit
 * @param {string} currency  its three letters
 * @param {number} exponent  how many decimals it has
 */
export function money(minor, currency, exponent = 0) {
  const sum = new Intl.NumberFormat(undefined, {
    minimumFractionDigits: exponent,
    maximumFractionDigits: exponent,
  }).format(minor / 10 ** exponent);
  return `${sum} ${currency}`;
}

/** `4:05`, or `1:04:05` from an hour on. */
export function duration(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const two = (n) => String(n).padStart(2, "0");
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

/** The day and time, short, as people here write it. */
export function when(time) {
  return new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" }).format(
    new Date(time),
  );
}
