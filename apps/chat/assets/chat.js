// The page: which view is shown, which conversation, and what is told to the person.
import { BAD_NAME, avatar, byId, isName, typedName } from "./dom.js";
import { Client } from "./client.js";
import { Composer } from "./composer.js";
import { Conversation } from "./conversation.js";
import { ConversationList, PeopleList } from "./lists.js";
import { Login } from "./login.js";
import { forget, recall, remember } from "./memory.js";
import { Timeline } from "./timeline.js";
import { BAD_ROOM, peopleHere, refusal, typingLine } from "./words.js";

// A loss that is over sooner is not worth a word.
const FLICKER = 1_500;

let client = null;
let current = null;
/** What the server says about the connection, while it is not open. */
let trouble = null;

const login = new Login((who) => begin(who, true));
const composer = new Composer({ say, typing: () => client.typing(current), changed: saveSoon });
const roomList = new ConversationList(byId("room-list"), open);
const privateList = new ConversationList(byId("private-list"), open);
const peopleList = new PeopleList(byId("member-list"), talkTo);
const timeline = new Timeline(byId("scroll"), byId("messages"), {
  me: () => client.nickname,
  isMe: (name) => name === client?.nickname,
  moved: () => looked() && renderSoon(),
  talkTo,
  retry: (waiting) => client.deliver(current, waiting),
  drop: (waiting) => {
    current.drop(waiting);
    renderSoon();
  },
});

// --- Coming and going.

function start() {
  const query = new URLSearchParams(location.search);
  const who = { nickname: query.get("nick") ?? undefined, room: query.get("room") ?? undefined };
  if (location.pathname.startsWith("/chat") && who.nickname !== undefined) {
    login.show(who);
    if (!isName(who.nickname)) login.fail({ code: "bad-name" });
    else if (who.room === undefined || isName(who.room)) begin({ room: "lobby", ...who }, false);
    else login.fail({ code: "bad-room", reason: BAD_ROOM });
  } else {
    login.show({ nickname: recall().nickname });
  }
}

// `isNew` when somebody filled in the form, so that the browser's Back leads there.
function begin({ nickname, token, room }, isNew) {
  const memory = recall();
  const isSame = memory.nickname !== undefined && memory.nickname === nickname && token === undefined;
  const conversations = isSame ? memory.conversations.map(Conversation.fromMemory) : [];
  const session = isSame ? { ...memory, conversations } : { nickname, token, conversations };
  client = new Client(session, {
    signedIn,
    refused: (error) => leave((page) => page.fail(error)),
    waiting: (info) => troubled("waiting", info),
    ended,
    added,
    changed: (conversation) => {
      if (login.isShown && conversation.joined) enter(isNew);
      renderSoon();
    },
    joinRefused,
    expiring: () => {
      byId("expiring").hidden = false;
    },
  });
  current = client.conversation("room", room);
  const last = client.conversations.get(memory.current);
  if (isSame && !isNew && last !== undefined) current = last;
  // Who was here before sees the conversation at once, and the connection come back.
  if (isSame && session.resume !== undefined) enter(isNew);
  client.start();
}

function signedIn() {
  trouble = null;
  document.body.dataset.link = "open";
  renderSoon();
}

// From the form to the conversation.
function enter(isNew) {
  login.hide();
  byId("chat").hidden = false;
  if (isNew) history.pushState(null, "", address());
  render();
  composer.focus();
}

// Back to the form; what is to be fetched again after a reload is kept.
function leave(say) {
  const { nickname } = client;
  const room = client.rooms[0]?.name;
  client.stop();
  client = null;
  current = null;
  trouble = null;
  byId("chat").hidden = true;
  openDrawer(null);
  login.show({ nickname, room });
  say?.(login);
}

function signOut() {
  leave();
  forget();
  history.pushState(null, "", "/");
}

