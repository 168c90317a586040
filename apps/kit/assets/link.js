// A WebSocket that comes back: when, how soon, and what to tell the person.

const OPENING = 10_000;
const FIRST = 500;
const LONGEST = 20_000;
const BUSY = 5_000;

/**
 * What each close code means: a sentence, and how to go on. `never` waits for the
 * person, `soon` is ordinary backoff, `later` starts at five seconds, a number is
 * milliseconds.
 */
const CLOSES = new Map([
  [1000, ["You have left.", "never"]],
  [1001, ["The server closed the connection.", "soon"]],
  [1007, ["The server did not understand this page; reload it.", "never"]],
  [1008, ["The server refused this connection.", "never"]],
  [1009, ["That was too long for the server.", "never"]],
  [1011, ["The server made a mistake.", "later"]],
  [1012, ["The server is restarting.", "restart"]],
  [1013, ["The server is too busy right now.", "later"]],
  [4001, ["The server heard nothing from this page in time.", "soon"]],
  [4008, ["This connection could not keep up; what it missed is fetched again.", "soon"]],
  [4009, ["You are signed in from another window; close that one to come back here.", "never"]],
  [4029, ["That was too fast for the server.", 10_000]],
]);

const REASONS = new Map([
  ["Expired Token", "Your token has expired; a new one is needed."],
  ["Invalid Message", "The server did not understand this page; reload it."],
  ["too many connections", "You are connected too many times; close another window first."],
  ["other user", "That token belongs to somebody else."],
  ["token required", "This server wants a token."],
  ["idle", "Nothing was said for a long time, so the server hung up."],
]);

const LOST = ["The connection was lost.", "soon"];

/** The sentence for a close, and whether the link comes back by itself. */
export function describeClose(code, reason) {
  const [sentence, policy] = CLOSES.get(code) ?? LOST;
  return { sentence: REASONS.get(reason) ?? sentence, comesBack: policy !== "never" };
}

/** Milliseconds until the next attempt, or null for none. */
export function delay(code, failures, hint, random = Math.random) {
  const [, policy] = CLOSES.get(code) ?? LOST;
  if (policy === "never") return null;
  if (failures === 0 && hint !== undefined) return hint;
  if (failures === 0 && policy === "restart") return 1_000 + random() * 4_000;
  if (typeof policy === "number") return policy * (1 + random() / 4);
  const first = policy === "later" ? BUSY : FIRST;
  const most = Math.min(Math.max(LONGEST, first), first * 2 ** Math.min(failures, 10));
  return most * (0.5 + random() / 2);
}

/**
 * One connection at a time to one address.
 *
 * `hooks`: `opened()`, `received(text)`, `waiting(info)` and `ended(info)` after a
 * close, where `info` is `{code, reason, sentence, at}`; `at` is when the next
 * attempt is made.
 */
export class Link {
  #address;
  #protocols;
  #hooks;
  #socket = null;
  #failures = 0;
  #hint;
  #timer;
  #wanted = false;
  #impatient = false;

  constructor(address, protocols, hooks) {
    this.#address = new URL(address, location.href);
    this.#address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    this.#protocols = protocols;
    this.#hooks = hooks;
    // Somebody is looking again, or the network is back: worth a try, unless the
    // server itself asked for the wait.
    const awake = () => this.#impatient && !document.hidden && this.hurry();
    addEventListener("online", awake);
    addEventListener("pageshow", awake);
    document.addEventListener("visibilitychange", awake);
  }

  get isOpen() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  /** Connects, and from now on connects again. */
  open() {
    this.#wanted = true;
    clearTimeout(this.#timer);
    if (this.#socket !== null) return;
    const socket = new WebSocket(this.#address, this.#protocols);
    this.#socket = socket;
    this.#timer = setTimeout(() => this.#abandon(socket), OPENING);
    socket.addEventListener("open", () => {
      if (socket !== this.#socket) return;
      clearTimeout(this.#timer);
      this.#hooks.opened();
    });
    socket.addEventListener("message", ({ data }) => {
      if (socket === this.#socket) this.#hooks.received(data);
    });
    socket.addEventListener("close", ({ code, reason }) => {
      if (socket === this.#socket) this.#closed(code, reason);
    });
  }

  /** Sends text; false if there is nobody to send it to. */
  send(text) {
    if (!this.isOpen) return false;
    this.#socket.send(text);
    return true;
  }

  /** The server is known to be well: the next loss starts with a short wait. */
  settled() {
    this.#failures = 0;
  }

  /** The server said how long to stay away after the close that follows. */
  comeBackAfter(ms) {
    this.#hint = ms;
  }

  /** Tries at once if an attempt is being waited for. */
  hurry() {
    if (this.#wanted && this.#socket === null) this.open();
  }

  /** The other side is silent: starts again without waiting for it to say goodbye. */
  restart() {
    if (this.#socket !== null) this.#abandon(this.#socket);
  }

  /** Leaves for good. */
  close() {
    this.#wanted = false;
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = null;
    socket?.close(1000);
  }

  #abandon(socket) {
    if (socket !== this.#socket) return;
    socket.close();
    this.#closed(1006, "");
  }

  #closed(code, reason) {
    clearTimeout(this.#timer);
    this.#socket = null;
    const wait = this.#wanted ? delay(code, this.#failures, this.#hint) : null;
    this.#impatient = (CLOSES.get(code) ?? LOST)[1] === "soon";
    this.#hint = undefined;
    this.#failures += 1;
    const { sentence } = describeClose(code, reason);
    if (wait === null) {
      this.#wanted = false;
      this.#hooks.ended({ code, reason, sentence });
    } else {
      this.#timer = setTimeout(() => this.hurry(), wait);
      this.#hooks.waiting({ code, reason, sentence, at: Date.now() + wait });
    }
  }
}
