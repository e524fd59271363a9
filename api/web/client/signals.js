/** What a user tells of itself in passing: how far it has read, and that it types. Seldom enough for the server's rate. */

export class Signals {
  #settings;
  #clock;
  #hooks;
  #isOpen = false;
  #wanted = { read: 0, received: 0 };
  #told = { read: 0, received: 0 };
  #toldAt = -Infinity;
  #markTimer;
  /** The server was told that the user types. */
  #isTyping = false;
  #typedAt = 0;
  #typingToldAt = -Infinity;
  #typingTimer;

  /**
   * @param {object} settings
   * @param {{mark: (data: object) => Promise<unknown>, type: (on: boolean) => void}} hooks `mark` rejects when the server didn't take it
   */
  constructor(settings, hooks) {
    this.#settings = settings;
    this.#clock = settings.clock;
    this.#hooks = hooks;
  }

  /** There is a connection. The server has stored this. */
  open({ read, received }) {
    this.#isOpen = true;
    this.#told = { read, received };
    this.#markSoon();
  }

  /** There is none any more. */
  pause() {
    this.#isOpen = false;
    this.#clock.clearTimeout(this.#markTimer);
    this.#markTimer = undefined;
    this.#stopTyping();
  }

  /** The user has come this far; only ever forward. */
  mark({ read = 0, received = 0 }) {
    this.#wanted = farther(this.#wanted, { read, received });
    this.#markSoon();
  }

  /** What the server was told or knows itself. */
  known(marker) {
    this.#told = farther(this.#told, marker);
  }

  /** The log is another one: what was read of the old one says nothing. */
  reset() {
    this.#wanted = this.#told = { read: 0, received: 0 };
  }

  typing(on) {
    if (!this.#isOpen) return;
    this.#typedAt = this.#clock.now();
    if (on === this.#isTyping) return;
    this.#stopTyping();
    this.#isTyping = on;
    this.#typingToldAt = -Infinity;
    if (on) this.#typeOn();
    else this.#hooks.type(false);
  }

  /** The user said something, which ends its typing for the server. */
  said() {
    this.#stopTyping();
  }

  #markSoon() {
    if (!this.#isOpen || this.#markTimer !== undefined || !this.#isBehind()) return;
    const wait = this.#toldAt + this.#settings.markerInterval - this.#clock.now();
    if (wait > 0) this.#markLater(wait);
    else this.#markNow();
  }

  #markLater(wait) {
    this.#markTimer = this.#clock.setTimeout(() => {
      this.#markTimer = undefined;
      this.#markSoon();
    }, wait);
  }

  #markNow() {
    const [{ read, received }, before] = [this.#wanted, this.#told];
    const data = {};
    if (read > before.read) data.rd = read;
    // What was read was received.
    if (received > Math.max(before.received, read)) data.rc = received;
    this.#told = farther(before, this.#wanted);
    this.#toldAt = this.#clock.now();
    this.#hooks.mark(data).catch((error) => {
      if (!error.temporary || !this.#isOpen) return;
      this.#told = before;
      if (this.#markTimer === undefined) this.#markLater(error.retryAfter ?? this.#settings.backoffBase);
    });
  }

  #isBehind() {
    return this.#wanted.read > this.#told.read || this.#wanted.received > this.#told.received;
  }

  /** Says it again after a while, and ends it when the calls have stopped. */
  #typeOn() {
    const { typingInterval, typingIdle } = this.#settings;
    const now = this.#clock.now();
    const endsAt = typingIdle > 0 ? this.#typedAt + typingIdle : Infinity;
    if (now >= endsAt) return this.typing(false);
    if (now >= this.#typingToldAt + typingInterval) {
      this.#hooks.type(true);
      this.#typingToldAt = now;
    }
    const next = Math.min(this.#typingToldAt + typingInterval, endsAt);
    this.#typingTimer = this.#clock.setTimeout(() => this.#typeOn(), next - now);
  }

  #stopTyping() {
    this.#isTyping = false;
    this.#clock.clearTimeout(this.#typingTimer);
  }
}

function farther(one, { read, received }) {
  const farthest = Math.max(one.read, read);
  return { read: farthest, received: Math.max(one.received, received, farthest) };
}
