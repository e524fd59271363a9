/**
 * The client of Kijimuna's protocol, version 2. In reading order: `chat.js` is a connection with its groups, `connection.js` the life of its
 * socket, `group.js` one group: what it does goes through `outbox.js` and `signals.js`, what it hears through `follower.js` into
 * `view.js`, with `timeline.js`, `people.js`, `typists.js` and `standing.js`. `frames.js` is the wire. The types are in `kijimuna.d.ts`.
 */

import { Chat } from "./chat.js";
import { KijimunaError } from "./errors.js";
import { settle } from "./options.js";

export { KijimunaError };

/** Opens a connection and keeps it open. */
export function connect(url, token, options = {}) {
  const base = String(url).replace(/^http/i, "ws").replace(/\/+$/, "");
  const chat = new Chat(base, token, settle(options));
  wakeWithNetwork(chat);
  return chat;
}

/** A browser tells when its network is back: then there is nothing to wait for. */
function wakeWithNetwork(chat) {
  if (typeof globalThis.addEventListener !== "function") return;
  const wake = () => chat.wake();
  globalThis.addEventListener("online", wake);
  chat.on("state", ({ status }) => {
    if (status === "closed") globalThis.removeEventListener("online", wake);
  });
}