function troubled(link, info) {
  document.body.dataset.link = link;
  trouble = { link, since: trouble?.since ?? Date.now(), ...info };
  renderSoon();
}

function ended(info) {
  if (info.reason === "Expired Token") leave((page) => page.fail({ code: "expired" }));
  else troubled("ended", info);
}

function joinRefused(room, error) {
  if (login.isShown) {
    leave((page) => page.fail(error));
    return;
  }
  if (current === room) current = client.rooms[0] ?? null;
  announce(`${room.name}: ${refusal(error)}`);
  render();
}

// --- What happens in the conversations.

function added(conversation, item, live) {
  const isMine = item.from === client.nickname;
  const isSeen = conversation === current && timeline.following && !document.hidden;
  if (isMine) {
    conversation.mark = null;
  } else if (!isSeen || !live) {
    conversation.mark = conversation.unread === 0 && conversation.mark === null ? item : conversation.mark;
  }
  if (isSeen) conversation.markRead();
  else if (!isMine) conversation.unread += 1;
  if (isSeen && live && !isMine) announce(`${item.from}: ${item.text}`);
  if (timeline.following && conversation === current) conversation.trim();
  renderSoon();
}

// Whether what is unread has just been seen.
function looked() {
  const isSeen = current !== null && timeline.following && !document.hidden;
  if (isSeen && current.unread > 0) {
    current.markRead();
    saveSoon();
    return true;
  }
  return !byId("latest").hidden === timeline.following;
}

function open(conversation) {
  if (conversation !== current) {
    if (current) current.mark = null;
    current = conversation;
    history.replaceState(null, "", address());
  }
  openDrawer(null);
  render();
  if (current.mark !== null) timeline.toMark();
  if (looked()) renderSoon();
  composer.focus();
}

function talkTo(name) {
  if (name !== client.nickname) open(client.conversation("private", name));
}

function say(text) {
  current.mark = null;
  timeline.following = true;
  client.say(current, text);
  renderSoon();
}

function leaveConversation() {
  const gone = current;
  const all = shownConversations();
  const at = all.indexOf(gone);
  client.leave(gone);
  current = null;
  const next = all[at + 1] ?? all[at - 1];
  if (next === undefined) render();
  else open(next);
  saveSoon();
}

const shownConversations = () => [...client.rooms, ...privates()];
const privates = () => [...client.conversations.values()].filter(({ kind }) => kind === "private");

function address() {
  const room = current?.kind === "room" ? current.name : client.rooms[0]?.name;
  const query = new URLSearchParams({ nick: client.nickname, ...(room !== undefined && { room }) });
  return `/chat?${query}`;
}

// --- What is shown.

let isDue = false;
function renderSoon() {
  saveSoon();
  if (isDue) return;
  isDue = true;
  setTimeout(() => {
    isDue = false;
    if (client !== null && !byId("chat").hidden) render();
  }, 16);
}

function render() {
  const all = [...client.conversations.values()];
  roomList.render(client.rooms, current);
  privateList.render(privates(), current);
  byId("no-privates").hidden = privates().length > 0;
  renderUnread(all);
  renderLink();
  byId("my-name").textContent = client.nickname;
  byId("my-avatar").replaceChildren(avatar(client.nickname));
  renderConversation();
}

function renderUnread(all) {
  const elsewhere = all.reduce((sum, { unread }) => sum + unread, 0);
  const title = current === null ? "" : `${current.kind === "room" ? "#" : ""}${current.name} · `;
  document.title = `${elsewhere > 0 ? `(${elsewhere}) ` : ""}${title}Sockeye chat`;
  const badge = byId("elsewhere");
  badge.hidden = elsewhere === 0;
  badge.textContent = String(elsewhere);
  byId("show-rooms").setAttribute("aria-label", `Conversations${elsewhere > 0 ? `, ${elsewhere} unread` : ""}`);
}

const LINK = { open: "connected", waiting: "reconnecting", ended: "not connected" };

