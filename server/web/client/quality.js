/** What a connection is worth, from `RTCPeerConnection.getStats()`. */

/**
 * @typedef {object} Figures  cumulative for one connection; loss, jitter and way of now
 * @property {number} inBytes  of media, not of its control: growth proves that media arrives
 * @property {number} outBytes
 * @property {number} inPackets
 * @property {number} lost
 * @property {number} jitterMs
 * @property {number} rttMs
 * @property {boolean} relay
 *
 * @typedef {object} Quality
 * @property {number} rttMs
 * @property {number} loss  of what came since the last look, 0 to 1
 * @property {number} jitterMs
 * @property {boolean} relay
 * @property {number} inKbps
 * @property {number} outKbps
 */

/** @param {RTCStatsReport} report @returns {Figures} */
export function figuresOf(report) {
  const entries = [...report.values()];
  const ins = entries.filter(({ type }) => type === "inbound-rtp");
  const outs = entries.filter(({ type }) => type === "outbound-rtp");
  const pair = chosenPair(report, entries);
  const ends = [report.get(pair?.localCandidateId), report.get(pair?.remoteCandidateId)];
  return {
    inBytes: sum(ins, "bytesReceived"),
    outBytes: sum(outs, "bytesSent"),
    inPackets: sum(ins, "packetsReceived"),
    lost: Math.max(0, sum(ins, "packetsLost")),
    jitterMs: 1000 * Math.max(0, ...ins.map(({ jitter = 0 }) => jitter)),
    rttMs: 1000 * (pair?.currentRoundTripTime ?? 0),
    relay: ends.some((end) => end?.candidateType === "relay"),
  };
}

/** @param {Figures} now @param {Figures} before @param {number} elapsedMs @returns {Quality} */
export function qualityOf(now, before, elapsedMs) {
  const lost = Math.max(0, now.lost - before.lost);
  const came = Math.max(0, now.inPackets - before.inPackets);
  const kbps = (name) => Math.round((8 * Math.max(0, now[name] - before[name])) / elapsedMs);
  return {
    rttMs: now.rttMs,
    loss: lost / Math.max(1, lost + came),
    jitterMs: now.jitterMs,
    relay: now.relay,
    inKbps: kbps("inBytes"),
    outKbps: kbps("outBytes"),
  };
}

/** Browsers name the pair in use in two ways. */
function chosenPair(report, entries) {
  const transport = entries.find(({ type }) => type === "transport");
  if (transport?.selectedCandidatePairId) return report.get(transport.selectedCandidatePairId);
  return entries.find(({ type, selected }) => type === "candidate-pair" && selected);
}

function sum(entries, name) {
  return entries.reduce((total, entry) => total + (entry[name] ?? 0), 0);
}
