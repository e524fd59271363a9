/** A connection with its groups: frames are handed to who they are for, and groups are joined and joined again. */

import { Connection } from "./connection.js";
import { Emitter, namedEvent } from "./emitter.js";
import { KijimunaError, RATE_LIMITED, closeOf, refusalOf } from "./errors.js";
import * as frames from "./frames.js";
import { ACTION, ENCODINGS } from "./frames.js";
import { Gate } from "./gate.js";
import { Group } from "./group.js";
import { Pace } from "./pace.js";
import { Requests } from "./requests.js";

/** How long a join waits that was refused for a while, when the server doesn't say. */
const REJOIN_MS = 1_000;
/** As a WebSocket that closes without a code has it. */
const NO_CODE = 1005;

/**
 * What a group needs of its connection.
 * @typedef {object} Link
 * @property {object} settings
 * @property {string} user
 * @property {boolean} isScoped the connection is for one group
 * @property {Pace} sends of what is for the log: messages and their changes, moderation
 * @property {Pace} requests of what is to be read
 * @property {(a: number, d: object) => void} tell sends what isn't answered
 * @property {(a: number, d: object, read: (data: any) => any, pace?: Pace) => Promise<any>} ask
 * @property {(a: number, d: object) => void} check throws for what can't be sent
 * @property {(group: Group) => Promise<void>} leave
 * @property {(message: object, group: Group) => void} message
 * @property {(event: object) => void} happened anything in the group
 * @property {(why: string) => void} restart
 * @property {(error: KijimunaError) => void} report
 */

export class Chat extends Emitter {
  #settings;
  #connection;
  #requests;
  #gate;
  #groups = new Map();
  /** Groups that are over, in which something that was said may still be answered. */
  #departed = new Set();
  /** What each join resolves with, by group. */
  #joins = new Map();
  /** Timers of joins that were refused for a while. */
  #returns = new Set();
  #user = "";
  #limits;
  #isScoped;
  #ready = promised();
  #home = promised();
  #sends;
  #pages;

