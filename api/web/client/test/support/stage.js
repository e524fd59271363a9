/** A client without network, clock and chance: a test plays the server, and says when time passes. */

import { connect } from "../../kijimuna.js";
import { ENCODINGS } from "../../frames.js";

/** Everything that promises have to do is done. */
export function settled() {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Time that passes when a test says so. */
export class Clock {
  ms = 0;
  #timers = new Set();

  now = () => this.ms;

  setTimeout = (callback, ms) => {
    const timer = { at: this.ms + ms, callback };
    this.#timers.add(timer);
    return timer;
  };

  clearTimeout = (timer) => this.#timers.delete(timer);

  get waiting() {
    return this.#timers.size;
  }

  /** Lets time pass, and everything happen that is due. */
  async pass(ms) {
    const end = this.ms + ms;
    for (let next = this.#next(end); next; next = this.#next(end)) {
      this.#timers.delete(next);
      this.ms = Math.max(this.ms, next.at);
      next.callback();
      await settled();
    }
    this.ms = end;
  }

  #next(end) {
    const due = [...this.#timers].filter(({ at }) => at <= end);
    return due.sort((one, other) => one.at - other.at)[0];
  }
}

/** One socket, from both sides. */
class Socket {
  protocol = "";
  binaryType = "blob";
  onopen = null;
  onmessage = null;
  onclose = null;
  onerror = null;
  isOpen = false;
  closedWith = undefined;
  sent = [];

  constructor(url, protocols, encoding) {
    this.url = url;
    this.offered = protocols;
    this.encoding = encoding;
    this.token = decodeURIComponent(url.split("/").at(-1));
  }

  send(data) {
    if (!this.isOpen) throw new Error("a frame is sent on a socket that isn't open");
    const frame = this.encoding.decode(data);
    this.sent.push(frame);
    this.onsent?.(frame);
  }

  close(code) {
    this.isOpen = false;
    this.closedWith = code;
    this.onclosed?.();
  }

  // What the server does.

  open(protocol = this.offered[0]) {
    this.protocol = protocol;
    this.isOpen = true;
    this.onopen?.({});
  }

  say(...frames) {
    for (const frame of frames) this.sayRaw(this.encoding.encode(frame));
  }

  sayRaw(data) {
    this.onmessage?.({ data: data instanceof Uint8Array ? data.slice().buffer : data });
  }

  fail() {
    this.isOpen = false;
    this.onerror?.({});
  }

  end(code = 1006, reason = "") {
    this.isOpen = false;
    this.onclose?.({ code, reason });
  }
}

export const LIMITS = { frame: 65536, message: 16384, custom: 4096, send: 0, request: 0, signal: 0, groups: 1000, replay: 1000 };

/** A client with a test for a server. */
export class Stage {
  clock = new Clock();
  sockets = [];
  states = [];
  errors = [];
  tickets = 0;

  constructor({ token = "token", encoding = "json", ...options } = {}) {
    const stage = this;
    const WebSocket = class extends Socket {
      constructor(url, protocols) {
        super(url, protocols, ENCODINGS[encoding]);
        stage.sockets.push(this);
        stage.onsocket?.(this);
      }
    };
    const { now, setTimeout, clearTimeout } = this.clock;
    let made = 0;
    this.chat = connect("ws://server", token, {
      encoding,
      WebSocket,
      now,
      setTimeout,
      clearTimeout,
      unixNow: now,
      random: () => 0.5,
      makeId: () => `ci-${++made}`,
      history: 0,
      onState: (state) => this.states.push(state),
      onError: (error) => this.errors.push(error),
      ...options,
    });
  }

  get socket() {
    return this.sockets.at(-1);
  }

  get statuses() {
    return this.states.map(({ status }) => status);
  }

  /** What the client sent since this was asked last, without the numbers of its requests. */
  sent() {
    return this.socket.sent.splice(0).map(({ r, ...frame }) => frame);
  }

  /** The last frame of an action that the client sent, with its number. */
  asked(action) {
    return this.socket.sent.findLast(({ a }) => a === action);
  }

  /** The frames that a server begins a connection with. */
  welcome({ user = "alice", group, seq = 0, epoch = "e1", ticket = `tk-${++this.tickets}`, limits = {}, ...more } = {}) {
    const about = group === undefined ? {} : { g: group, ep: epoch, s: seq, ro: "member" };
    return { a: 0, d: { v: 2, u: user, ...about, hb: 25_000, lim: { ...LIMITS, ...limits }, tk: ticket, exp: 9e12, ...more } };
  }

  /** The socket opens and is welcomed. */
  async accept(welcome = {}) {
    await settled();
    this.socket.open();
    this.socket.say(this.welcome(welcome));
    await settled();
  }

  /** The client is in its one group. */
  async inLobby(welcome = {}) {
    await this.accept({ group: "lobby", ...welcome });
    this.lobby = await this.chat.group;
    this.sent();
    return this.lobby;
  }

  async hear(...frames) {
    this.socket.say(...frames);
    await settled();
  }

  /** The connection is lost, and the client has come back as far as a new socket. */
  async lose(code, reason) {
    this.socket.end(code, reason);
    await this.clock.pass(this.chat.state.retryIn ?? 0);
  }
}

/** A client in the group "lobby" on a connection for it alone. */
export async function inLobby(options, welcome) {
  const stage = new Stage(options);
  const lobby = await stage.inLobby(welcome);
  return { stage, lobby, chat: stage.chat, clock: stage.clock };
}

/** A message as the server tells it. */
export function message(seq, { text = `m${seq}`, user = "bob", ...more } = {}) {
  return { a: 2, d: { g: "lobby", i: `id${seq}`, s: seq, t: 1000 + seq, p: user, m: text, ...more } };
}

/** The same as a part of a page. */
export function paged(seq, details) {
  const { g, ...data } = message(seq, details).d;
  return data;
}

/** The texts that a state shows. */
export function texts(group) {
  return group.state.messages.map(({ text }) => text);
}

/** What a promise is rejected with, as its code. */
export async function codeOf(promise) {
  try {
    await promise;
  } catch (error) {
    return error.code;
  }
  return "no error";
}
