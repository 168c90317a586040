// What the page says when the server says no: one sentence each.
import { BAD_NAME } from "./dom.js";

const REFUSALS = {
  "not-logged-in": "You are not signed in.",
  "name-taken": "Somebody else is using that name right now; choose another.",
  "bad-name": BAD_NAME,
  "bad-token": "The server does not accept that token.",
  expired: "That token has expired; a new one is needed.",
  "no-such-user": "Nobody of that name is here right now.",
  "not-a-member": "You are not in that room.",
  "too-many-rooms": "You are in as many rooms as one person may be in; leave one first.",
  "room-full": "That room is full.",
  "too-many-connections": "You are signed in too many times; close another window first.",
  "too-long": "That is too long.",
  "too-fast": "That was too fast; wait a moment.",
  "bad-request": "The server did not understand that.",
  degraded: "That person is out of reach while the servers cannot talk to each other.",
};

/** The sentence for an `err` of the server. */
export const refusal = ({ code, reason }) => REFUSALS[code] ?? reason ?? "The server refused that.";

export const BAD_ROOM = BAD_NAME.replace("A name", "The name of a room");
export const UNREACHABLE = "The server cannot be reached, or takes nobody in right now; try again in a moment.";

const time = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const day = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const dayAndYear = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "long", year: "numeric" });
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });

export const timeOf = (date) => time.format(date);
export const momentOf = (date) => moment.format(date);

/** `Today`, `Yesterday`, `Friday, 21 November`, and with the year when it is another. */
export function dayOf(date, now = new Date()) {
  const midnight = (of) => new Date(of.getFullYear(), of.getMonth(), of.getDate());
  const days = Math.round((midnight(now) - midnight(date)) / 86_400_000);
  if (days === 0) return "Today";
  if (days === 1) return "Yesterday";
  return date.getFullYear() === now.getFullYear() ? day.format(date) : dayAndYear.format(date);
}

export const sameDay = (one, other) => one.toDateString() === other.toDateString();

const number = new Intl.NumberFormat();

/** `1 person here`, `1,204 people here`. */
export const peopleHere = (count) => `${number.format(count)} ${count === 1 ? "person" : "people"} here`;

/** `ana is typing…`, `ana and bo are typing…`. */
export function typingLine(names) {
  if (names.length === 0) return "";
  if (names.length === 1) return `${names[0]} is typing…`;
  if (names.length === 2) return `${names[0]} and ${names[1]} are typing…`;
  return "Several people are typing…";
}
