/** What the user may in a group. A mute until some time ends by itself, whether the server tells of that or not. */

/** A wall clock may be set, and a machine sleeps: it is looked at so often at least. */
const LOOK_MS = 60_000;

export class Standing {
  #clock;
  #changed;
  #role = "member";
  /** The role without a mute, as far as it is known. */
  #unmuted = "member";
  #mutedUntil;
  /** The place in the log where the user was known to be muted. */
  #mutedAt = 0;
  #timer;

  /** @param {() => void} changed a mute has ended by itself */
  constructor(clock, changed) {
    this.#clock = clock;
    this.#changed = changed;
  }

  get role() {
    return this.#role;
  }

  get mutedUntil() {
    return this.#mutedUntil;
  }

  /** The server tells of the role, at this place of the log. */
  show(role, seq, until) {
    this.stop();
    const isMuted = role === "muted";
    if (!isMuted) this.#unmuted = role;
    this.#role = role;
    this.#mutedUntil = isMuted ? until : undefined;
    this.#mutedAt = seq;
    this.#watch();
  }

  unmute(seq) {
    this.show(this.#unmuted, seq);
  }

  /** The server took a message of the user's, so the user isn't muted there. */
  said(seq) {
    if (this.#role === "muted" && seq > this.#mutedAt) this.#end();
  }

  /** Nothing ends by itself any more. */
  stop() {
    this.#clock.clearTimeout(this.#timer);
  }

  #watch() {
    if (this.#mutedUntil === undefined) return;
    const left = this.#mutedUntil - this.#clock.unixNow();
    if (left <= 0) this.#end();
    else this.#timer = this.#clock.setTimeout(() => this.#watch(), Math.min(left, LOOK_MS));
  }

  #end() {
    this.unmute(this.#mutedAt);
    this.#changed();
  }
}
