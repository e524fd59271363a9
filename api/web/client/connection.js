/**
 * The life of the socket: it is opened with a token or a ticket, watched, and opened again when it ends, unless its close code says that this
 * is of no use. What the frames mean is others' business.
 */

import { KijimunaError, closeOf } from "./errors.js";
import { maybeNumber, readFrame } from "./frames.js";

const TOKEN_INVALID = 4501;
/** Bytes of a frame until a welcome says otherwise. */
const FRAME_BYTES = 65_536;
/** Whatever a welcome says: below these nothing could be said, or nothing else would be done than asking for signs of life. */
const FRAME_BYTES_LEAST = 1_024;
const HEARTBEAT_LEAST = 1_000;
/** The longest that a drain is believed: who errs here would stay away for weeks. */
const DRAIN_LONGEST = 600_000;
/** The waits don't double for ever. */
const DOUBLINGS_MAX = 30;

/**
 * @typedef {object} Handlers
 * @property {() => void} opened the socket is open, nothing was heard yet
 * @property {(frame: {a: number, r?: number, d: any}) => void} frame
 * @property {(error: KijimunaError, forGood: boolean) => void} lost the socket is gone
 * @property {(state: object) => void} state
 * @property {(error: KijimunaError) => void} error
 * @property {() => void} probe something must be sent that the server answers
 */

export class Connection {
  #url;
  #token;
  #settings;
  #clock;
  #encoding;
  /** @type {Handlers} */
  #handlers;
  #socket;
  #state = { status: "connecting", failures: 0 };
  /** Opens the next socket, once. */
  #ticket;
  #usesTicket = false;
  /** It is closed for good, or about to be. */
  #isOver = false;
  #failures = 0;
  #frameBytes = FRAME_BYTES;
  #heartbeat;
  #heardAt = 0;
  /** What the server said to wait, once. */
  #drainWait;
  #timers = {};
  /** Tells an answer of the token function that is too late. */
  #tries = 0;

  constructor(url, token, encoding, settings, handlers) {
    this.#url = url;
    this.#token = token;
    this.#encoding = encoding;
    this.#settings = settings;
    this.#clock = settings.clock;
    this.#handlers = handlers;
  }

  get state() {
    return this.#state;
  }

  get isLive() {
    return this.#state.status === "live" && this.#socket !== undefined;
  }

