// Where one writes. What is not sent yet stays with its conversation.
import { byId } from "./dom.js";
import { cleanText, faultOf } from "./client.js";

const TYPING_EVERY = 3_000;
// A longer placeholder would take a second line.
const LONGEST_SHOWN = 20;

export class Composer {
  #form = byId("composer");
  #text = byId("text");
  #error = byId("composer-error");
  #conversation = null;
  #typedAt = 0;

  /** `hooks`: `say(text)`, `typing()`, `changed()`. */
  constructor(hooks) {
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit(hooks);
    });
    this.#text.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.#submit(hooks);
    });
    this.#text.addEventListener("input", () => {
      this.#grow();
      this.#complain(null);
      if (this.#conversation) this.#conversation.draft = this.#text.value;
      hooks.changed();
      if (this.#text.value.trim() !== "" && Date.now() - this.#typedAt > TYPING_EVERY) {
        this.#typedAt = Date.now();
        hooks.typing();
      }
    });
  }

  /** Writes to this conversation from now on; null for none. */
  show(conversation) {
    this.#form.hidden = conversation === null;
    if (conversation === null || conversation === this.#conversation) return;
    this.#conversation = conversation;
    this.#text.value = conversation.draft;
    this.#text.placeholder = placeholder(conversation);
    this.#complain(null);
    this.#grow();
  }

  /** Ready to write, unless that would bring up a keyboard over half of a phone. */
  focus() {
    if (matchMedia("(hover: hover)").matches) this.#text.focus();
  }

  #submit(hooks) {
    const text = cleanText(this.#text.value);
    if (text === "" || this.#conversation === null) return;
    if (faultOf(text) !== null) {
      const excess = [...text].length - 4_096;
      this.#complain(excess > 0 ? `That is ${excess} characters too long.` : "That is too long.");
      return;
    }
    this.#text.value = "";
    this.#conversation.draft = "";
    this.#typedAt = 0;
    this.#grow();
    hooks.say(text);
  }

  #complain(sentence) {
    this.#error.hidden = sentence === null;
    this.#error.textContent = sentence ?? "";
  }

  #grow() {
    this.#text.style.height = "auto";
    const borders = this.#text.offsetHeight - this.#text.clientHeight;
    this.#text.style.height = `${this.#text.scrollHeight + borders}px`;
  }
}

function placeholder({ kind, name }) {
  const characters = [...name];
  const short = characters.length > LONGEST_SHOWN ? `${characters.slice(0, LONGEST_SHOWN).join("")}…` : name;
  return kind === "room" ? `Message #${short}` : `Write to ${short}`;
}
