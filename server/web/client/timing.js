/**
 * How long things take, in milliseconds. An app may give others to `Client`; tests do.
 *
 * @typedef {typeof TIMING} Timing
 */
export const TIMING = {
  // The first pause after a lost socket, the longest, and how long to wait for a welcome.
  backoffMs: 500,
  backoffMaxMs: 30_000,
  welcomeMs: 10_000,
  // How often the socket is looked after, and how long it may be silent when in doubt.
  beatMs: 500,
  probeMs: 4_000,
  // How often our own connection is measured, and the server told.
  qualityMs: 2_000,
  statsMs: 10_000,
  // Candidates are sent together.
  gatherMs: 100,
  // How often to look whether media arrives.
  arriveMs: 100,
  // A connection without an answer to its checks may come back by itself for so long.
  disconnectedMs: 4_000,
  // How long the other leg has to offer anew, before we do.
  offerMs: 3_000,
  // A ring is worth it only if so much is left, and ends so long after its time.
  ringLeftMs: 3_000,
  ringOverMs: 2_000,
  // Typing is told again after so long, and believed for twice that.
  typingMs: 3_000,
};
