/**
 * A model of a server with one group, as the protocol page has it: a log, messages as they stand now, and one connection of alice's. Frames
 * lie in two queues until a test lets them arrive.
 */
export class Server {
  log = [];
  messages = new Map();
  epoch = 1;
  /** Frames on their way to the server, and to the client. */
  up = [];
  down = [];
  #session;
  #byClientId = new Map();
  /** Events up to here aren't kept. */
  #cutAt = 0;

  /** @param {{replayMax: number, pageMax: number, ahead: (most: number) => number}} limits `ahead`: how many events a page overtakes */
  constructor(limits) {
    this.limits = limits;
  }

  get head() {
    return this.log.length;
  }

  get isConnected() {
    return this.#session !== undefined;
  }

  /** The client opens a socket. */
  accept(socket, welcome) {
    this.up = [];
    this.down = [];
    this.#session = { socket, joinedAt: this.head, held: [], isHolding: true };
    socket.onsent = (frame) => this.up.push(frame);
    socket.onclosed = () => this.#forget(socket);
    socket.open();
    this.down.push({ a: 0, d: { ...welcome.d, g: "lobby", ep: `e${this.epoch}`, s: this.head, ro: "member" } });
  }

  /** The connection is lost, with whatever was on its way. */
  lose() {
    const { socket } = this.#session;
    this.#forget(socket);
    socket.end(1006);
  }

  #forget(socket) {
    if (this.#session?.socket !== socket) return;
    this.#session = undefined;
    this.up = [];
    this.down = [];
  }

