// The page: who is online, kept up to date by `/watch`, and one's own presence.
import { BAD_NAME, arrange, avatar, byId, element, isName, nameOf, typedName } from "./dom.js";
import { Link } from "./link.js";
import { Me, demoToken, onForgotten, storedToken } from "./me.js";

// What a subprotocol may be made of (RFC 9110 §5.6.2).
const POSSIBLE = /^[\w!#$%&'*+\-.^`|~]+$/;
const READ_KEY = "sockeye.presence.read";
const FILTER_FROM = 12;
const LATELY = 30;
// A loss that is over sooner is not worth a word.
const FLICKER = 1_500;
const UNREACHABLE = "The server cannot be reached; try again in a moment.";

const clock = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const dayAndClock = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", hour: "numeric", minute: "2-digit" });
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });
const number = new Intl.NumberFormat();
const order = new Intl.Collator().compare;

/** Name → since when, or null while there are too many to list. */
let people = new Map();
let count = null;
let rev = null;
let trouble = null;
const rows = new Map();

// --- Who is online.

let watch = null;

function startWatching() {
  const token = sessionStorage.getItem(READ_KEY);
  watch?.close();
  if (token !== null && !POSSIBLE.test(token)) {
    askForToken();
    return;
  }
  watch = new Link("/watch", token === null ? [] : [`bearer.${token}`], {
    opened: () => {},
    received: (text) => heard(JSON.parse(text)),
    waiting: (info) => lost("waiting", info),
    ended: (info) => lost("ended", info),
  });
  watch.open();
}

function heard(message) {
  switch (message.type) {
    case "state":
      people = new Map(message.users.map(({ id, since }) => [id, new Date(since)]));
      count = people.size;
      break;
    case "diff":
      if (message.rev !== rev + 1) {
        watch.restart(); // Something was missed; the next connection begins with everything.
        return;
      }
      for (const id of message.leave) people?.delete(id);
      for (const id of message.join) people?.set(id, new Date());
      count = people?.size ?? count;
      tell(message);
      break;
    case "count":
      people = null;
      count = message.users;
      break;
    default:
      return; // Clients ignore what they do not know.
  }
  rev = message.rev;
  if (message.type !== "diff") byId("degraded").hidden = message.degraded !== true;
  trouble = null;
  watch.settled();
  document.body.dataset.link = "open";
  byId("read").hidden = true;
  renderSoon();
}

async function lost(link, info) {
  document.body.dataset.link = link;
  trouble = { link, since: trouble?.since ?? Date.now(), ...info };
  renderSoon();
  // A refused upgrade tells a page nothing; a plain request does.
  if (rev === null && info.code === 1006 && (await needsToken())) {
    watch.close();
    askForToken();
  }
}

function askForToken() {
  trouble = null;
  document.body.dataset.link = "ended";
  byId("read-error").hidden = sessionStorage.getItem(READ_KEY) === null;
  byId("read-error").textContent = "The server does not accept that token.";
  sessionStorage.removeItem(READ_KEY);
  byId("read").hidden = false;
  byId("read-token").focus();
  renderSoon();
}

async function needsToken() {
  const token = sessionStorage.getItem(READ_KEY);
  const headers = token === null ? {} : { Authorization: `Bearer ${token}` };
  try {
    return (await fetch("/presence", { headers, cache: "no-store" })).status === 401;
  } catch {
    return false;
  }
}

// --- One's own presence.

const me = new Me({
  changed: renderSoon,
  ended: ({ code, sentence }) => {
    const isUnknown = code === 1007 && me.pongs === 0;
    refuse(isUnknown ? "The server does not accept that token, or it has expired." : sentence);
  },
});

async function goOnline() {
  refuse(null);
  const pasted = byId("jwt").value.trim();
  const name = typedName(byId("name"));
  if (!byId("as-token").hidden) {
    byId("jwt").value = "";
    if (!me.start(pasted)) refuse("That is not a token.");
  } else if (!isName(name)) {
    refuse(name === "" ? "Choose a name first." : BAD_NAME);
  } else {
    await goOnlineAs(name);
  }
  renderSoon();
}

async function goOnlineAs(name) {
  let answer;
  byId("go").disabled = true;
  try {
    answer = await demoToken(name);
  } catch {
    refuse(UNREACHABLE);
    return;
  } finally {
    byId("go").disabled = false;
  }
  if (answer.token !== null) {
    me.start(answer.token);
  } else if (answer.status === 404) {
    byId("as-name").hidden = true;
    byId("as-token").hidden = false;
    byId("jwt").focus();
  } else {
    refuse(answer.status === 400 ? BAD_NAME : UNREACHABLE);
  }
}

