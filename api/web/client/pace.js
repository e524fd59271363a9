/** The server allows bursts of so many times its rate. */
const BURST = 3;

/**
 * A rate of the server, kept to by the client, so that what it sends isn't refused. It begins with a full burst, as the server's does with each
 * connection.
 */
export class Pace {
  #clock;
  #rate = 0;
  #left = Infinity;
  #since = 0;
  #queue = [];
  #timer;

  constructor(clock) {
    this.#clock = clock;
  }

  /** A new connection, with so many a second; 0 for no bound. */
  begin(rate) {
    this.#rate = rate;
    this.#left = rate > 0 ? rate * BURST : Infinity;
    this.#since = this.#clock.now();
  }

  /** The server says that there is none left, whatever was reckoned here. */
  exhausted() {
    if (this.#rate === 0) return;
    this.#refill();
    this.#left = 0;
  }

  /** Nothing when it is its turn now, else a promise of that, which is rejected when the connection is lost before. */
  turn() {
    if (this.#queue.length === 0 && this.#take() === 0) return undefined;
    return new Promise((resolve, reject) => {
      this.#queue.push({ resolve, reject });
      if (this.#timer === undefined) this.#work();
    });
  }

  /** Nobody's turn comes any more. */
  stop(error) {
    this.#clock.clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const { reject } of this.#queue.splice(0)) reject(error);
  }

  #work() {
    this.#timer = undefined;
    while (this.#queue.length > 0) {
      const wait = this.#take();
      if (wait > 0) {
        this.#timer = this.#clock.setTimeout(() => this.#work(), wait);
        return;
      }
      this.#queue.shift().resolve();
    }
  }

  /** Takes one and answers 0, or answers with the milliseconds to wait for it. */
  #take() {
    this.#refill();
    if (this.#left < 1) return Math.ceil(((1 - this.#left) * 1_000) / this.#rate);
    this.#left -= 1;
    return 0;
  }

  #refill() {
    const now = this.#clock.now();
    const passed = Math.max(0, now - this.#since);
    if (this.#rate > 0) this.#left = Math.min(this.#left + (passed * this.#rate) / 1_000, this.#rate * BURST);
    this.#since = now;
  }
}
