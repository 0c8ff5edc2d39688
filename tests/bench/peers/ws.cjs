// The package ws with the least of a handler: each message names whom it is for, as PeerJS' do.
const { WebSocketServer } = require("ws");

const options = { host: "127.0.0.1", port: 0, perMessageDeflate: false, maxPayload: 65_536 };
const server = new WebSocketServer(options);
const sockets = new Map();

server.on("connection", (socket, request) => {
  const id = new URL(request.url, "http://relay").searchParams.get("id");
  sockets.set(id, socket);
  socket.on("message", (message) => {
    sockets.get(JSON.parse(message).dst)?.send(message, { binary: false });
  });
  socket.on("close", () => sockets.delete(id));
});

server.on("listening", () => console.log(`http://127.0.0.1:${server.address().port}`));
