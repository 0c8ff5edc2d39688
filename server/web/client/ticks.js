/** A worker that says something every so many ms, once it was told how many. */
onmessage = ({ data: ms }) => setInterval(() => postMessage(null), ms);
