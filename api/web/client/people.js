/** Who is in a group: the roster, how far everyone has come, who types. Frames of the server go in; nothing is asked for here. */

import { list, personOf, text, whole } from "./frames.js";
import { Typists } from "./typists.js";

const NOTHING = Object.freeze({ read: 0, received: 0 });

export class People {
  /** @type {Map<string, import("./kijimuna.js").Person>} */
  #persons = new Map();
  #listed;
  #markers = new Map();
  /** @type {Typists} */
  #typists;
  #online = 0;
  #whole = false;
  #version = -1;
  /** Only how many are online was told last: who they are isn't known any more. */
  #isCounted = false;

  /** @param {() => void} typingEnded somebody's typing has ended by itself */
  constructor(clock, typingEnded) {
    this.#typists = new Typists(clock, typingEnded);
  }

  get online() {
    return this.#online;
  }

  get whole() {
    return this.#whole;
  }

  get typing() {
    return this.#typists.users;
  }

  get typingCount() {
    return this.#typists.count;
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

  /** A roster, which replaces whatever was known. It is read before anything is changed, so that one that can't be read changes nothing. */
  showRoster(data) {
    const [on, off, online, version] = [list(data, "on"), list(data, "off"), whole(data, "n"), whole(data, "rv")];
    const persons = [...on.map((person) => personOf(person, true)), ...off.map((person) => personOf(person, false))];
    const markers = [...on, ...off].map(({ id, rd = 0, rc = 0 }) => [id, { read: whole({ rd }, "rd"), received: whole({ rc }, "rc") }]);
    this.#persons = new Map(persons.map((person) => [person.id, person]));
    this.#listed = undefined;
    this.#whole = data.w === true;
    this.#online = online;
    this.#version = version;
    this.#isCounted = false;
    for (const [user, marker] of markers) this.mark(user, marker);
    if (this.#whole) this.#stopWhoIsGone();
  }

  /** A change of the roster. Answers whether it is the next one; if it isn't, one is missing. */
  showDelta(data) {
    const [version, online] = [whole(data, "rv"), whole(data, "n")];
    const joined = data.j === undefined ? [] : list(data, "j").map((person) => personOf(person, true));
    const away = data.l === undefined ? [] : list(data, "l");
    const isCount = data.j === undefined && data.l === undefined;
    // Changes are told of large groups alone, where whoever isn't online isn't told of.
    this.#whole = false;
    if (version === this.#version) return true;
    // What is missing of a list that nobody tells of is no loss, and names are of no use to who has no list.
    const isNext = isCount || (version === this.#version + 1 && !this.#isCounted);
    if (!isNext) return false;
    this.#version = version;
    this.#online = online;
    if (isCount) this.#forgetNames();
    else this.#showChanges(joined, away);
    return true;
  }

  /** Whoever was online may have gone, and nobody will say so. */
  #forgetNames() {
    this.#isCounted = true;
    if (this.#persons.size > 0) this.#listed = undefined;
    this.#persons.clear();
  }

  /** Who is away may have gone, or was only just added and never known here: then the roster stays the one that it is. */
  #showChanges(joined, away) {
    for (const person of joined) this.#persons.set(person.id, person);
    const gone = away.filter((id) => this.#persons.delete(id));
    if (joined.length + gone.length > 0) this.#listed = undefined;
  }

  /** Moves a marker forward. Answers whether it moved. */
  mark(user, { read = 0, received = 0 }) {
    const was = this.marker(user);
    const now = { read: Math.max(was.read, read), received: Math.max(was.received, received, read) };
    if (now.read === was.read && now.received === was.received) return false;
    this.#markers.set(user, now);
    return true;
  }

  /** Somebody types or has stopped, or so many do. Answers whether that is news. */
  showTyping(data) {
    if (data.u === undefined) return this.#typists.showCount(whole(data, "n"));
    const user = text(data, "u");
    return data.k === true ? this.#typists.start(user) : this.#typists.stop(user);
  }

  /** Whoever has said it isn't typing it any more: the frame that says so may be lost. Answers whether that is news. */
  stopTyping(user) {
    return this.#typists.stop(user);
  }

  /** What is told only while it happens isn't known after a while without a connection. */
  forgetTyping() {
    this.#typists.forget();
  }

  /** What was known was of another group. */
  reset() {
    this.#markers.clear();
    this.forgetTyping();
  }

  #stopWhoIsGone() {
    for (const user of this.typing) {
      if (!this.#persons.get(user)?.online) this.#typists.stop(user);
    }
  }
}