  constructor(url, token, settings) {
    super();
    this.#settings = settings;
    this.#requests = new Requests(settings.clock, settings.requestTimeout);
    this.#gate = new Gate(settings.clock, settings.requestTimeout);
    this.#sends = new Pace(settings.clock);
    this.#pages = new Pace(settings.clock);
    this.#connection = new Connection(url, token, ENCODINGS[settings.encoding], settings, {
      opened: () => this.#resumeHome(),
      frame: (frame) => this.#receive(frame),
      lost: (error, forGood) => this.#lost(error, forGood),
      state: (state) => this.#tellState(state),
      error: (error) => this.emit("error", error),
      probe: () => this.#probe(),
    });
    const { onMessage, onState, onError } = settings;
    if (onMessage) this.on("message", ({ message, group }) => onMessage(message, group));
    if (onState) this.on("state", onState);
    if (onError) this.on("error", onError);
    this.#connection.open();
  }

  /** @internal Who reads everything gets this, and from the groups what happens in them. */
  emit(name, event) {
    super.emit(name, event);
    this.emitWhole({ type: name, ...namedEvent(name, event) });
  }

  get state() {
    return this.#connection.state;
  }

  get user() {
    return this.#user;
  }

  get limits() {
    return this.#limits;
  }

  get ready() {
    return this.#ready.promise;
  }

  get group() {
    return this.#home.promise;
  }

  get groups() {
    return new Map(this.#groups);
  }

  async join(id) {
    if (typeof id !== "string" || id === "") throw new KijimunaError("invalid", "a group's id is a text");
    await this.ready;
    if (this.state.status === "closed") throw closed();
    if (this.#isScoped) return this.#onlyGroup(id);
    if (!this.#joins.has(id)) {
      this.#joins.set(id, promised());
      this.#groups.set(id, new Group(id, this.#link()));
      if (this.#connection.isLive) this.#enter(id);
    }
    return this.#joins.get(id).promise;
  }

  async inbox(limit) {
    return this.#ask(ACTION.INBOX, frames.present({ l: limit }), frames.inboxOf, this.#pages);
  }

  wake() {
    this.#connection.wake();
  }

  close({ leave = false } = {}) {
    if (leave && this.#connection.isLive) {
      for (const id of this.#groups.keys()) this.#tell(ACTION.JOIN, this.#isScoped ? { op: "leave" } : { g: id, op: "leave" });
    }
    this.#connection.close(closed());
  }

  async #onlyGroup(id) {
    const group = await this.group;
    if (group.id === id) return group;
    throw new KijimunaError("group_scoped", `this connection is for the group ${group.id} alone`);
  }

  // Frames.

  #receive(frame) {
    const { a, r, d } = frame;
    switch (a) {
      case ACTION.WELCOME:
        this.#welcomed(d);
        break;
      case ACTION.ACK:
        if (d.ci !== undefined) for (const group of this.#groupsOf(d.g)) group.acked(d);
        break;
      case ACTION.JOIN:
        if (d.op === "leave") this.#takenOut(d);
        break;
      case ACTION.TICKET:
        this.#connection.keepTicket(d.tk);
        break;
      case ACTION.DRAIN:
        this.#drains(d);
        break;
      case ACTION.ERROR:
        if (!this.#requests.settle(frame)) this.#refused(d);
        return;
      case ACTION.INBOX:
        if (!this.#requests.settle(frame)) this.emit("inbox", frames.inboxOf(d));
        return;
      default:
        this.#groups.get(d.g)?.receive(a, d);
    }
    if (r !== undefined) this.#requests.settle(frame);
  }

  #welcomed(data) {
    // Terms are only in a connection's first welcome. One into a group answers a join, which it is handed to.
    if (data.tk === undefined && data.hb === undefined) return;
    const [user, home] = [frames.text(data, "u"), data.g === undefined ? undefined : frames.text(data, "g")];
    if (this.#isSame(user, home)) this.#begin(user, home, data);
  }

  /** Whether a token opened a connection as the ones before it. */
  #isSame(user, home) {
    if (this.#isScoped === undefined) return true;
    const [known] = this.#isScoped ? this.#groups.keys() : [undefined];
    if (user === this.#user && home === known) return true;
    this.#connection.close(new KijimunaError("invalid", "the token is of another user or group than the one before"));
    return false;
  }

  #begin(user, home, data) {
    this.#user = user;
    this.#limits = Object.freeze({ ...data.lim });
    this.#isScoped = home !== undefined;
    this.#sends.begin(frames.maybeNumber(this.#limits.send) ?? 0);
    this.#pages.begin(frames.maybeNumber(this.#limits.request) ?? 0);
    this.#connection.welcomed(data);
    // Whoever heard of that may have closed it.
    if (!this.#connection.isLive) return;
    this.#gate.open();
    this.#ready.resolve(this);
    if (this.#isScoped) this.#welcomedHome(home, data);
    else {
      this.#home.reject(new KijimunaError("user_scoped", "this connection is for no group alone: join one"));
      for (const id of this.#groups.keys()) this.#enter(id);
    }
  }

  #welcomedHome(id, data) {
    if (!this.#groups.has(id)) this.#groups.set(id, new Group(id, this.#link()));
    this.#groups.get(id).welcomed(data);
    this.#home.resolve(this.#groups.get(id));
  }

  /** On a connection for one group the first frame asks for what was missed: live events wait for it, but not for long. */
  #resumeHome() {
    if (!this.#isScoped) return;
    for (const group of this.#groups.values()) {
      const point = group.resume();
      if (!point) continue;
      this.#askNow(ACTION.RESUME, point, () => undefined).catch((error) => {
        if (error.code === "timeout") this.#connection.restart("the resume isn't answered");
        else if (group.isLive) group.resumeFailed(error);
      });
    }
  }

  /** Comes into a group, or comes back, unless it is left meanwhile. */
  async #enter(id) {
    const group = this.#groups.get(id);
    const isWanted = () => this.#groups.get(id) === group;
    try {
      await this.#turn(this.#pages);
      if (!isWanted()) return this.#pages.unused();
      const join = { g: id, op: "join", ...group.resume() };
      await this.#inTurn(this.#pages, this.#askNow(ACTION.JOIN, join, (welcome) => isWanted() && group.welcomed(welcome)));
      if (isWanted()) this.#joins.get(id)?.resolve(group);
    } catch (error) {
      if (error.code === "disconnected" || !isWanted()) return;
      // Whether it is in there the server and the client must agree on.
      if (error.code === "timeout" || error.code === "already_joined") this.#connection.restart("it isn't clear whether a group is joined");
      else if (error.temporary) this.#enterLater(group, error.retryAfter ?? REJOIN_MS);
      else this.#end(group, error);
    }
  }

  /** If the connection is lost before that, the next one joins everything. */
  #enterLater(group, ms) {
    const { clock } = this.#settings;
    const timer = clock.setTimeout(() => {
      this.#returns.delete(timer);
      if (this.#groups.get(group.id) === group) this.#enter(group.id);
    }, ms);
    this.#returns.add(timer);
  }

  /** The server took the user out of a group. */
  #takenOut({ g, c }) {
    const group = this.#groups.get(g);
    if (!group) return;
    const error = closeOf(frames.maybeWhole(c) ?? NO_CODE, "the server took the user out of the group");
    if (!error.temporary) return this.#end(group, error);
    group.pause();
    this.#enterLater(group, this.#settings.clock.random() * this.#settings.backoffBase);
  }

  #drains({ w, tk }) {
    const wait = frames.maybeNumber(w) ?? 0;
    this.#connection.keepTicket(tk);
    this.#connection.drains(wait);
    this.emit("drain", { wait });
  }

  #refused(data) {
    const error = refusalOf(data);
    const isKnown = data.ci !== undefined && this.#groupsOf(data.g).some((group) => group.refused(data.ci, error));
    if (!isKnown) this.emit("error", error);
  }

  /** Where an answer may belong to: all groups, or those of this id. */
  #groupsOf(id) {
    return [...this.#groups.values(), ...this.#departed].filter((group) => id === undefined || group.id === id);
  }

  // What is sent.

  #tell(a, d) {
    this.#connection.send({ a, ...dataOf(d) });
  }

  async #ask(a, d, read, pace) {
    const turn = this.#turn(pace);
    if (turn) await turn;
    return pace ? this.#inTurn(pace, this.#askNow(a, d, read)) : this.#askNow(a, d, read);
  }

  /** Something is asked whose turn it was. */
  async #inTurn(pace, asked) {
    try {
      return await asked;
    } catch (error) {
      if (error.code === RATE_LIMITED) pace.exhausted();
      throw error;
    } finally {
      pace.answered();
    }
  }

  /** Nothing when something can be asked for now, else a promise of that. */
  #turn(pace) {
    const opening = this.#gate.pass();
    return opening ? opening.then(() => pace?.turn()) : pace?.turn();
  }

  #askNow(a, d, read) {
    return this.#requests.ask((r) => this.#connection.send({ a, r, ...dataOf(d) }), read);
  }

  /** Something that the server answers, whatever it answers. */
  #probe() {
    const group = [...this.#groups.values()].find(({ isLive }) => isLive);
    const marker = this.#isScoped ? { rc: 0 } : { g: group?.id, rc: 0 };
    const asked = group ? this.#askNow(ACTION.MARKER, marker, () => {}) : this.#askNow(ACTION.INBOX, { l: 1 }, () => {});
    asked.catch(() => {});
  }

  async #leave(group) {
    // Another one of that id isn't this one's to leave.
    if (this.#groups.get(group.id) !== group) return;
    if (this.#isScoped) return this.close({ leave: true });
    this.#end(group);
    while (this.#connection.isLive) {
      const refused = await this.#leaveNow(group.id);
      // Who has joined it again meanwhile doesn't leave that.
      if (refused === undefined || this.#groups.has(group.id)) return;
      await new Promise((resolve) => this.#settings.clock.setTimeout(resolve, refused.retryAfter ?? REJOIN_MS));
    }
  }

  /** What leaves counts as what is asked for. Answers a refusal that is for a while. */
  async #leaveNow(g) {
    try {
      const turn = this.#pages.turn();
      if (turn) await turn;
      await this.#inTurn(this.#pages, this.#askNow(ACTION.JOIN, { g, op: "leave" }, frames.ackOf));
    } catch (error) {
      if (error.code === RATE_LIMITED) return error;
      // It wasn't in there yet, or is no more with the connection that was lost.
      if (error.code !== "not_joined" && error.code !== "disconnected") throw error;
    }
    return undefined;
  }

  // The life of the connection.

  #lost(error, forGood) {
    const lost = forGood ? error : new KijimunaError("disconnected", "the connection was lost", { temporary: true, cause: error });
    this.#gate.shut();
    this.#requests.fail(lost);
    for (const pace of [this.#sends, this.#pages]) pace.stop(lost);
    for (const timer of this.#returns) this.#settings.clock.clearTimeout(timer);
    this.#returns.clear();
    for (const group of this.#groups.values()) group.pause();
    for (const group of this.#departed) group.giveUp();
    this.#departed.clear();
    if (!forGood) return;
    this.#gate.end(error);
    for (const group of [...this.#groups.values()]) this.#end(group, error);
    for (const promise of [this.#ready, this.#home]) promise.reject(error);
  }

  #tellState(state) {
    this.emit("state", state);
    if (state.status === "closed") this.endReaders();
  }

  /** A group is over. */
  #end(group, error) {
    this.#groups.delete(group.id);
    this.#joins.get(group.id)?.reject(error ?? new KijimunaError("left", "the group is left"));
    this.#joins.delete(group.id);
    group.end(error, this.#connection.isLive);
    for (const one of [...this.#departed, group]) this.#departed[one.isAwaited ? "add" : "delete"](one);
  }

  /** @returns {Link} */
  #link() {
    const chat = this;
    return {
      settings: this.#settings,
      sends: this.#sends,
      requests: this.#pages,
      get user() {
        return chat.#user;
      },
      get isScoped() {
        return chat.#isScoped === true;
      },
      tell: (a, d) => this.#tell(a, d),
      ask: (a, d, read, pace) => this.#ask(a, d, read, pace),
      check: (a, d) => this.#connection.written({ a, d }),
      leave: (group) => this.#leave(group),
      message: (message, group) => super.emit("message", { message, group }),
      happened: (event) => this.emitWhole(event),
      restart: (why) => this.#connection.restart(why),
      report: (error) => this.emit("error", error),
    };
  }
}

/** The data of a frame, if there is any. */
function dataOf(data) {
  return Object.keys(data).length > 0 ? { d: data } : {};
}

/** A promise that is settled elsewhere. Nobody must wait for it. */
function promised() {
  let settle;
  const promise = new Promise((resolve, reject) => (settle = { resolve, reject }));
  promise.catch(() => {});
  return { promise, ...settle };
}

function closed() {
  return new KijimunaError("closed", "the connection is closed");
}
