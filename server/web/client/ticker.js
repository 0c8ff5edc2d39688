/**
 * Call `fn` every `ms`. In a hidden tab a page's own timers may come once a minute, which is too
 * seldom for a heartbeat; those of a worker come in time.
 *
 * @returns {() => void}  how to stop it
 */
export function every(ms, fn) {
  const worker = new Worker(new URL("./ticks.js", import.meta.url));
  worker.onmessage = fn;
  worker.postMessage(ms);
  return () => worker.terminate();
}
