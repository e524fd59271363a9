/** Who of the others types. What the server tells of that may be lost, so everyone's typing ends by itself, too. */

/** So long after it was said last the server ends it. */
const ENDS_MS = 6_000;
/** What the server says of the end comes first, mostly. */
const LATE_MS = 1_000;

export class Typists {
  #clock;
  #ended;
  /** @type {Map<string, unknown>} a timer by user */
  #timers = new Map();
  #count = 0;

  /** @param {() => void} ended somebody's typing has ended by itself */
  constructor(clock, ended) {
    this.#clock = clock;
    this.#ended = ended;
  }

  get users() {
    return [...this.#timers.keys()];
  }

  get count() {
    return this.#timers.size || this.#count;
  }

  /** Each of these answers whether it is news. */
  start(user) {
    const isNew = !this.#timers.has(user);
    this.#clock.clearTimeout(this.#timers.get(user));
    const end = () => this.stop(user) && this.#ended();
    this.#timers.set(user, this.#clock.setTimeout(end, ENDS_MS + LATE_MS));
    this.#count = 0;
    return isNew;
  }

  stop(user) {
    this.#clock.clearTimeout(this.#timers.get(user));
    return this.#timers.delete(user);
  }

  /** So many type: whoever was known by name may be among them or not. */
  showCount(count) {
    const isNew = this.#timers.size > 0 || this.#count !== count;
    this.forget();
    this.#count = count;
    return isNew;
  }

  forget() {
    for (const user of this.users) this.stop(user);
    this.#count = 0;
  }
}
