// One room, or what is said in private with one person: messages in order, who is
// there, what is unread. Knows neither the socket nor the document.

const KEPT_PRIVATE = 100;
// A room that is left open for days keeps the newest only; the rest is history.
const KEPT = 1_000;
const TYPING_LASTS = 5_000;

export class Conversation {
  /** Messages and gaps, oldest first. */
  items = [];
  /** What was written here and is not acknowledged. */
  outbox = [];
  unread = 0;
  draft = "";
  /** Rooms: the newest message that arrived, and the newest that was read. */
  epoch = null;
  off = 0;
  read = 0;
  /** What comes up to this offset was said while this page was away. */
  missedTo = 0;
  joined = false;
  /** Whether the server has older messages. */
  more = false;
  members = new Set();
  count = 0;
  /** Large rooms tell how many are there, but not who. */
  listed = true;
  rev = 0;
  degraded = false;
  typing = new Map();
  /** The first unread item when the conversation was opened. */
  mark = null;
  #seen = new Set();

  /** `kind` is `room` or `private`. */
  constructor(kind, name) {
    this.kind = kind;
    this.name = name;
    this.key = `${kind}:${name}`;
  }

  /** Puts a message in its place; false for one of a room that is already there. */
  add(item) {
    if (this.kind === "room") {
      const key = `${item.epoch} ${item.off}`;
      if (this.#seen.has(key)) return false;
      this.#seen.add(key);
    }
    let at = this.items.length;
    while (at > 0 && isNewer(this.items[at - 1], item)) at -= 1;
    this.items.splice(at, 0, item);
    return true;
  }

  /** Something may be missing from here on. */
  addGap(text) {
    if (this.items.at(-1)?.kind !== "gap") this.items.push({ kind: "gap", text });
  }

  /** Lets go of the oldest; they can be fetched again. */
  trim() {
    if (this.items.length <= KEPT * 1.2) return false;
    for (const item of this.items.splice(0, this.items.length - KEPT)) {
      this.#seen.delete(`${item.epoch} ${item.off}`);
    }
    this.more = this.kind === "room";
    return true;
  }

  /** The oldest message of the present epoch: history is asked for what is before it. */
  get oldest() {
    return this.items.find((item) => item.kind === "message" && item.epoch === this.epoch)?.off;
  }

  /** My own message came back: what waited for it is done. */
  settle(text) {
    const at = this.outbox.findIndex((waiting) => waiting.text === text && !waiting.error);
    if (at >= 0) this.outbox.splice(at, 1);
  }

  drop(waiting) {
    this.outbox = this.outbox.filter((other) => other !== waiting);
  }

  setMembers({ members, count, rev, degraded }) {
    this.listed = members !== undefined;
    this.members = new Set(members ?? []);
    this.count = count ?? this.members.size;
    this.rev = rev;
    this.degraded = degraded === true;
  }

  /** False when a change was missed: then the whole list is needed. */
  changeMembers({ join = [], leave = [], rev }) {
    const inOrder = rev === this.rev + 1;
    this.rev = rev;
    for (const name of join) this.members.add(name);
    for (const name of leave) {
      this.members.delete(name);
      this.typing.delete(name);
    }
    this.count = this.members.size;
    return inOrder;
  }

  /** Somebody types, now and for five seconds. */
  setTyping(name, now = Date.now()) {
    this.typing.set(name, now + TYPING_LASTS);
  }

  typists(now = Date.now()) {
    for (const [name, until] of this.typing) if (until <= now) this.typing.delete(name);
    return [...this.typing.keys()];
  }

  markRead() {
    this.unread = 0;
    this.read = this.off;
  }

  /** What a reload needs. */
  toMemory() {
    const { kind, name, epoch, read, unread, draft, outbox } = this;
    const kept = kind === "private" ? this.items.slice(-KEPT_PRIVATE) : [];
    return { kind, name, epoch, read, unread: kind === "private" ? unread : 0, draft, outbox, items: kept };
  }

  static fromMemory({ kind, name, epoch, read, unread, draft, outbox, items }) {
    const made = new Conversation(kind, name);
    // Asking for everything after what was *read* brings the unread back as unread.
    return Object.assign(made, { epoch, off: read, read, unread, draft, outbox, items });
  }
}

function isNewer(item, than) {
  return item.kind === "message" && item.epoch === than.epoch && item.off > than.off;
}
