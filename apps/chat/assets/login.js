// The form that asks for a name and a room, and says in one sentence what is wrong.
import { BAD_NAME, byId, isName, typedName } from "./dom.js";
import { BAD_ROOM, UNREACHABLE, refusal } from "./words.js";

const FIELDS = {
  "name-taken": "nickname",
  "bad-name": "nickname",
  "too-many-connections": "nickname",
  "bad-token": "token",
  expired: "token",
  "room-full": "room",
};

export class Login {
  #page = byId("login");
  #button = byId("enter");
  #error = byId("login-error");
  #hadToken = false;
  #fields = { nickname: byId("nickname"), room: byId("room"), token: byId("token") };

  /** `enter({nickname, room, token})` is called with names that the server may take. */
  constructor(enter) {
    byId("login-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit(enter);
    });
    byId("with-token").addEventListener("toggle", ({ target }) => {
      byId("login-as").hidden = target.open;
    });
  }

  get isShown() {
    return !this.#page.hidden;
  }

  show({ nickname, room } = {}) {
    this.#page.hidden = false;
    this.#isBusy(false);
    if (nickname !== undefined) this.#fields.nickname.value = nickname;
    if (room !== undefined) this.#fields.room.value = room;
    document.title = "Sockeye chat";
    (this.#fields.nickname.value === "" ? this.#fields.nickname : this.#fields.room).focus();
  }

  hide() {
    this.#page.hidden = true;
    this.#fields.token.value = "";
    this.#say(null);
  }

  /** Says what the server said, at the field that it is about. */
  fail(error) {
    this.#isBusy(false);
    const field = FIELDS[error.code];
    if (field === "token") byId("with-token").open = true;
    if (error.code === "bad-token" && !this.#hadToken) this.#say("This server wants a token.", field);
    else if (error.code === "unreachable") this.#say(error.reason || UNREACHABLE);
    else this.#say(refusal(error), field ?? "nickname");
  }

  #submit(enter) {
    const nickname = typedName(this.#fields.nickname);
    const room = typedName(this.#fields.room);
    const token = byId("with-token").open ? this.#fields.token.value.trim() : "";
    if (token === "" && nickname === "") this.#say("Choose a name first.", "nickname");
    else if (token === "" && !isName(nickname)) this.#say(BAD_NAME, "nickname");
    else if (room === "") this.#say("Choose a room first.", "room");
    else if (!isName(room)) this.#say(BAD_ROOM, "room");
    else {
      this.#say(null);
      this.#isBusy(true);
      this.#hadToken = token !== "";
      enter(token === "" ? { nickname, room } : { room, token });
    }
  }

  #say(sentence, field) {
    this.#error.hidden = sentence === null;
    this.#error.textContent = sentence ?? "";
    for (const [name, input] of Object.entries(this.#fields)) {
      if (name === field) input.setAttribute("aria-invalid", "true");
      else input.removeAttribute("aria-invalid");
    }
    const at = this.#fields[field];
    at?.focus();
    at?.select();
  }

  #isBusy(busy) {
    this.#button.disabled = busy;
    this.#button.textContent = busy ? "Entering…" : "Enter";
  }
}
