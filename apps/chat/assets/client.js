// The protocol `chat.v1.json`: requests and their answers, rooms that survive a lost
// connection. Knows no document; tells what changed by `hooks`.
import { randomId } from "./dom.js";
import { Link } from "./link.js";
import { Conversation } from "./conversation.js";

const PROTOCOL = "chat.v1.json";
const HISTORY = 50;
const MOST_HISTORY = 200;
// The server takes 20 a second and bursts of 40; below that nothing is refused.
const RATE = 15;
const BURST = 30;
const PING_EVERY = 25_000;
const ANSWER_WITHIN = 15_000;
const RETRIES = 5;
const LONGEST_FRAME = 16 * 1024;
const LONGEST_TEXT = 4_096;
const GAP = "Some messages may be missing here.";

/** The server's `err`, or a connection that went away before the answer. */
export class Refused extends Error {
  constructor({ code, reason, retry_ms: retryMs }) {
    super(reason);
    this.code = code;
    this.reason = reason;
    this.retryMs = retryMs;
  }

  get isLoss() {
    return this.code === "lost";
  }
}

/**
 * One person's session.
 *
 * `hooks`: `signedIn()`, `refused(error)` when a login or the first connection fails,
 * `waiting(info)`, `ended(info)`, `added(conversation, item, live)`,
 * `changed(conversation)` for everything else in it, `expiring(ms)`, `joinRefused(conversation, error)`.
 */
export class Client {
  nickname;
  token;
  resume;
  conversations = new Map();
  isSignedIn = false;
  #hooks;
  #link;
  #pending = new Map();
  #queue = [];
  #allowance = BURST;
  #refilled = performance.now();
  #pacer;
  #pinger;
  #everSignedIn = false;