  /** One frame arrives at the server. */
  arriveUp() {
    const frame = this.up.shift();
    if (frame && this.#session) this.#serve(frame);
  }

  /** One frame arrives at the client. `fate` may lose it or have it arrive twice. */
  arriveDown(fate = "arrives") {
    const frame = this.down.shift();
    if (!frame || !this.#session || fate === "lost") return;
    this.#session.socket.say(frame);
    if (fate === "twice") this.#session?.socket.say(frame);
  }

  /** The client took too long for its first word. */
  letGo() {
    if (this.#session?.isHolding) this.#release();
  }

  /** The group is made again under its name. */
  makeAgain() {
    this.log = [];
    this.messages.clear();
    this.#byClientId.clear();
    this.#cutAt = 0;
    this.epoch += 1;
  }

  /** Retention takes the oldest messages and events away, while nobody is there. What was said under a client's id isn't said again. */
  cut(keep) {
    this.say("bob", "the newest stays");
    for (const id of [...this.messages.keys()].slice(0, -keep)) this.messages.delete(id);
    this.#cutAt = this.head;
  }

  // What happens in the group.

  say(user, text, { ci, rp, x } = {}) {
    const stored = this.#byClientId.get(`${user}/${ci}`);
    if (ci !== undefined && stored) return { ...stored, dup: true };
    const seq = this.head + 1;
    const id = `e${this.epoch}-${seq}`;
    const message = { i: id, s: seq, t: 1000 + seq, p: user, m: text, ci, rp, x, v: seq, reactions: new Map(), original: text };
    this.messages.set(id, message);
    if (ci !== undefined) this.#byClientId.set(`${user}/${ci}`, message);
    this.#happens({ a: 2, of: id });
    return message;
  }

  edit(user, id, text) {
    const message = this.messages.get(id);
    if (!message || message.del) return undefined;
    const s = this.head + 1;
    Object.assign(message, { m: text, ed: 1000 + s, v: s });
    this.#happens({ a: 7, of: id, ed: 1000 + s, by: user });
    return s;
  }

  remove(user, id) {
    const message = this.messages.get(id);
    if (!message || message.del) return undefined;
    const s = this.head + 1;
    Object.assign(message, { m: undefined, x: undefined, ed: undefined, del: true, v: s, reactions: new Map() });
    this.#happens({ a: 8, of: id, by: user });
    return s;
  }

  react(user, id, key, set) {
    const message = this.messages.get(id);
    if (!message || message.del) return undefined;
    const users = message.reactions.get(key) ?? new Set();
    if (users.has(user) === set) return 0;
    if (set) users.add(user);
    else users.delete(user);
    message.reactions.set(key, users);
    message.v = this.head + 1;
    this.#happens({ a: 9, of: id, k: key, op: set ? "add" : "remove", u: user });
    return message.v;
  }

  moderate(op, user) {
    this.#happens({ a: 16, op, u: user, by: "mod" });
  }

  /** The messages as alice sees them in the end. */
  shown() {
    return [...this.messages.values()].map(({ i, s, p, m = "", ci, rp, x, ed, del = false, v, reactions }) => ({
      ...{ id: i, seq: s, user: p, text: m, clientId: ci, replyTo: rp, custom: x, editedAt: ed, deleted: del, version: v },
      reactions: countsOf(reactions).map(([key, users]) => ({ key, count: users.size, mine: users.has("alice") })),
    }));
  }

  // Serving.

  #happens(event) {
    this.log.push({ ...event, s: this.head + 1 });
    if (!this.#session) return;
    const frame = this.#frameOf(this.log.at(-1));
    if (this.#session.isHolding) this.#session.held.push(frame);
    else this.down.push(frame);
  }

  /** An event as it is told now: with the newest version of what it is about. */
  #frameOf({ a, of, s, ...event }) {
    const message = this.messages.get(of);
    if (a === 16) return { a, d: { g: "lobby", s, ...event } };
    if (a !== 2) return { a, d: defined({ g: "lobby", s, i: of, ...event, m: a === 7 ? message.m : undefined }) };
    const { i, t, p, m, ci, rp, x, del } = message;
    return { a, d: defined({ g: "lobby", i, s, t, p, m, ci, rp, x, del }) };
  }

  #serve({ a, r, d = {} }) {
    if (a === 13) return this.#resume(r, d);
    this.letGo();
    switch (a) {
      case 2: {
        const { i, s, t, dup } = this.say("alice", d.m, d);
        return this.#answer(4, undefined, defined({ ci: d.ci, i, s, t, dup }));
      }
      case 3:
        return this.#answerPage(r, d);
      case 7:
        return this.#ack(r, d.i, this.edit("alice", d.i, d.m));
      case 8:
        return this.#ack(r, d.i, this.remove("alice", d.i));
      case 9:
        return this.#ack(r, d.i, this.react("alice", d.i, d.k, d.op === "add"));
      default:
        return this.#answer(4, r, {});
    }
  }

  #resume(r, { ep, s }) {
    const { isHolding, joinedAt } = this.#session;
    const missed = joinedAt - s;
    const why = this.#whyNot(isHolding, joinedAt, ep, missed);
    if (why) this.#answer(13, r, { ok: false, why });
    else {
      this.#answer(13, r, { ok: true, n: missed });
      for (const event of this.log.slice(s, joinedAt)) this.down.push(this.#frameOf(event));
    }
    this.letGo();
  }

  #whyNot(isHolding, joinedAt, epoch, missed) {
    if (!isHolding && this.head !== joinedAt) return "late";
    if (epoch !== `e${this.epoch}`) return "epoch";
    if (missed < 0) return "ahead";
    return missed > this.limits.replayMax || joinedAt - missed < this.#cutAt ? "too_far" : undefined;
  }

  #release() {
    this.#session.isHolding = false;
    this.down.push(...this.#session.held.splice(0));
  }

  #page({ b = Infinity, l = 50 }) {
    const before = [...this.messages.values()].filter(({ s }) => s < b);
    const h = before.slice(-Math.min(l, this.limits.pageMax)).map(({ i, s, t, p, m, ci, rp, x, ed, del, v, reactions }) => {
      const counts = countsOf(reactions);
      const k = counts.length > 0 ? Object.fromEntries(counts.map(([key, users]) => [key, users.size])) : undefined;
      const mk = counts.filter(([, users]) => users.has("alice")).map(([key]) => key);
      return defined({ i, s, t, p, m, ci, rp, x, ed, k, mk: mk.length > 0 ? mk : undefined, v: v === s ? undefined : v, del });
    });
    return { h, more: before.length > h.length };
  }

  /** A page may show what happened before it is told: then it stands before those events. */
  #answerPage(r, d) {
    const told = this.down.findLastIndex(({ a }) => ![2, 7, 8, 9, 16].includes(a)) + 1;
    const ahead = this.limits.ahead(this.down.length - told);
    this.down.splice(this.down.length - ahead, 0, { a: 3, r, d: { g: "lobby", ...this.#page(d) } });
  }

  #ack(r, i, s) {
    if (s === undefined) this.#answer(5, r, { c: "message_not_found", m: "no", tmp: false });
    else this.#answer(4, r, s === 0 ? { i, dup: true } : { i, s, t: 1000 + s });
  }

  #answer(a, r, d) {
    this.down.push(r === undefined ? { a, d: { g: "lobby", ...d } } : { a, r, d: { g: "lobby", ...d } });
  }
}

function countsOf(reactions) {
  return [...reactions].filter(([, users]) => users.size > 0).sort(([one], [other]) => (one < other ? -1 : 1));
}

function defined(fields) {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