function renderLink() {
  const { link } = document.body.dataset;
  byId("link").textContent = LINK[link] ?? "connecting";
  const notice = byId("link-notice");
  const [text, button] = notice.children;
  const isLong = trouble !== null && (trouble.link === "ended" || Date.now() - trouble.since > FLICKER);
  notice.hidden = !isLong;
  if (!isLong) return;
  notice.classList.toggle("bad", trouble.link === "ended");
  const seconds = Math.ceil((trouble.at - Date.now()) / 1_000);
  const again = trouble.link === "ended" ? "" : seconds > 0 ? ` Trying again in ${seconds} s.` : " Trying again…";
  text.textContent = trouble.sentence + again;
  button.textContent = "Connect now";
}

function renderConversation() {
  composer.show(current);
  byId("leave").hidden = current === null;
  const isRoom = current?.kind === "room";
  const hasPeople = isRoom && current.joined;
  byId("members").hidden = !isRoom;
  byId("show-members").hidden = !isRoom;
  byId("degraded").hidden = !(isRoom && current.degraded);
  if (current === null) {
    byId("title").textContent = "No room";
    byId("title-avatar").hidden = true;
    byId("subtitle").textContent = "";
    byId("typing").textContent = "";
    timeline.render(new Conversation("room", ""));
    renderEmpty(null);
    return;
  }
  byId("title").textContent = isRoom ? `# ${current.name}` : current.name;
  byId("subtitle").textContent = isRoom ? (hasPeople ? peopleHere(current.count) : byId("link").textContent) : "Only the two of you see this";
  byId("title-avatar").hidden = isRoom;
  if (!isRoom) byId("title-avatar").replaceChildren(avatar(current.name));
  byId("leave").textContent = isRoom ? "Leave" : "Close";
  byId("leave").setAttribute("aria-label", isRoom ? `Leave ${current.name}` : `Close the conversation with ${current.name}`);
  byId("members-count").textContent = isRoom ? String(current.count) : "";
  byId("no-members").hidden = current.listed;
  peopleList.render(current.members, client.nickname);
  byId("typing").textContent = isRoom ? typingLine(current.typists()) : "";
  byId("older").hidden = !current.more;
  timeline.render(current);
  renderEmpty(current);
  const latest = byId("latest");
  latest.hidden = timeline.following;
  latest.textContent = current.unread > 0 ? `${current.unread} new ↓` : "Newest ↓";
}

function renderEmpty(conversation) {
  const box = byId("empty");
  const isEmpty = conversation === null || conversation.items.length + conversation.outbox.length === 0;
  box.hidden = !isEmpty;
  byId("beginning").hidden = isEmpty || conversation.more || conversation.kind !== "room" || !conversation.joined;
  if (!isEmpty) {
    byId("beginning").textContent = `The beginning of #${conversation.name}`;
    return;
  }
  const [sign, title, text] = box.children;
  sign.className = "hash";
  if (conversation === null) {
    sign.replaceChildren("#");
    title.textContent = "You are in no room";
    text.textContent = "Enter one with the plus sign beside “Rooms”.";
  } else if (conversation.kind === "room") {
    sign.replaceChildren("#");
    title.textContent = `This is #${conversation.name}`;
    text.textContent = "Nothing has been said here yet. Say hello.";
  } else {
    sign.className = "";
    sign.replaceChildren(avatar(conversation.name));
    title.textContent = conversation.name;
    text.textContent = "Only the two of you see what is written here, and the server keeps none of it.";
  }
}

function announce(text) {
  byId("announcer").textContent = text;
}

// --- What a reload needs, written down when it changes.

let saving;
function saveSoon() {
  saving ??= setTimeout(save, 200);
}

function save() {
  clearTimeout(saving);
  saving = undefined;
  if (client?.resume === undefined) return;
  const { nickname, token, resume } = client;
  const conversations = [...client.conversations.values()].map((conversation) => conversation.toMemory());
  remember({ nickname, token, resume, current: current?.key, conversations });
}

