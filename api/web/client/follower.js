/**
 * Follows a group's log: every event once and in order, through lost connections. What can't be replayed is paged, downwards from the newest, until
 * what is held is whole and up to date.
 */

/** Events that may come while a resume isn't answered. The server holds them back, but for those that made it too late. */
const HELD_MAX = 5_000;
/** Messages of a page, while a gap is closed. */
const PAGE = 100;

/**
 * @typedef {object} Hooks
 * @property {(query: object) => Promise<unknown>} page asks for a page and has the timeline cover it
 * @property {() => void} begun a log begins to be followed, of which nothing is held
 * @property {(why: string) => void} reset what was held is of another log
 * @property {(why: string, open: boolean) => void} gap something was missed, or isn't missing any more
 * @property {(why: string) => void} restart the connection is to be opened again, since a resume closes what is missing
 */

export class Follower {
  #timeline;
  #clock;
  #pages;
  /** @type {Hooks} */
  #hooks;
  #epoch = "";
  #seen = 0;
  /** Of the last welcome. */
  #welcome = { epoch: "", head: 0 };
  #isResuming = false;
  #held = [];
  /** The last event before a hole that a resume should have closed. */
  #holeAt = -1;
  #closing;
  #why = "";

  /** @param {number} pages that are asked for without being told to, when something was missed */
  constructor(timeline, clock, pages, hooks) {
    this.#timeline = timeline;
    this.#clock = clock;
    this.#pages = pages;
    this.#hooks = hooks;
  }

  /** The last event that was seen. */
  get seen() {
    return this.#seen;
  }

  /** The newest event that is known to be there. */
  get newest() {
    return Math.max(this.#seen, this.#welcome.head);
  }

  get epoch() {
    return this.#epoch;
  }

  /** Whether a welcome is into another log than the one that is followed, or into this one set back. */
  isOther(epoch, head) {
    return this.#epoch !== "" && (epoch !== this.#epoch || head < this.#seen);
  }

  /** From where to resume, if anything was seen. From now on events wait for the server's answer. */
  resume() {
    if (this.#epoch === "") return undefined;
    this.#isResuming = true;
    return { ep: this.#epoch, s: this.#seen };
  }

  /** The group welcomes the user. Unless a resume was asked for, its log is followed from here on. */
  welcomed(epoch, head) {
    this.#welcome = { epoch, head };
    if (!this.#isResuming) this.#begin();
  }

  /** The resume is answered: `why` says why nothing is replayed. */
  resumed(why) {
    if (!this.#isResuming) return;
    this.#isResuming = false;
    if (why !== undefined) this.#missed(why);
    else if (this.#timeline.doubt > 0) this.closeGaps();
    // Whoever hears of one may end the connection, and with that nothing is held any more.
    for (let next = this.#held.shift(); next; next = this.#held.shift()) this.receive(next.seq, next.apply);
  }

  /** The connection is lost. */
  pause() {
    this.#isResuming = false;
    this.#held = [];
  }

  /** An event of the log. `apply` is called when it is its turn, or never. */
  receive(seq, apply) {
    if (this.#isResuming) return this.#hold(seq, apply);
    if (seq <= this.#seen) return;
    if (seq > this.#seen + 1 && !this.#isPastHole(seq)) return;
    this.#seen = seq;
    apply();
  }

  /** Pages until nothing is missing, or so many pages were asked for. */
  closeGaps(pages = this.#pages) {
    this.#closing ??= this.#page(pages).finally(() => (this.#closing = undefined));
    return this.#closing;
  }

  #begin() {
    this.#epoch = this.#welcome.epoch;
    this.#seen = this.#welcome.head;
    this.#timeline.reset(this.#seen);
    this.#hooks.begun();
  }

  #missed(why) {
    // Another log, or this one set back to what it was: what is held isn't in it. A server that finds a resume late says only that.
    if (this.isOther(this.#welcome.epoch, this.#welcome.head) || why === "epoch" || why === "ahead") {
      this.#hooks.reset(this.#welcome.epoch === this.#epoch ? "ahead" : "epoch");
      this.#begin();
      return;
    }
    if (this.#welcome.head <= this.#seen) return;
    this.#timeline.miss(this.#seen, this.#welcome.head);
    this.#seen = this.#welcome.head;
    this.#why = why;
    this.#hooks.gap(why, true);
    this.closeGaps();
  }

  #hold(seq, apply) {
    this.#held.push({ seq, apply });
    if (this.#held.length > HELD_MAX) this.#hooks.restart("the resume isn't answered");
  }

  /** There is a hole before this event. A resume closes it; when it has not, pages must. */
  #isPastHole(seq) {
    if (this.#holeAt !== this.#seen) {
      this.#holeAt = this.#seen;
      this.#hooks.restart("events are missing");
      return false;
    }
    this.#welcome.head = seq - 1;
    this.#missed("hole");
    return true;
  }

  async #page(pages) {
    for (let left = pages; left > 0 && this.#timeline.doubt > 0; left--) {
      const before = this.#timeline.doubt;
      try {
        await this.#hooks.page({ before, limit: PAGE });
      } catch (error) {
        if (!error.temporary || error.retryAfter === undefined) return;
        await new Promise((resolve) => this.#clock.setTimeout(resolve, error.retryAfter));
        continue;
      }
      // A page that leads no further would be asked for for ever.
      if (this.#timeline.doubt === before) return;
    }
    this.#timeline.dropDoubtful();
    if (this.#timeline.doubt === 0 && this.#why !== "") {
      this.#hooks.gap(this.#why, false);
      this.#why = "";
    }
  }
}
