/** One group: what the user does in it, and the state that follows from what the server tells. `kijimuna.d.ts` says what each part means. */

import { Emitter, namedEvent } from "./emitter.js";
import { KijimunaError } from "./errors.js";
import { Follower } from "./follower.js";
import * as frames from "./frames.js";
import { ACTION, present } from "./frames.js";
import { Gate } from "./gate.js";
import { Outbox } from "./outbox.js";
import { Signals } from "./signals.js";
import { View } from "./view.js";

/** So long after the end of a group what was on its way may still be answered. Mostly it takes the server one write to the disk. */
const GRACE_MS = 5_000;
/** How long a roster that was asked for may take until it may be asked for again. */
const ROSTER_MS = 5_000;
/** How long a first page that wasn't answered is waited with. */
const LOAD_MS = 1_000;

export class Group extends Emitter {
  id;
  #link;
  #settings;
  #status = "joining";
  #view;
  #timeline;
  #follower;
  #outbox;
  #signals;
  #state;
  #willTell = false;
  /** The state that was told last. */
  #told;
  #rosterAskedAt = -Infinity;
  #rosterTimer;
  #loadTimer;
  /** Nothing of the log is held yet, and the newest page is wanted. */
  #isToLoad = false;
  #gate;

  /**
   * @internal
   * @param {string} id
   * @param {import("./chat.js").Link} link
   */
  constructor(id, link) {
    super();
    this.id = id;
    this.#link = link;
    this.#settings = link.settings;
    this.#gate = new Gate(this.#settings.clock, this.#settings.requestTimeout);
    this.#view = new View(this.#settings, {
      user: () => link.user,
      seen: () => this.#follower.seen,
      changed: () => this.#changed(),
      emit: (name, event) => this.#tell(name, event),
      said: (message) => this.#settle(message),
    });
    this.#timeline = this.#view.timeline;
    this.#follower = new Follower(this.#timeline, this.#settings.clock, this.#settings.gapPages, {
      page: (query) => this.history(query),
      begun: () => this.#begins(),
      reset: (why) => this.emit("reset", { why }),
      gap: (why, open) => {
        this.#changed();
        this.emit("gap", { why, open });
      },
      restart: (why) => link.restart(why),
    });
    this.#outbox = new Outbox(this.#settings, {
      send: (data) => link.tell(ACTION.MESSAGE, this.#scoped(data)),
      check: (data) => link.check(ACTION.MESSAGE, this.#scoped(data)),
      pace: link.sends,
      changed: () => this.#changed(),
    });
    this.#signals = new Signals(this.#settings, {
      mark: (data) => this.#mark(data),
      type: (on) => link.tell(ACTION.TYPING, this.#scoped({ k: on })),
    });
  }

  get state() {
    return (this.#state ??= this.#snapshot());
  }

  subscribe(listener) {
    return this.on("change", () => listener());
  }

  messages() {
    return this.events("message");
  }

  send(text, options) {
    if (this.#status === "left") return Promise.reject(left());
    const sent = this.#outbox.add(text, options);
    this.#signals.said();
    return sent;
  }

  retry(clientId) {
    return this.#status === "left" ? Promise.reject(left()) : this.#outbox.retry(clientId);
  }

  discard(clientId) {
    this.#outbox.discard(clientId);
  }

  edit(id, text, { custom } = {}) {
    return this.#change(ACTION.EDIT, () => present({ i: id, m: text, x: frames.customOf(custom) }));
  }

  remove(id) {
    return this.#change(ACTION.DELETE, () => ({ i: id }));
  }

  react(id, key) {
    return this.#change(ACTION.REACTION, () => ({ i: id, k: key, op: "add" }));
  }

  unreact(id, key) {
    return this.#change(ACTION.REACTION, () => ({ i: id, k: key, op: "remove" }));
  }

  read(seq = this.#follower.seen) {
    this.#signals.mark({ read: this.#reached(seq) });
  }

  received(seq = this.#follower.seen) {
    this.#signals.mark({ received: this.#reached(seq) });
  }

  typing(on = true) {
    this.#signals.typing(Boolean(on));
  }

  whisper(custom, to) {
    return this.#ask(ACTION.EPHEMERAL, () => present({ x: frames.customOf(custom), to }), frames.ackOf);
  }

  history({ before, after, limit } = {}) {
    const known = this.#follower.newest;
    const read = (data) => this.#showPage(data, before, after, Math.min(known, this.#follower.newest));
    return this.#ask(ACTION.HISTORY, () => present({ b: before, af: after, l: limit }), read, this.#link.requests);
  }

  older(limit) {
    if (!this.#timeline.more && this.#status !== "joining") return Promise.resolve({ messages: [], more: false });
    return this.history({ before: this.#timeline.floor, limit });
  }

  async closeGaps() {
    await this.#follower.closeGaps();
    return this.#timeline.doubt === 0;
  }

  mute(user, options) {
    return this.#moderate("mute", user, options);
  }

  unmute(user) {
    return this.#moderate("unmute", user);
  }

  kick(user) {
    return this.#moderate("kick", user);
  }

  ban(user, options) {
    return this.#moderate("ban", user, options);
  }

  unban(user) {
    return this.#moderate("unban", user);
  }

  leave() {
    return this.#link.leave(this);
  }

  // From here on what the connection's chat tells the group.

  /** @internal */
  get isLive() {
    return this.#status === "live";
  }

  /** @internal From where to resume, if the group was ever live. */
  resume() {
    return this.#follower.resume();
  }

  /** @internal The server didn't serve the resume: pages must do. */
  resumeFailed(error) {
    this.#follower.resumed(error.code);
    this.#load();
    this.#changed();
  }

  /** @internal */
  welcomed(data) {
    const [epoch, head] = [frames.text(data, "ep"), frames.whole(data, "s")];
    this.#status = "live";
    this.#view.welcomed(frames.maybeText(data.ro) ?? "member", head, frames.maybeWhole(data.mu));
    if (this.#follower.isOther(epoch, head)) this.#forgetOther();
    this.#follower.welcomed(epoch, head);
    this.#outbox.open();
    this.#signals.open(this.#view.marker);
    this.#gate.open();
    this.#changed();
  }

  /** @internal An ack of a message that was said here. */
  acked(data) {
    const ack = frames.ackOf(data);
    if (ack.id === undefined || ack.seq === undefined) return;
    const message = this.#outbox.acked(data.ci, this.#link.user, ack);
    // Unless the message was seen already, it will come, but its sender needn't wait for that.
    if (message && ack.seq > this.#follower.seen) this.#timeline.put(message);
    this.#stored(data.ci, ack);
  }

  /** @internal Answers whether the message is one of this group. */
  refused(clientId, error) {
    return this.#outbox.refused(clientId, error);
  }

  /** @internal The connection is lost. */
  pause() {
    if (this.#status === "left") return;
    if (this.#status === "live") this.#status = "away";
    this.#fallSilent();
    this.#outbox.pause();
    this.#changed();
  }

  /** @internal Nothing comes any more, but for answers, if there is a connection for them. */
  end(error, isConnected) {
    if (this.#status === "left") return;
    this.#fallSilent();
    this.#status = "left";
    this.#view.end();
    this.#outbox.end(error ?? left(), isConnected ? GRACE_MS : 0);
    this.#gate.end(error ?? left());
    this.#state = undefined;
    this.#tellChange();
    this.emit("left", present({ why: error }));
    this.endReaders();
  }

  /** @internal Whether something that was said before the end may still be answered. */
  get isAwaited() {
    return this.#status === "left" && this.#outbox.isAwaited;
  }

  /** @internal The connection is lost after the end: no answer comes, either. */
  giveUp() {
    this.#outbox.end(left());
  }

  /** @internal A frame about this group. */
  receive(action, data) {
    if (!this.isLive) return;
    switch (action) {
      case ACTION.ROSTER:
        this.#settings.clock.clearTimeout(this.#rosterTimer);
        this.#rosterTimer = undefined;
        return this.#view.showRoster(data);
      case ACTION.ROSTER_DELTA:
        if (!this.#view.showRosterDelta(data)) this.#askForRoster();
        return;
      case ACTION.MARKER:
        return this.#view.showMarker(data);
      case ACTION.TYPING:
        return this.#view.showTyping(data);
      case ACTION.EPHEMERAL:
        return this.#view.showWhisper(data);
      case ACTION.RESUME:
        this.#follower.resumed(data.ok === true ? undefined : (frames.maybeText(data.why) ?? "unknown"));
        this.#load();
        return this.#changed();
      default:
        if (data.s !== undefined) this.#follower.receive(frames.whole(data, "s"), this.#view.event(action, data));
    }
  }

  #fallSilent() {
    this.#gate.shut();
    this.#stopAsking();
    this.#follower.pause();
    this.#signals.pause();
    this.#view.forgetTyping();
  }

  #tell(name, event) {
    if (name === "marker" && event.user === this.#link.user) this.#signals.known(event);
    this.emit(name, event);
    if (name === "message") this.#link.message(event, this);
  }

  /** @internal Who reads everything, of this group or of the connection, gets each event with its group. */
  emit(name, event) {
    super.emit(name, event);
    const whole = { type: name, group: this, ...namedEvent(name, event) };
    this.emitWhole(whole);
    this.#link.happened(whole);
  }

  /** One's own message that is seen is stored, even if its ack was lost. */
  #settle({ own, clientId, id, seq, time }) {
    if (own && clientId !== undefined) this.#stored(clientId, { id, seq, time, duplicate: false });
  }

  #stored(clientId, ack) {
    if (this.#outbox.stored(clientId, ack)) this.#view.acked(ack.seq);
  }

  /** A page, in the part of the log that it stands for. What came after it was asked for may not be in it. */
  #showPage(data, before, after, known) {
    const seqs = frames.list(data, "h").map((message) => frames.whole(message, "s"));
    const [first, last, more] = [seqs[0], seqs.at(-1), data.more === true];
    const seqOf = (edge) => (typeof edge === "string" ? this.#timeline.get(edge)?.seq : edge);
    // Where an empty page lies, next to a message that isn't held, isn't known; then nothing of it is true.
    if (after !== undefined) {
      return this.#view.showPage(data, { lower: (seqOf(after) ?? first - 1) + 1, upper: more ? last + 1 : Infinity, known });
    }
    const upper = before === undefined ? Infinity : (seqOf(before) ?? last + 1);
    return this.#view.showPage(data, { lower: more ? first : 1, upper, known });
  }

  /** The newest messages of a log of which nothing is held. */
  async #load() {
    if (!this.#isToLoad || !this.#timeline.more) return;
    this.#isToLoad = false;
    try {
      await this.older(this.#settings.history);
    } catch (error) {
      if (!error.temporary) return this.#report(error);
      // It is asked for again after a while, or with the next connection.
      this.#isToLoad = true;
      if (this.isLive) this.#loadTimer = this.#settings.clock.setTimeout(() => this.#load(), error.retryAfter ?? LOAD_MS);
    }
  }

  #begins() {
    this.#isToLoad = this.#settings.history > 0;
    this.#load();
  }

  /** What was known of people is of another group. */
  #forgetOther() {
    this.#view.forgetPeople();
    this.#signals.reset();
  }

  /** A sequence as a marker. What is beyond the newest the server refuses. */
  #reached(seq) {
    if (frames.maybeWhole(seq) === undefined) throw new KijimunaError("invalid", "a sequence is a whole number");
    return Math.min(seq, this.#follower.newest);
  }

  /** A change of the roster is missing. It is asked for now, or as soon as it may be again. */
  #askForRoster() {
    const { clock } = this.#settings;
    const wait = this.#rosterAskedAt + ROSTER_MS - clock.now();
    if (wait > 0) {
      this.#rosterTimer ??= clock.setTimeout(() => {
        this.#rosterTimer = undefined;
        if (this.isLive) this.#askForRoster();
      }, wait);
      return;
    }
    this.#rosterAskedAt = clock.now();
    this.#link.tell(ACTION.ROSTER, this.#scoped({}));
  }

  #stopAsking() {
    this.#settings.clock.clearTimeout(this.#rosterTimer);
    this.#settings.clock.clearTimeout(this.#loadTimer);
    this.#rosterTimer = undefined;
  }

  async #mark(data) {
    try {
      await this.#ask(ACTION.MARKER, () => data, frames.ackOf);
    } catch (error) {
      this.#report(error);
      throw error;
    }
  }

  #change(action, data) {
    return this.#ask(action, data, frames.ackOf, this.#link.sends);
  }

  #moderate(op, user, { until } = {}) {
    return this.#ask(ACTION.MODERATION, () => present({ op, u: user, until: endOf(until) }), frames.ackOf, this.#link.sends);
  }

  /** Asks as soon as the group is live. `data` is made at once, so that a later change of it changes nothing. */
  async #ask(action, data, read, pace) {
    const scoped = this.#scoped(data());
    const opening = this.#gate.pass();
    if (opening) await opening;
    return this.#link.ask(action, scoped, read, pace);
  }

  /** On a connection for one group its frames needn't name it. */
  #scoped(data) {
    return this.#link.isScoped ? data : { g: this.id, ...data };
  }

  /** What nobody waits for. A lost connection isn't worth a word: it comes back. */
  #report(error) {
    if (!error.temporary && error.code !== "left") this.#link.report(error);
  }

  /** The state is another one. Whoever listens hears of it once for all that came together. */
  #changed() {
    this.#state = undefined;
    if (this.#willTell) return;
    this.#willTell = true;
    queueMicrotask(() => {
      this.#willTell = false;
      this.#tellChange();
    });
  }

  #tellChange() {
    if (this.#told === this.state) return;
    this.#told = this.state;
    this.emit("change", this.state);
  }

  #snapshot() {
    const { messages, ...view } = this.#view.state;
    const all = [...messages, ...this.#outbox.messages(this.#link.user)];
    return Object.freeze(
      present({ status: this.#status, messages: all, ...view, seq: this.#follower.seen, epoch: this.#follower.epoch }),
    );
  }
}

/** When a mute or a ban ends. A time that is none must not become one that never comes. */
function endOf(until) {
  if (until === undefined || until === null) return undefined;
  const ms = typeof until === "object" ? Number(until) : until;
  if (frames.maybeWhole(ms) === undefined) throw new KijimunaError("invalid", "until must be a Date or whole Unix milliseconds");
  return ms;
}

function left() {
  return new KijimunaError("left", "the group is left");
}
