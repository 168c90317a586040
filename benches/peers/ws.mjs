// A chat server on `ws`, used at its best: one encoding for all members, no compression.

import { createServer } from "node:http";
import { WebSocketServer } from "ws";
import { Rooms } from "./rooms.mjs";

const rooms = new Rooms();
const server = createServer();
const sockets = new WebSocketServer({
  server,
  perMessageDeflate: false,
  clientTracking: false,
  maxPayload: 16 * 1024,
  handleProtocols: (offered) => (offered.has("chat.v1.json") ? "chat.v1.json" : false),
});

sockets.on("connection", (socket) => {
  let name;
  const joined = new Set();
  const answer = (object) => socket.send(JSON.stringify(object));

  socket.on("message", (data) => {
    let request;
    try {
      request = JSON.parse(data);
    } catch {
      return socket.close(1007, "Invalid Message");
    }
    if (request.type === "login") {
      if (!rooms.login(request.nickname)) return answer({ type: "err", code: "name-taken" });
      name = request.nickname;
      return answer({ type: "hello", nickname: name });
    }
    if (name === undefined) return answer({ type: "err", code: "not-logged-in" });
    const room = rooms.room(request.room);
    if (request.type === "join") {
      room.members.add(socket);
      joined.add(room);
      return answer({ type: "ok", room: room.name, off: room.off, epoch: room.epoch });
    }
    if (request.type !== "msg") return answer({ type: "err", code: "bad-request" });
    if (!joined.has(room)) return answer({ type: "err", code: "not-a-member" });
    const message = room.message(name, request.text);
    if (!message) return answer({ type: "err", code: "bad-request" });
    const encoded = Buffer.from(JSON.stringify(message));
    for (const member of room.members) member.send(encoded, { binary: false });
    answer({ type: "ok", room: room.name, off: message.off, epoch: message.epoch });
  });

  socket.on("error", () => {});
  socket.on("close", () => {
    if (name !== undefined) rooms.logout(name);
    for (const room of joined) room.members.delete(socket);
  });
});

server.listen(0, "127.0.0.1", 4096, () => console.log(`listening on 127.0.0.1:${server.address().port}`));
