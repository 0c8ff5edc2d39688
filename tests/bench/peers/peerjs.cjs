// PeerJS' own server, as it comes. Its clients here send no heartbeats, so it must be patient.
const { PeerServer } = require("peer");

const options = { host: "127.0.0.1", port: 0, path: "/", alive_timeout: 3_600_000 };
PeerServer(options, (server) => console.log(`http://127.0.0.1:${server.address().port}`));
