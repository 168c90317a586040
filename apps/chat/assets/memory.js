// What outlives a reload of this tab, and nothing else: the session's secret, the rooms
// and how far each was read, private messages (the server keeps none), and what was not
// yet sent. It is the tab's own storage, so two tabs are two people.

const KEY = "sockeye.chat";

export function recall() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY)) ?? {};
  } catch {
    return {};
  }
}

export function remember(session) {
  try {
    sessionStorage.setItem(KEY, JSON.stringify(session));
  } catch {
    // Full, or forbidden: then a reload starts afresh.
  }
}

export function forget() {
  try {
    sessionStorage.removeItem(KEY);
  } catch {
    // Forbidden: there was nothing.
  }
}
