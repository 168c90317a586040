// The messages of one conversation: days, groups of one author, what is new, what could
// not be sent. Keeps its place while others write, and follows when it is at the end.
import { arrange, avatar, element } from "./dom.js";
import { dayOf, momentOf, refusal, sameDay, timeOf } from "./words.js";

const GROUP = 5 * 60_000;
const NEARLY = 48;

export class Timeline {
  /** Whether the newest message is in view, and is to stay so. */
  following = true;
  #scroll;
  #list;
  #hooks;
  #rows = new WeakMap();
  #dividers = new Map();
  #shown = null;
  #lastTop = 0;

  /** `hooks`: `moved()` after scrolling, `talkTo(name)`, `retry(waiting)`, `drop(waiting)`, `isMe(name)`. */
  constructor(scroll, list, hooks) {
    this.#scroll = scroll;
    this.#list = list;
    this.#hooks = hooks;
    scroll.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    // A phone's keyboard takes half of the height.
    new ResizeObserver(() => this.following && this.toEnd("instant")).observe(scroll);
  }

  /** Shows what the conversation holds now. */
  render(conversation) {
    const isOther = conversation !== this.#shown;
    if (isOther) {
      this.#shown = conversation;
      this.#dividers.clear();
      this.following = true;
    }
    const grew = !isOther && this.#list.childElementCount > 0;
    const anchors = this.following ? [] : this.#visible();
    arrange(this.#list, this.#nodes(conversation));
    if (this.following) {
      this.toEnd(grew ? "smooth" : "instant");
      return;
    }
    const anchor = anchors.find(({ row }) => row.isConnected);
    if (anchor !== undefined) this.#scroll.scrollTop += anchor.row.getBoundingClientRect().top - anchor.top;
  }

  toEnd(behavior) {
    this.following = true;
    this.#scroll.scrollTo({ top: this.#scroll.scrollHeight, behavior: calm() ? "instant" : behavior });
  }

  /** To where the unread begins, if that is further up than one page. */
  toMark() {
    const mark = this.#list.querySelector(".divider.new");
    if (mark === null) return;
    const excess = this.#scroll.getBoundingClientRect().top - mark.getBoundingClientRect().top;
    if (excess <= 0) return;
    this.following = false;
    this.#scroll.scrollTop -= excess + NEARLY;
    this.#lastTop = this.#scroll.scrollTop;
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroll;
    // On the way to the end is at the end; only going up is leaving it.
    if (scrollHeight - scrollTop - clientHeight < NEARLY) this.following = true;
    else if (scrollTop < this.#lastTop) this.following = false;
    this.#lastTop = scrollTop;
    this.#hooks.moved();
  }

  // Some messages in view, and where they are: one of them will still be there.
  #visible() {
    const { top } = this.#scroll.getBoundingClientRect();
    const rows = [...this.#list.querySelectorAll(".message")];
    const first = rows.findIndex((row) => row.getBoundingClientRect().bottom > top);
    return first < 0 ? [] : rows.slice(first, first + 3).map((row) => ({ row, top: row.getBoundingClientRect().top }));
  }

  #nodes(conversation) {
    const nodes = [];
    let last = null;
    const divide = (kind, text, key) => {
      nodes.push(this.#divider(kind, text, key));
      if (kind !== "day") last = last && { ...last, from: null };
    };
    for (const item of conversation.items) {
      if (item.kind === "gap") {
        divide("gap", item.text, item);
        continue;
      }
      const at = new Date(item.ts);
      if (last === null || !sameDay(last.at, at)) divide("day", dayOf(at), at.toDateString());
      if (item === conversation.mark) divide("new", "New", item);
      nodes.push(this.#row(item, { at, isFirst: isFirst(last, item, at) }));
      last = { at, from: item.from };
    }
    for (const waiting of conversation.outbox) {
      const at = new Date(waiting.ts);
      const item = { from: this.#hooks.me(), text: waiting.text, waiting };
      nodes.push(this.#row(waiting, { at, isFirst: isFirst(last, item, at), item }));
      last = { at, from: item.from };
    }
    return nodes;
  }

  #divider(kind, text, key) {
    const id = typeof key === "string" ? `${kind} ${key}` : key;
    const found = this.#dividers.get(id);
    if (found?.dataset.text === text) return found;
    const made = element("li", { class: `divider ${kind}`, "data-text": text }, text);
    this.#dividers.set(id, made);
    return made;
  }

  // A row is made anew only when something in it has changed.
  #row(key, { at, isFirst, item = key }) {
    const { waiting } = item;
    const state = `${isFirst} ${waiting && (waiting.error?.code ?? "sending")} ${item.from}`;
    const found = this.#rows.get(key);
    if (found?.state === state) return found.node;
    const node = this.#makeRow(item, at, isFirst);
    this.#rows.set(key, { state, node });
    return node;
  }

  #makeRow(item, at, isFirst) {
    const { from, text, via, waiting } = item;
    const isMine = this.#hooks.isMe(from);
    const time = element("time", { datetime: at.toISOString(), title: momentOf(at) }, timeOf(at));
    const body = element("div", {});
    if (isFirst) {
      const name = element("bdi", {}, from);
      const by = isMine
        ? element("b", {}, name)
        : element("button", { type: "button", title: `Write to ${from} alone`, onclick: () => this.#hooks.talkTo(from) }, name);
      const tag = via === undefined ? null : element("span", { class: "tag", title: "Sent by a program" }, via);
      body.append(element("div", { class: "by" }, by, tag, time));
    }
    body.append(element("p", { class: "text", dir: "auto" }, text));
    if (waiting?.error) body.append(this.#failure(waiting));
    const states = [isFirst && "first", isMine && "mine", waiting && !waiting.error && "sending"];
    const classes = ["message", ...states.filter(Boolean)].join(" ");
    const label = waiting && !waiting.error ? element("span", { class: "visually-hidden" }, "sending") : null;
    return element("li", { class: classes }, isFirst ? avatar(from) : time, body, label);
  }

  #failure(waiting) {
    const button = (text, act) => element("button", { class: "link-button", type: "button", onclick: act }, text);
    return element(
      "p",
      { class: "failure", role: "alert" },
      element("span", {}, `Not sent. ${refusal(waiting.error)}`),
      button("Try again", () => this.#hooks.retry(waiting)),
      button("Remove", () => this.#hooks.drop(waiting)),
    );
  }
}

function isFirst(last, { from, via }, at) {
  return last === null || via !== undefined || last.from !== from || at - last.at > GROUP || !sameDay(last.at, at);
}

const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
