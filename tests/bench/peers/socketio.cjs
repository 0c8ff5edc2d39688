// Socket.IO with the least of a handler: whoever names the same pair is a socket's partner.
const { createServer } = require("node:http");
const { Server } = require("socket.io");

const http = createServer();
// Its clients here answer no pings, so it must not send any.
const io = new Server(http, { transports: ["websocket"], pingInterval: 3_600_000 });
const waiting = new Map();

io.on("connection", (socket) => {
  const { pair } = socket.handshake.auth;
  const other = waiting.get(pair);
  if (other) {
    waiting.delete(pair);
    socket.data.partner = other;
    other.data.partner = socket;
  } else {
    waiting.set(pair, socket);
  }
  socket.on("m", (body) => socket.data.partner.emit("m", body));
});

http.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${http.address().port}`));
