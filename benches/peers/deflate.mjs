// An echo server on `ws` that compresses every message.

import { WebSocketServer } from "ws";

const takeover = process.argv[2] === "takeover";
const server = new WebSocketServer({
  host: "127.0.0.1",
  port: 0,
  clientTracking: false,
  perMessageDeflate: {
    threshold: 0,
    serverNoContextTakeover: !takeover,
    clientNoContextTakeover: !takeover,
    zlibDeflateOptions: { level: 1 },
  },
});
server.on("listening", () => console.log(`listening on 127.0.0.1:${server.address().port}`));
server.on("connection", (socket) => {
  socket.on("error", () => {});
  socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
});
