"use strict";

// A page that is left open for days keeps the newest lines only.
const LINES = 500;
// What is shown of a message that is longer.
const SHOWN = 2000;

const element = (id) => document.getElementById(id);
const message = element("message");
const log = element("log");

const url = new URL(location.href);
url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
url.hash = "";
element("url").textContent = url.href;

const socket = new WebSocket(url);
socket.binaryType = "arraybuffer";

function show(state, text) {
  document.body.dataset.link = state;
  element("status").textContent = text;
  element("send").disabled = state !== "open";
}

function shorten(text, unit, length) {
  return length > SHOWN ? `${text}… (${length} ${unit})` : text;
}

function describe(buffer) {
  const bytes = new Uint8Array(buffer);
  const shown = bytes.subarray(0, SHOWN);
  let text;
  try {
    // A character that is cut off at the end is no fault of the message.
    text = new TextDecoder("utf-8", { fatal: true }).decode(shown, { stream: bytes.length > SHOWN });
  } catch {
    text = Array.from(shown, (byte) => byte.toString(16).padStart(2, "0")).join(" ");
  }
  const unit = bytes.length === 1 ? "byte" : "bytes";
  const length = `${bytes.length} ${unit}`;
  return bytes.length === 0 ? length : `${length}: ${text}${bytes.length > SHOWN ? "…" : ""}`;
}

function append(data) {
  const line = document.createElement("li");
  if (typeof data === "string") {
    line.textContent = shorten(data.slice(0, SHOWN), "characters", data.length);
  } else {
    line.className = "binary";
    line.textContent = describe(data);
  }
  log.append(line);
  while (log.children.length > LINES) {
    log.firstElementChild.remove();
  }
  element("empty").hidden = true;
  element("clear").hidden = false;
}

function send() {
  if (socket.readyState !== WebSocket.OPEN) {
    return;
  }
  const text = message.value;
  socket.send(element("binary").checked ? new TextEncoder().encode(text) : text);
  message.value = "";
  message.focus();
}

socket.addEventListener("open", () => show("open", "open"));
socket.addEventListener("message", (event) => append(event.data));
socket.addEventListener("close", (event) => {
  show("ended", `closed ${event.code}${event.reason ? ` ${event.reason}` : ""}`);
});

element("form").addEventListener("submit", (event) => {
  event.preventDefault();
  send();
});

message.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    send();
  }
});

element("clear").addEventListener("click", () => {
  log.replaceChildren();
  element("empty").hidden = false;
  element("clear").hidden = true;
});
