/** What a call sounds like before it is answered. A browser that allows no sound stays silent. */

import { useEffect } from "/assets/vendor/preact-htm/preact-htm.js";

// [frequencies in Hz, how long it sounds, how long until it sounds again], in seconds.
const TONES = {
  incoming: [[660, 880], 0.9, 2.4],
  outgoing: [[440], 1, 4],
};
const VOLUME = 0.06;
const FLASH_MS = 1000;
const SHAKE = [400, 200, 400, 1400];

/** Begins to sound. @returns {() => void} ends it */
function sound(kind) {
  const Context = window.AudioContext ?? window.webkitAudioContext;
  if (!Context) return () => {};
  const [notes, longS, everyS] = TONES[kind];
  const context = new Context();
  const strike = () => {
    if (context.state !== "running") return;
    notes.forEach((hz, at) => {
      const from = context.currentTime + (at * longS) / notes.length;
      const until = from + longS / notes.length;
      const gain = context.createGain();
      gain.gain.setValueAtTime(0, from);
      gain.gain.linearRampToValueAtTime(VOLUME, from + 0.04);
      gain.gain.setValueAtTime(VOLUME, until - 0.06);
      gain.gain.linearRampToValueAtTime(0, until);
      const tone = context.createOscillator();
      tone.frequency.value = hz;
      tone.connect(gain).connect(context.destination);
      tone.start(from);
      tone.stop(until);
    });
  };
  context.resume().then(strike, () => {});
  const timer = setInterval(strike, everyS * 1000);
  return () => {
    clearInterval(timer);
    context.close().catch(() => {});
  };
}

/**
 * Rings while it is drawn: sound, and for a call that comes in the title and the device's motor.
 *
 * @param {"incoming" | "outgoing" | null} kind  null: be still
 * @param {string} [title]  what the window is called meanwhile
 */
export function useRing(kind, title) {
  useEffect(() => (kind ? sound(kind) : undefined), [kind]);
  useEffect(() => {
    if (!title) return undefined;
    const before = document.title;
    const flash = () => {
      document.title = document.title === title ? before : title;
    };
    flash();
    const timer = setInterval(flash, FLASH_MS);
    return () => {
      clearInterval(timer);
      document.title = before;
    };
  }, [title]);
  useEffect(() => {
    // Without a touch of the page before a browser does not allow it, and says so.
    if (kind !== "incoming" || !navigator.userActivation?.hasBeenActive) return undefined;
    const shake = () => navigator.vibrate?.(SHAKE);
    shake();
    const timer = setInterval(shake, 2400);
    return () => {
      clearInterval(timer);
      navigator.vibrate?.(0);
    };
  }, [kind]);
}
