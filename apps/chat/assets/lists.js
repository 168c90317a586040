// What stands beside the conversation: rooms, private conversations, people.
import { arrange, avatar, element, nameOf } from "./dom.js";

const order = new Intl.Collator().compare;

/** A list of conversations as buttons, which stay the same elements while they change. */
export class ConversationList {
  #list;
  #open;
  #entries = new Map();

  constructor(list, open) {
    this.#list = list;
    this.#open = open;
  }

  render(conversations, current) {
    const entries = conversations.map((conversation) => {
      const entry = this.#entry(conversation);
      const { unread } = conversation;
      entry.button.setAttribute("aria-current", String(conversation === current));
      entry.button.classList.toggle("unread", unread > 0);
      entry.badge.hidden = unread === 0;
      entry.badge.textContent = unread > 99 ? "99+" : String(unread);
      entry.badge.setAttribute("aria-label", `${unread} unread`);
      return entry.item;
    });
    const keys = new Set(conversations.map(({ key }) => key));
    for (const key of this.#entries.keys()) if (!keys.has(key)) this.#entries.delete(key);
    arrange(this.#list, entries);
  }

  #entry(conversation) {
    const { kind, name, key } = conversation;
    const found = this.#entries.get(key);
    if (found?.conversation === conversation) return found;
    const sign = kind === "room" ? element("span", { class: "hash", "aria-hidden": "true" }, "#") : avatar(name, "small");
    const badge = element("span", { class: "badge", role: "img", hidden: true });
    const button = element(
      "button",
      { type: "button", class: "entry", onclick: () => this.#open(conversation) },
      sign,
      nameOf(name),
      badge,
    );
    const made = { conversation, button, badge, item: element("li", {}, button) };
    this.#entries.set(key, made);
    return made;
  }
}

/** The people of a room; each is a button that begins a private conversation. */
export class PeopleList {
  #list;
  #talkTo;
  #entries = new Map();

  constructor(list, talkTo) {
    this.#list = list;
    this.#talkTo = talkTo;
  }

  /** `me` comes first, and is nobody to write to. */
  render(names, me) {
    const others = [...names].filter((name) => name !== me).sort(order);
    const shown = names.has(me) ? [me, ...others] : others;
    const nodes = shown.map((name) => this.#entry(name, name === me));
    for (const key of this.#entries.keys()) if (!names.has(key)) this.#entries.delete(key);
    arrange(this.#list, nodes);
  }

  #entry(name, isMe) {
    const found = this.#entries.get(name);
    if (found?.isMe === isMe) return found.item;
    const button = element(
      "button",
      {
        type: "button",
        class: "entry",
        disabled: isMe,
        title: isMe ? undefined : `Write to ${name} alone`,
        onclick: () => this.#talkTo(name),
      },
      avatar(name, "small"),
      nameOf(name),
      isMe ? element("span", { class: "hint" }, "you") : null,
    );
    const item = element("li", {}, button);
    this.#entries.set(name, { item, isMe });
    return item;
  }
}
