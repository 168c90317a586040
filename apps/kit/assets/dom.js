// Elements out of text nodes. Nothing here or in the pages parses markup.

/** The element with this id. */
export const byId = (id) => document.getElementById(id);

/** Makes an element; strings among `children` become text, nothing else. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/**
 * Makes `nodes` the children of `parent` and moves only what is not in its place, so
 * that focus, selection and scrolling stay where they are.
 */
export function arrange(parent, nodes) {
  let next = parent.firstChild;
  for (const node of nodes) {
    if (node === next) next = next.nextSibling;
    else parent.insertBefore(node, next);
  }
  while (next !== null) {
    const rest = next.nextSibling;
    next.remove();
    next = rest;
  }
}

/** A name in whatever script, which never turns around what stands beside it. */
export const nameOf = (name) => element("bdi", { class: "name", title: name }, name);

/** Two letters on a colour of their own: the same for a name on every page. */
export function avatar(name, size = "") {
  const made = element("span", { class: `avatar ${size}`, "aria-hidden": "true" }, initials(name));
  // By the object model, because the page's policy refuses style attributes.
  made.style.setProperty("--hue", String(hue(name)));
  return made;
}

/** `ana.lopez` → `AL`, `ana` → `AN`. */
export function initials(name) {
  const words = name.split(/[_\-.@]+/u).filter(Boolean);
  const letters = words.length > 1 ? [...words[0]].slice(0, 1).concat([...words[1]].slice(0, 1)) : [...(words[0] ?? name)].slice(0, 2);
  return letters.join("").toLocaleUpperCase();
}

function hue(name) {
  let hash = 0x811c9dc5; // FNV-1a
  for (const character of name) {
    hash = Math.imul(hash ^ character.codePointAt(0), 0x01000193) >>> 0;
  }
  // Neighbouring hues look the same; fifteen degrees apart they do not.
  return (hash % 24) * 15;
}

const NAME = /^[\p{L}\p{Nd}_\-.@][\p{L}\p{M}\p{Nd}_\-.@]*$/u;
const NAME_LENGTH = 64;

/** Whether the server would take `name` as the name of a user or a room. */
export const isName = (name) => NAME.test(name) && [...name].length <= NAME_LENGTH && name.normalize("NFC") === name;

/** What is wrong with a name that is none. */
export const BAD_NAME = "A name takes letters, digits and _ - . @, at most 64 of them, and no spaces.";

/** What somebody typed into a field for a name. */
export const typedName = (field) => field.value.trim().normalize("NFC");

/** 128 random bits as text; `crypto.randomUUID` needs https. */
export function randomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