function refuse(sentence) {
  byId("join-error").hidden = sentence === null;
  byId("join-error").textContent = sentence ?? "";
  for (const id of ["name", "jwt"]) byId(id).setAttribute("aria-invalid", String(sentence !== null));
  if (sentence !== null) (byId("as-token").hidden ? byId("name") : byId("jwt")).focus();
}

// --- What is shown.

let isDue = false;
function renderSoon() {
  if (isDue) return;
  isDue = true;
  setTimeout(() => {
    isDue = false;
    render();
  }, 16);
}

function render() {
  renderLink();
  renderPeople();
  renderMe();
}

const LINK = { open: "live", waiting: "reconnecting", ended: "not connected" };

function renderLink() {
  byId("link").textContent = LINK[document.body.dataset.link] ?? "connecting";
  const notice = byId("link-notice");
  const isLong = trouble !== null && (trouble.link === "ended" || Date.now() - trouble.since > FLICKER);
  notice.hidden = !isLong;
  if (!isLong) return;
  const seconds = Math.ceil((trouble.at - Date.now()) / 1_000);
  const again = trouble.link === "ended" ? "" : seconds > 0 ? ` Trying again in ${seconds} s.` : " Trying again…";
  notice.firstElementChild.textContent = trouble.sentence + again;
}

function renderPeople() {
  const isKnown = count !== null;
  byId("count").textContent = isKnown ? number.format(count) : "–";
  document.title = isKnown ? `${number.format(count)} online · Sockeye presence` : "Sockeye presence";
  const filter = byId("filter");
  filter.hidden = people === null || people.size < FILTER_FROM;
  const wanted = filter.hidden ? "" : filter.value.trim().normalize("NFC").toLocaleLowerCase();
  const shown = [...(people?.keys() ?? [])].filter((name) => name.toLocaleLowerCase().includes(wanted)).sort(order);
  for (const name of rows.keys()) if (!people?.has(name)) rows.delete(name);
  arrange(byId("people"), shown.map(row));
  byId("nobody").hidden = count !== 0;
  byId("crowd").hidden = people !== null;
  byId("not-found").hidden = !isKnown || count === 0 || people === null || shown.length > 0;
}

function row(name) {
  const since = people.get(name);
  const found = rows.get(name);
  if (found?.since.getTime() === since.getTime()) return found.node;
  const isToday = since.toDateString() === new Date().toDateString();
  const time = element(
    "time",
    { class: "hint", datetime: since.toISOString(), title: moment.format(since) },
    `since ${(isToday ? clock : dayAndClock).format(since)}`,
  );
  const isFresh = Date.now() - since.getTime() < 2_000;
  const node = element("li", { class: `person${isFresh ? " fresh" : ""}` }, avatar(name), element("p", {}, nameOf(name), time));
  rows.set(name, { since, node });
  return node;
}

function renderMe() {
  const isOn = me.state !== null;
  byId("join").hidden = isOn;
  byId("me").hidden = !isOn;
  if (!isOn) return;
  byId("me").dataset.link = me.state;
  if (byId("my-name").textContent !== me.name) {
    byId("my-name").textContent = me.name;
    byId("my-avatar").replaceChildren(avatar(me.name));
  }
  byId("my-state").textContent = me.state === "open" ? "online" : "connecting…";
  byId("pongs").textContent = number.format(me.pongs);
  byId("took").textContent = me.took === null ? "–" : `${me.took.toFixed(me.took < 10 ? 1 : 0)} ms`;
  byId("until").textContent = clock.format(me.until);
}

// Who came and went, newest first.
function tell({ join, leave }) {
  const list = byId("lately");
  const now = new Date();
  const entry = (name, what, kind) =>
    element(
      "li",
      { class: kind },
      avatar(name, "small"),
      element("span", { class: "what" }, nameOf(name), element("span", {}, what)),
      element("time", { datetime: now.toISOString(), title: moment.format(now) }, clock.format(now)),
    );
  list.prepend(...leave.map((name) => entry(name, "left", "left")), ...join.map((name) => entry(name, "came", "came")));
  while (list.childElementCount > LATELY) list.lastElementChild.remove();
  byId("quiet").hidden = true;
}

// --- Controls.

byId("join").addEventListener("submit", (event) => {
  event.preventDefault();
  goOnline();
});
byId("leave").addEventListener("click", () => {
  me.stop();
  byId("name").value = me.name;
  render();
  byId("go").focus();
});
byId("read").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(READ_KEY, byId("read-token").value.trim());
  byId("read-token").value = "";
  startWatching();
});
byId("filter").addEventListener("input", renderSoon);
byId("link-notice").querySelector("button").addEventListener("click", () => {
  if (trouble?.link === "ended") watch.open();
  else watch.hurry();
});
onForgotten(() => me.state !== null && me.stop());
setInterval(() => trouble !== null && render(), 1_000);

startWatching();
const token = storedToken();
if (token !== null) me.start(token);
render();
