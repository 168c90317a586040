// What every chat server has to do, whatever carries its messages: names, rooms, order, history.

const KEPT = 1000;

export class Rooms {
  #names = new Set();
  #rooms = new Map();

  // Whether the name was free.
  login(name) {
    if (typeof name !== "string" || name === "" || name.length > 64 || this.#names.has(name)) return false;
    this.#names.add(name);
    return true;
  }

  logout(name) {
    this.#names.delete(name);
  }

  room(name) {
    let room = this.#rooms.get(name);
    if (!room) this.#rooms.set(name, (room = new Room(name)));
    return room;
  }
}

class Room {
  members = new Set();
  off = 0;
  epoch = Math.random().toString(36).slice(2);
  // A ring: shifting an array would move all of it.
  #history = new Array(KEPT);

  constructor(name) {
    this.name = name;
  }

  // The message as every member gets it.
  message(from, text) {
    if (typeof text !== "string" || text === "" || text.length > 4096) return undefined;
    this.off += 1;
    const ts = new Date().toISOString();
    const message = { type: "msg", room: this.name, from, text, ts, off: this.off, epoch: this.epoch };
    this.#history[this.off % KEPT] = message;
    return message;
  }
}
