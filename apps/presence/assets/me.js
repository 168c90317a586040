// The ping-pong that makes somebody count as online: a token in each message, answered
// by the same message. The token stays in this browser, and never in an address.
import { randomId } from "./dom.js";
import { Link } from "./link.js";

const KEY = "sockeye.presence.jwt";
const PING_EVERY = 10_000;
const ANSWER_WITHIN = 10_000;
// A token that is about to expire is replaced this long before.
const AHEAD = 60_000;

export const storedToken = () => localStorage.getItem(KEY);

/** What a token says about itself; the server alone knows whether it is true. */
export function readToken(token) {
  try {
    const payload = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(payload), (character) => character.charCodeAt(0));
    const { id, exp } = JSON.parse(new TextDecoder().decode(bytes));
    return typeof id === "string" && typeof exp === "number" ? { id, until: new Date(exp * 1_000) } : null;
  } catch {
    return null;
  }
}

/** Asks the server for a token; the status says why there is none. */
export async function demoToken(name) {
  const answer = await fetch(`/demo-token?${new URLSearchParams({ id: name })}`, { cache: "no-store" });
  return { status: answer.status, token: answer.ok ? (await answer.text()).trim() : null };
}

/** `hooks`: `changed()`, `ended(info)`. */
export class Me {
  name = null;
  until = null;
  pongs = 0;
  took = null;
  /** `open` once a token was answered, `waiting`, or null. */
  state = null;
  #hooks;
  #token = null;
  #link;
  #sentAt = 0;
  #timer;
  #patience;
  /** Tells the answers of an older connection apart. */
  #round = "";

  constructor(hooks) {
    this.#hooks = hooks;
    this.#link = new Link("/echo", [], {
      opened: () => this.#ping(),
      received: () => this.#answered(),
      waiting: () => this.#quiet("waiting"),
      ended: (info) => {
        this.#quiet(null);
        if (info.code === 1007) localStorage.removeItem(KEY);
        hooks.ended(info);
      },
    });
  }

  /** Goes online with this token; false if it is none. */
  start(token) {
    const read = readToken(token);
    if (read === null) return false;
    this.#token = token;
    this.name = read.id;
    this.until = read.until;
    this.pongs = 0;
    this.took = null;
    this.state = "waiting";
    localStorage.setItem(KEY, token);
    this.#link.open();
    return true;
  }

  /** Goes offline, at once for everybody. */
  stop() {
    localStorage.removeItem(KEY);
    this.#link.close();
    this.#quiet(null);
  }

  #ping() {
    this.#sentAt = performance.now();
    this.#round = randomId();
    this.#link.send(JSON.stringify({ jwt: this.#token }));
    this.#patience = setTimeout(() => this.#link.restart(), ANSWER_WITHIN);
  }

  #answered() {
    clearTimeout(this.#patience);
    this.took = performance.now() - this.#sentAt;
    this.pongs += 1;
    this.state = "open";
    this.#link.settled();
    const round = this.#round;
    this.#timer = setTimeout(async () => {
      await this.#renew();
      if (round === this.#round && this.#link.isOpen) this.#ping();
    }, PING_EVERY);
    this.#hooks.changed();
  }

  // Where the server gives out tokens, the next one comes before this one ends.
  async #renew() {
    if (this.until - Date.now() > AHEAD) return;
    const { token } = await demoToken(this.name).catch(() => ({ token: null }));
    const read = token && readToken(token);
    if (!read || this.state === null) return;
    this.#token = token;
    this.until = read.until;
    localStorage.setItem(KEY, token);
  }

  #quiet(state) {
    clearTimeout(this.#timer);
    clearTimeout(this.#patience);
    this.#round = "";
    this.state = state;
    this.#hooks.changed();
  }
}

/** Calls back when another tab of this browser went offline. */
export function onForgotten(then) {
  addEventListener("storage", ({ key, newValue }) => {
    if (key === KEY && newValue === null) then();
  });
}