  constructor({ nickname, token, resume, conversations = [] }, hooks) {
    this.nickname = nickname;
    this.token = token;
    this.resume = resume;
    this.#everSignedIn = resume !== undefined;
    this.#hooks = hooks;
    for (const conversation of conversations) this.conversations.set(conversation.key, conversation);
    this.#link = new Link("/talking", [PROTOCOL], {
      opened: () => this.#opened(),
      received: (text) => this.#received(text),
      waiting: (info) => this.#lost(info, false),
      ended: (info) => this.#lost(info, true),
    });
  }

  get rooms() {
    return [...this.conversations.values()].filter(({ kind }) => kind === "room");
  }

  start() {
    this.#link.open();
  }

  hurry() {
    this.#link.hurry();
  }

  /** Leaves for good; the name is free at once. */
  stop() {
    this.#link.close();
    this.#forgetRequests();
    clearInterval(this.#pinger);
    this.isSignedIn = false;
  }

  /** The conversation of that key, made if there is none. */
  conversation(kind, name) {
    const key = `${kind}:${name}`;
    if (!this.conversations.has(key)) this.conversations.set(key, new Conversation(kind, name));
    return this.conversations.get(key);
  }

  /** Enters a room, or says why not (`Refused`). */
  async join(name) {
    const room = this.conversation("room", name);
    if (room.joined || !this.isSignedIn) return room;
    try {
      await this.#enter(room);
    } catch (error) {
      if (!error.isLoss) this.conversations.delete(room.key);
      throw error;
    }
    return room;
  }

  leave(conversation) {
    this.conversations.delete(conversation.key);
    if (conversation.kind === "room" && conversation.joined) {
      this.request("leave", { room: conversation.name }).catch(ignore);
    }
  }

  /** Says `text`; it stays in the outbox until the server has it, over reconnects. */
  say(conversation, text) {
    const waiting = { id: randomId(), text, ts: new Date().toISOString() };
    conversation.outbox.push(waiting);
    this.deliver(conversation, waiting);
  }

  /** Tries to deliver what waits; the id makes a second time harmless. */
  async deliver(conversation, waiting) {
    delete waiting.error;
    this.#hooks.changed(conversation);
    const isRoom = conversation.kind === "room";
    if (!this.isSignedIn || (isRoom && !conversation.joined)) return;
    const to = isRoom ? { room: conversation.name } : { to: conversation.name };
    try {
      await this.request(isRoom ? "msg" : "private", { ...to, text: waiting.text }, waiting.id);
      conversation.drop(waiting);
    } catch (error) {
      if (error.isLoss) return;
      waiting.error = { code: error.code, reason: error.reason };
    }
    this.#hooks.changed(conversation);
  }

  /** Older messages of a room; the promise ends when they are in it. */
  async loadOlder(room) {
    const before = room.oldest;
    const answer = await this.request("history", { room: room.name, limit: HISTORY, ...(before && { before }) });
    for (const message of answer.messages) room.add(itemOf(message));
    room.more = answer.more;
    this.#hooks.changed(room);
  }

  /** The others see it for five seconds. */
  typing(room) {
    if (room.kind === "room" && room.joined && this.isSignedIn && this.#refill() > BURST / 2) {
      this.#send({ type: "typing", room: room.name });
    }
  }

  async refresh(token) {
    await this.request("refresh", { token });
    this.token = token;
  }

  /** Sends a request and waits for its answer; refused for haste, it tries again. */
  async request(type, fields, id = randomId()) {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#ask({ type, ...fields, id });
      } catch (error) {
        if (error.code !== "too-fast" || attempt === RETRIES) throw error;
        await new Promise((resolve) => setTimeout(resolve, error.retryMs ?? 1_000));
      }
    }
  }

  #ask(request) {
    return new Promise((resolve, reject) => {
      if (!this.#link.isOpen) {
        reject(new Refused({ code: "lost" }));
        return;
      }
      this.#pending.set(request.id, { resolve, reject });
      this.#queue.push(request);
      this.#pace();
    });
  }

  // Sends what waits, as fast as the server takes it.
  #pace() {
    clearTimeout(this.#pacer);
    while (this.#queue.length > 0 && this.#refill() >= 1) this.#send(this.#queue.shift());
    if (this.#queue.length > 0) this.#pacer = setTimeout(() => this.#pace(), 1_000 / RATE);
  }

  #refill() {
    const now = performance.now();
    this.#allowance = Math.min(BURST, this.#allowance + ((now - this.#refilled) * RATE) / 1_000);
    this.#refilled = now;
    return this.#allowance;
  }

  #send(request) {
    if (request.type !== "ping") this.#allowance -= 1;
    this.#link.send(JSON.stringify(request));
  }

  async #opened() {
    this.#allowance = BURST;
    try {
      await this.#login();
    } catch (error) {
      if (error.isLoss) return;
      this.stop();
      this.#hooks.refused(error);
      return;
    }
    this.isSignedIn = true;
    this.#everSignedIn = true;
    this.#watchSilence();
    this.#hooks.signedIn();
    try {
      await Promise.all(this.rooms.map((room) => this.#enter(room).catch((error) => this.#notEntered(room, error))));
    } catch {
      return; // Lost again.
    }
    this.#link.settled();
    for (const conversation of this.conversations.values()) {
      for (const waiting of conversation.outbox) if (!waiting.error) this.deliver(conversation, waiting);
    }
  }

  async #login() {
    const { nickname, token, resume } = this;
    const who = token === undefined ? { nickname } : { token };
    let hello;
    try {
      hello = await this.request("login", { ...who, ...(resume !== undefined && { nickname, resume }) });
    } catch (error) {
      if (error.isLoss || resume === undefined) throw error;
      // The secret is too old: then as anybody who comes new.
      this.resume = undefined;
      hello = await this.request("login", who);
    }
    this.nickname = hello.nickname;
    this.resume = hello.resume;
  }

  #notEntered(room, error) {
    if (error.isLoss) throw error;
    this.conversations.delete(room.key);
    this.#hooks.joinRefused(room, error);
  }

  // Joins, with what was seen so far; then fetches what is older or was lost.
  async #enter(room) {
    const known = room.epoch === null ? undefined : { epoch: room.epoch, off: room.off };
    const isFirst = room.items.length === 0;
    const answer = await this.request("join", { room: room.name, ...(known && { since: known }) });
    room.joined = true;
    room.degraded = answer.degraded === true;
    // With `since`, `recovered` follows and says the rest; see `#recovered`.
    if (known === undefined) {
      room.epoch = answer.epoch;
      room.off = answer.off;
    }
    if (isFirst && (known === undefined || known.epoch === answer.epoch)) {
      await this.#loadContext(room, known);
    }
    if (known === undefined) room.read = room.off;
    this.#hooks.changed(room);
  }

  async #loadContext(room, known) {
    const before = known === undefined ? {} : { before: known.off + 1 };
    if ((known?.off ?? room.off) === 0) return;
    const answer = await this.request("history", { room: room.name, limit: HISTORY, ...before });
    for (const message of answer.messages) room.add(itemOf(message));
    room.more = answer.more;
  }

  // What was missed follows as ordinary messages, or it is gone and the gap is told.
  async #recovered(room, { ok, to }) {
    room.missedTo = ok ? to : 0;
    if (ok) return;
    const isEmpty = room.items.length === 0 && room.read === 0;
    if (!isEmpty) room.addGap(GAP);
    try {
      // An epoch that began without a join is learnt by joining again.
      const answer = await this.request("join", { room: room.name });
      if (room.epoch !== answer.epoch) {
        room.epoch = answer.epoch;
        room.off = 0;
      }
      room.degraded = answer.degraded === true;
      const { messages } = await this.request("history", { room: room.name, limit: MOST_HISTORY });
      for (const message of messages) this.#place(room, message, false);
      // Only now: a loss before this asks for all of it again.
      room.off = Math.max(room.off, answer.off);
    } catch (error) {
      if (!error.isLoss) this.#hooks.joinRefused(room, error);
      return;
    }
    this.#hooks.changed(room);
  }

  #place(room, message, live) {
    const item = itemOf(message);
    if (!room.add(item)) return;
    // What came back late may be an older message of the same words; the answer to the
    // second delivery settles that one.
    if (live && item.from === this.nickname) room.settle(item.text);
    room.typing.delete(item.from);
    if (item.epoch === room.epoch) room.off = Math.max(room.off, item.off);
    this.#hooks.added(room, item, live);
  }

  #received(text) {
    const message = JSON.parse(text);
    const waiting = message.re === undefined ? undefined : this.#pending.get(message.re);
    if (message.type === "state") this.#withRoom(message, (room) => room.setMembers(message));
    if (waiting !== undefined) {
      this.#pending.delete(message.re);
      if (message.type === "err") waiting.reject(new Refused(message));
      else waiting.resolve(message);
      return;
    }
    switch (message.type) {
      case "msg":
        this.#message(message);
        break;
      case "private":
        this.#private(message);
        break;
      case "diff":
        this.#withRoom(message, (room) => {
          if (!room.changeMembers(message)) this.request("members", { room: room.name }).catch(ignore);
        });
        break;
      case "typing":
        this.#withRoom(message, (room) => message.from !== this.nickname && room.setTyping(message.from));
        break;
      case "recovered":
        this.#withRoom(message, (room) => this.#recovered(room, message));
        break;
      case "drain":
        this.#link.comeBackAfter(message.retry_ms);
        break;
      case "expiring":
        this.#hooks.expiring(message.in_ms);
        break;
      default: // Clients ignore what they do not know.
    }
  }

  #withRoom({ room: name }, change) {
    const room = this.conversations.get(`room:${name}`);
    if (room === undefined) return;
    change(room);
    this.#hooks.changed(room);
  }

  #message(message) {
    const room = this.conversations.get(`room:${message.room}`);
    if (room === undefined) return;
    if (room.epoch !== message.epoch) {
      // Between a join's answer and this there is nothing; so it is a new epoch.
      room.epoch = message.epoch;
      room.off = message.off - 1;
      room.missedTo = 0;
    }
    this.#place(room, message, message.off > room.missedTo);
  }

  #private(message) {
    const mine = message.from === this.nickname;
    const conversation = this.conversation("private", mine ? message.to : message.from);
    const item = itemOf(message);
    conversation.add(item);
    if (mine) conversation.settle(item.text);
    this.#hooks.added(conversation, item, true);
  }

  // The browser shows no pings of the protocol to a page, so it sends its own.
  #watchSilence() {
    clearInterval(this.#pinger);
    this.#pinger = setInterval(() => this.#ping(), PING_EVERY);
  }

  #ping() {
    const id = randomId();
    const silent = setTimeout(() => this.#link.restart(), ANSWER_WITHIN);
    const heard = () => clearTimeout(silent);
    this.#pending.set(id, { resolve: heard, reject: heard });
    this.#send({ type: "ping", id });
  }

  #lost(info, isEnd) {
    clearInterval(this.#pinger);
    this.isSignedIn = false;
    for (const conversation of this.conversations.values()) {
      conversation.joined = false;
      conversation.typing.clear();
    }
    this.#forgetRequests();
    if (!this.#everSignedIn) {
      this.#link.close();
      this.#hooks.refused(new Refused({ code: "unreachable", reason: info.reason && info.sentence }));
    } else if (isEnd) {
      this.#hooks.ended(info);
    } else {
      this.#hooks.waiting(info);
    }
  }

  #forgetRequests() {
    clearTimeout(this.#pacer);
    this.#queue = [];
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const { reject } of pending) reject(new Refused({ code: "lost" }));
  }
}

/** Why this text cannot be sent, or null. */
export function faultOf(text) {
  if ([...text].length > LONGEST_TEXT) return "too-long";
  // Room for the other members of the request.
  const bytes = new TextEncoder().encode(JSON.stringify(text)).length;
  return bytes > LONGEST_FRAME - 1_024 ? "too-long" : null;
}

/** Text as the server takes it: no control characters but tab and newline. */
export const cleanText = (text) =>
  text
    .toWellFormed()
    .replace(/\r\n?/g, "\n")
    .replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, "")
    .trim();

function itemOf({ from, text, ts, off, epoch, via }) {
  return { kind: "message", from, text, ts, off, epoch, via };
}

function ignore() {}
