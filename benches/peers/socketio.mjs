// The same on Socket.IO, over WebSocket alone and without compression.

import { createServer } from "node:http";
import { Server } from "socket.io";
import { Rooms } from "./rooms.mjs";

const rooms = new Rooms();
const server = createServer();
const io = new Server(server, {
  transports: ["websocket"],
  perMessageDeflate: false,
  httpCompression: false,
  serveClient: false,
  maxHttpBufferSize: 16 * 1024,
});

io.on("connection", (socket) => {
  let name;

  socket.on("login", ({ nickname }) => {
    if (!rooms.login(nickname)) return socket.emit("err", { code: "name-taken" });
    name = nickname;
    socket.emit("hello", { nickname: name });
  });

  socket.on("join", ({ room }) => {
    if (name === undefined) return socket.emit("err", { code: "not-logged-in" });
    const { off, epoch } = rooms.room(room);
    socket.join(room);
    socket.emit("ok", { room, off, epoch });
  });

  socket.on("msg", ({ room, text }) => {
    if (!socket.rooms.has(room)) return socket.emit("err", { code: "not-a-member" });
    const message = rooms.room(room).message(name, text);
    if (!message) return socket.emit("err", { code: "bad-request" });
    io.to(room).emit("msg", message);
    socket.emit("ok", { room, off: message.off, epoch: message.epoch });
  });

  socket.on("disconnect", () => {
    if (name !== undefined) rooms.logout(name);
  });
});

server.listen(0, "127.0.0.1", 4096, () => console.log(`listening on 127.0.0.1:${server.address().port}`));