// --- Controls.

function openDrawer(name) {
  const drawers = { rooms: byId("show-rooms"), members: byId("show-members") };
  const was = document.body.dataset.drawer;
  if (name === null) delete document.body.dataset.drawer;
  else document.body.dataset.drawer = name;
  byId("scrim").hidden = name === null;
  document.querySelector(".talk").inert = name !== null;
  for (const [key, button] of Object.entries(drawers)) button.setAttribute("aria-expanded", String(key === name));
  if (name !== null) byId(name).querySelector("button:not(:disabled)")?.focus();
  else if (was !== undefined) drawers[was].focus();
}

// A plus sign opens a line for a name; Enter takes it, Escape puts it away.
function nameForm(button, form, accept) {
  const input = form.querySelector("input");
  const error = form.querySelector(".form-error");
  const show = (isShown) => {
    form.hidden = !isShown;
    error.hidden = true;
    input.value = "";
    button.setAttribute("aria-expanded", String(isShown));
    (isShown ? input : button).focus();
  };
  button.addEventListener("click", () => show(form.hidden));
  form.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    show(false);
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const name = typedName(input);
    const fault = isName(name) ? await accept(name) : BAD_NAME;
    error.textContent = fault ?? "";
    error.hidden = fault === null;
    if (fault === null) {
      show(false);
      composer.focus();
    }
  });
}

nameForm(byId("add-room"), byId("room-form"), async (name) => {
  try {
    open(await client.join(name));
    return null;
  } catch (error) {
    return error.isLoss ? "The connection was lost; try again." : refusal(error);
  }
});

nameForm(byId("add-private"), byId("private-form"), async (name) => {
  if (name === client.nickname) return "That is you.";
  talkTo(name);
  return null;
});

byId("show-rooms").addEventListener("click", () => openDrawer("rooms"));
byId("show-members").addEventListener("click", () => openDrawer("members"));
byId("scrim").addEventListener("click", () => openDrawer(null));
byId("sign-out").addEventListener("click", signOut);
byId("leave").addEventListener("click", leaveConversation);
byId("latest").addEventListener("click", () => {
  timeline.toEnd("smooth");
  looked();
  renderSoon();
});
byId("older").addEventListener("click", async ({ target }) => {
  target.disabled = true;
  timeline.following = false;
  await client.loadOlder(current).catch(() => {});
  target.disabled = false;
});
byId("link-notice").querySelector("button").addEventListener("click", () => {
  if (trouble?.link === "ended") client.start();
  else client.hurry();
});
byId("expiring").addEventListener("submit", async (event) => {
  event.preventDefault();
  const field = byId("new-token");
  try {
    await client.refresh(field.value.trim());
    byId("expiring").hidden = true;
  } catch (error) {
    byId("expiring").querySelector("label").textContent = refusal(error);
  }
  field.value = "";
});

document.addEventListener("keydown", (event) => {
  if (client === null || byId("chat").hidden) return;
  if (event.key === "Escape" && document.body.dataset.drawer !== undefined) openDrawer(null);
  if (event.altKey && (event.key === "ArrowUp" || event.key === "ArrowDown")) {
    event.preventDefault();
    const all = shownConversations();
    const at = all.indexOf(current) + (event.key === "ArrowDown" ? 1 : -1);
    if (all[at] !== undefined) open(all[at]);
  }
});
document.addEventListener("visibilitychange", () => client !== null && looked() && renderSoon());
addEventListener("pagehide", save);
addEventListener("popstate", () => {
  if (client !== null && !location.pathname.startsWith("/chat")) leave();
  else if (client === null) start();
});
// Who types, and until when the page waits, change by time alone.
setInterval(() => {
  if (client !== null && !byId("chat").hidden && (trouble !== null || current?.typing.size > 0)) render();
}, 1_000);

start();
