/**
 * A user's line to the server: a WebSocket class for the client that tells of every frame, and that can be cut and mended, as
 * a phone's network is in a tunnel.
 */

import { decode } from "/client/msgpack.js";

/** The names of the actions in a frame's `a`, as the protocol page has them. */
export const ACTIONS = {
  0: "welcome",
  1: "roster",
  2: "message",
  3: "history",
  4: "ack",
  5: "error",
  6: "roster delta",
  7: "edit",
  8: "delete",
  9: "reaction",
  10: "marker",
  11: "typing",
  12: "ephemeral",
  13: "resume",
  14: "join, leave",
  15: "inbox",
  16: "moderation",
  30: "ticket",
  31: "drain",
};

/** How a connection ends that nobody said goodbye on. */
const LOST = 1006;

export class Wire {
  #tell;
  #isUp = true;
  #sockets = new Set();

  /** @param {(entry: object) => void} tell hears of every frame, and of sockets that open and close */
  constructor(tell) {
    this.#tell = tell;
  }

  get isUp() {
    return this.#isUp;
  }

  /** Closes what is open, and lets nothing be opened until it is mended. */
  cut() {
    this.#isUp = false;
    for (const socket of [...this.#sockets]) socket.cut();
  }

  mend() {
    this.#isUp = true;
  }

  /** The class for the client's option `WebSocket`. */
  get WebSocket() {
    const wire = this;
    return class extends TappedSocket {
      constructor(url, protocols) {
        super(wire, url, protocols);
      }
    };
  }

  opened(socket) {
    this.#sockets.add(socket);
  }

  closed(socket) {
    this.#sockets.delete(socket);
  }

  tell(entry) {
    this.#tell({ time: Date.now(), ...entry });
  }

  tellFrame(direction, data) {
    this.tell({ kind: direction, ...sizeAndFrame(data) });
  }
}

function sizeAndFrame(data) {
  if (typeof data === "string") return { encoding: "JSON", size: new TextEncoder().encode(data).length, frame: read(() => JSON.parse(data)) };
  const bytes = new Uint8Array(data.buffer ?? data, data.byteOffset ?? 0, data.byteLength);
  return { encoding: "MessagePack", size: bytes.length, frame: read(() => decode(bytes)), hex: hexOf(bytes) };
}

/** A frame that nobody can read is shown as what it is, and is the client's to complain of. */
function read(decoded) {
  try {
    return decoded();
  } catch {
    return { unreadable: true };
  }
}

function hexOf(bytes, shown = 96) {
  const digits = Array.from(bytes.subarray(0, shown), (byte) => byte.toString(16).padStart(2, "0"));
  return digits.join(" ") + (bytes.length > shown ? " …" : "");
}

/** A WebSocket with somebody listening in. The client sets `on…` as on a real one. */
class TappedSocket {
  binaryType = "arraybuffer";
  onopen = null;
  onmessage = null;
  onclose = null;
  onerror = null;
  #wire;
  #socket;

  constructor(wire, url, protocols) {
    this.#wire = wire;
    if (!wire.isUp) {
      // The client sets its listeners after this.
      setTimeout(() => this.onclose?.({ code: LOST, reason: "offline" }));
      return;
    }
    this.#socket = new WebSocket(url, protocols);
    this.#socket.binaryType = "arraybuffer";
    this.#listen(url);
    wire.opened(this);
  }

  get protocol() {
    return this.#socket?.protocol ?? "";
  }

  send(data) {
    this.#wire.tellFrame("out", data);
    this.#socket.send(data);
  }

  close(code, reason) {
    this.#socket?.close(code, reason);
  }

  cut() {
    this.#wire.closed(this);
    this.#socket.onmessage = this.#socket.onclose = null;
    this.#socket.close(1000);
    this.#wire.tell({ kind: "close", code: LOST, reason: "went offline" });
    this.onclose?.({ code: LOST, reason: "offline" });
  }

  #listen(url) {
    const socket = this.#socket;
    socket.onopen = (event) => {
      this.#wire.tell({ kind: "open", protocol: socket.protocol, path: new URL(url).pathname });
      this.onopen?.(event);
    };
    socket.onmessage = (event) => {
      this.#wire.tellFrame("in", event.data);
      this.onmessage?.(event);
    };
    socket.onclose = (event) => {
      this.#wire.closed(this);
      this.#wire.tell({ kind: "close", code: event.code, reason: event.reason });
      this.onclose?.(event);
    };
    socket.onerror = (event) => this.onerror?.(event);
  }
}