  /** Tries to open a socket, now. */
  async open() {
    const tried = ++this.#tries;
    this.#clearTimers();
    this.#setState("connecting");
    // Whoever heard of that may have closed it.
    if (tried !== this.#tries) return;
    this.#later("connect", this.#settings.connectTimeout, () => this.#end(lost("the connection took too long")));
    let key;
    try {
      key = this.#ticket ?? (await this.#freshToken());
    } catch (error) {
      if (tried === this.#tries) this.#end(error);
      return;
    }
    if (tried !== this.#tries) return;
    this.#usesTicket = this.#ticket !== undefined;
    try {
      this.#attach(new this.#settings.WebSocket(`${this.#url}/ws/connects/${encodeURIComponent(key)}`, [this.#encoding.protocol]));
    } catch (error) {
      this.#end(new KijimunaError("invalid", `the URL can't be connected to: ${error.message}`, { cause: error }));
    }
  }

  /** The welcome came. `terms` has its `hb`, `lim` and `tk`. */
  welcomed({ hb, lim, tk }) {
    this.#cancel("connect");
    if (maybeNumber(lim?.frame) > 0) this.#frameBytes = Math.max(lim.frame, FRAME_BYTES_LEAST);
    this.#heartbeat = maybeNumber(hb) > 0 ? Math.max(hb, HEARTBEAT_LEAST) : 0;
    // What an earlier connection was told is of no meaning any more.
    this.#drainWait = undefined;
    this.keepTicket(tk);
    this.#later("stable", this.#settings.stableAfter, () => (this.#failures = 0));
    this.#watch();
    this.#setState("live");
  }

  keepTicket(ticket) {
    if (typeof ticket === "string" && ticket !== "") this.#ticket = ticket;
  }

  /** The server will close soon, and says how long to wait then. */
  drains(wait) {
    this.#drainWait = Math.min(Math.max(wait, 0), DRAIN_LONGEST);
  }

  /** Sends a frame, or throws if it is too large, which would close the connection for good, or can't be written. */
  send(frame) {
    const written = this.written(frame);
    if (!this.#socket) throw lost("there is no connection");
    this.#socket.send(written);
  }

  /** A frame as it goes over the wire. */
  written(frame) {
    const written = this.#encoding.encode(frame);
    const bytes = this.#encoding.size(written);
    if (bytes > this.#frameBytes) {
      throw new KijimunaError("frame_too_large", `${bytes} bytes are more than the ${this.#frameBytes} of a frame`);
    }
    return written;
  }

  /** Gives this socket up and comes back: something went wrong that a resume puts right. */
  restart(why) {
    if (this.#socket) this.#end(lost(why));
  }

  /** Doesn't wait any longer. */
  wake() {
    if (this.#state.status === "waiting") this.open();
  }

  close(error) {
    if (!this.#isOver) this.#end(error);
  }

  /** Asks for a token. Unless the error says that it isn't temporary, another try is worth it. */
  async #freshToken() {
    if (typeof this.#token !== "function") return this.#token;
    try {
      const token = await this.#token();
      if (typeof token !== "string" || token === "") throw new Error("it is no text");
      return token;
    } catch (error) {
      const temporary = error?.temporary !== false;
      throw new KijimunaError("token_failed", `there is no token: ${error?.message ?? error}`, { temporary, cause: error });
    }
  }

  #attach(socket) {
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.#opened(socket.protocol);
    socket.onmessage = ({ data }) => this.#heard(data);
    socket.onclose = ({ code, reason }) => this.#closed(code, reason);
    socket.onerror = () => this.#failed();
  }

  /** Mostly the close follows in the same breath, and its code says more. Some sockets that weren't let in never tell of one. */
  #failed() {
    if (!this.#timers.error) this.#later("error", 0, () => this.#end(lost("the socket failed")));
  }

  #opened(protocol) {
    if (protocol !== this.#encoding.protocol) {
      this.#end(new KijimunaError("not_version_2", "the server doesn't speak version 2 of the protocol"));
      return;
    }
    // It is used up now, whatever becomes of the connection.
    this.#ticket = undefined;
    this.#heardAt = this.#clock.now();
    this.#handlers.opened();
  }

  #heard(data) {
    this.#heardAt = this.#clock.now();
    this.#cancel("pong");
    try {
      this.#handlers.frame(readFrame(this.#encoding, data));
    } catch (error) {
      this.#handlers.error(error instanceof KijimunaError ? error : unserved(error));
    }
  }

  #closed(code, reason) {
    this.#cancel("error");
    const error = closeOf(code, reason);
    if (code === TOKEN_INVALID && this.#usesTicket && typeof this.#token === "function") {
      this.#ticket = undefined;
      this.#drop(error, false);
      this.open();
      return;
    }
    this.#end(error);
  }

  /** This socket is over. Comes back after a while, or not. */
  #end(error) {
    this.#tries += 1;
    this.#isOver = !error.temporary;
    this.#clearTimers();
    this.#drop(error, !error.temporary);
    if (error.temporary) this.#wait(error);
    else this.#setState("closed", { why: error });
  }

  /** Takes leave of the socket, which may take its time to close. */
  #drop(error, forGood) {
    const socket = this.#socket;
    this.#socket = undefined;
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.onerror = () => {};
      socket.close(1000);
    }
    this.#handlers.lost(error, forGood);
  }

  #wait(error) {
    const { backoffBase, backoffMax } = this.#settings;
    const longest = Math.min(backoffMax, backoffBase * 2 ** Math.min(this.#failures, DOUBLINGS_MAX));
    // Full jitter: those who lost their connections together don't come back together.
    const retryIn = this.#drainWait ?? Math.round(this.#clock.random() * longest);
    this.#drainWait = undefined;
    this.#failures += 1;
    this.#later("wait", retryIn, () => this.open());
    this.#setState("waiting", { why: error, retryIn });
  }

  #setState(status, details = {}) {
    this.#state = Object.freeze({ status, failures: this.#failures, ...details });
    this.#handlers.state(this.#state);
  }

  /** A browser doesn't tell of the server's pings, and a dead network not of itself: after silence a sign of life is asked for. */
  #watch() {
    if (!(this.#heartbeat > 0)) return;
    const silent = Math.max(0, this.#clock.now() - this.#heardAt);
    if (silent >= this.#heartbeat && !this.#timers.pong) {
      this.#later("pong", this.#settings.pongTimeout, () => this.restart("the server was silent for too long"));
      this.#handlers.probe();
    }
    this.#later("watch", silent >= this.#heartbeat ? this.#heartbeat : this.#heartbeat - silent, () => this.#watch());
  }

  #later(name, ms, callback) {
    this.#cancel(name);
    this.#timers[name] = this.#clock.setTimeout(() => {
      delete this.#timers[name];
      callback();
    }, ms);
  }

  #cancel(name) {
    this.#clock.clearTimeout(this.#timers[name]);
    delete this.#timers[name];
  }

  #clearTimers() {
    for (const name of Object.keys(this.#timers)) this.#cancel(name);
  }
}

/** A frame that nobody thought of does no more harm than one that can't be read. */
function unserved(cause) {
  return new KijimunaError("malformed_frame", `a frame can't be served: ${cause.message}`, { temporary: true, cause });
}

function lost(message) {
  return new KijimunaError("disconnected", message, { temporary: true });
}
