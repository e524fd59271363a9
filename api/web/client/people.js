/** Who is in a group: the roster, how far everyone has come, who types. Frames of the server go in; nothing is asked for here. */

import { list, maybeNumber, personOf, text, whole } from "./frames.js";

const NOTHING = Object.freeze({ read: 0, received: 0 });

export class People {
  /** @type {Map<string, import("./kijimuna.js").Person>} */
  #persons = new Map();
  #listed;
  #markers = new Map();
  #typing = new Set();
  #typingCount = 0;
  #online = 0;
  #whole = false;
  #version = -1;

  get online() {
    return this.#online;
  }

  get whole() {
    return this.#whole;
  }

  get typing() {
    return [...this.#typing];
  }

  get typingCount() {
    return this.#typing.size || this.#typingCount;
  }

  /** Who is known, by id, who is online first. The same list until something changes. */
  get roster() {
    const order = (one, other) => Number(other.online) - Number(one.online) || (one.id < other.id ? -1 : 1);
    return (this.#listed ??= [...this.#persons.values()].sort(order));
  }

  /** A copy, which never changes. */
  get markers() {
    return new Map(this.#markers);
  }

  person(user) {
    return this.#persons.get(user);
  }

  marker(user) {
    return this.#markers.get(user) ?? NOTHING;
  }

  /** A roster, which replaces whatever was known. */
  showRoster(data) {
    const [on, off] = [list(data, "on"), list(data, "off")];
    const persons = [...on.map((person) => personOf(person, true)), ...off.map((person) => personOf(person, false))];
    this.#persons = new Map(persons.map((person) => [person.id, person]));
    this.#listed = undefined;
    this.#whole = data.w === true;
    this.#online = whole(data, "n");
    this.#version = whole(data, "rv");
    for (const person of [...on, ...off]) this.#markAsRosterSays(person);
    if (this.#whole) this.#stopWhoIsGone();
  }

  /** A change of the roster. Answers whether it is the next one; if it isn't, one is missing. */
  showDelta(data) {
    const version = whole(data, "rv");
    if (version === this.#version) return true;
    if (version !== this.#version + 1) return false;
    this.#version = version;
    this.#online = whole(data, "n");
    for (const person of data.j ?? []) this.#persons.set(text(person, "id"), personOf(person, true));
    for (const id of data.l ?? []) this.#persons.delete(id);
    this.#listed = undefined;
    return true;
  }

  /** Moves a marker forward. Answers whether it moved. */
  mark(user, { read = 0, received = 0 }) {
    const was = this.marker(user);
    const now = { read: Math.max(was.read, read), received: Math.max(was.received, received, read) };
    if (now.read === was.read && now.received === was.received) return false;
    this.#markers.set(user, now);
    return true;
  }

  /** Somebody types or has stopped, or so many do. */
  showTyping(data) {
    if (data.u === undefined) this.#typingCount = whole(data, "n");
    else if (data.k === true) this.#typing.add(text(data, "u"));
    else this.#typing.delete(text(data, "u"));
  }

  /** Whoever has said it isn't typing it any more: the frame that says so may be lost. Answers whether that is news. */
  stopTyping(user) {
    return this.#typing.delete(user);
  }

  /** What is told only while it happens isn't known after a while without a connection. */
  forgetTyping() {
    this.#typing.clear();
    this.#typingCount = 0;
  }

  /** What was known was of another group. */
  reset() {
    this.#markers.clear();
    this.forgetTyping();
  }

  #markAsRosterSays({ id, rd, rc }) {
    if (rd !== undefined || rc !== undefined) this.mark(id, { read: maybeNumber(rd), received: maybeNumber(rc) });
  }

  #stopWhoIsGone() {
    for (const user of this.#typing) {
      if (!this.#persons.get(user)?.online) this.#typing.delete(user);
    }
  }
}
