/** The server allows bursts of so many times its rate. */
const BURST = 3;

/**
 * A rate of the server, kept to by the client, so that what it sends isn't refused. It begins with a full burst, as the server's does with each
 * connection. What is sent counts when it is answered, and until then as well: it may be held up on its way while the server's bucket is full
 * and gains nothing, and come together with what was sent long after it.
 */
export class Pace {
  #clock;
  #rate = 0;
  #left = Infinity;
  /** Sent, and not yet answered. */
  #underWay = 0;
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
    this.#underWay = 0;
    this.#since = this.#clock.now();
  }

  /** Nothing when it is its turn now, else a promise of that, which is rejected when the connection is lost before. */
  turn() {
    if (this.#queue.length === 0 && this.#take()) return undefined;
    return new Promise((resolve, reject) => {
      this.#queue.push({ resolve, reject });
      this.#work();
    });
  }

  /** What had its turn is answered, or won't be. */
  answered() {
    this.#refill();
    this.#left -= 1;
    this.unused();
  }

  /** What had its turn wasn't sent. */
  unused() {
    this.#underWay = Math.max(0, this.#underWay - 1);
    this.#work();
  }

  /** The server says that there is none left, whatever was reckoned here. */
  exhausted() {
    this.#refill();
    if (this.#rate > 0) this.#left = Math.min(this.#left, this.#underWay);
  }

  /** Nobody's turn comes any more. */
  stop(error) {
    this.#clock.clearTimeout(this.#timer);
    for (const { reject } of this.#queue.splice(0)) reject(error);
  }

  #work() {
    this.#clock.clearTimeout(this.#timer);
    while (this.#queue.length > 0 && this.#take()) this.#queue.shift().resolve();
    if (this.#queue.length === 0) return;
    const wanted = this.#underWay + 1;
    // If the bucket doesn't hold so many, an answer must come first.
    if (wanted <= this.#rate * BURST) this.#timer = this.#clock.setTimeout(() => this.#work(), Math.ceil(((wanted - this.#left) * 1_000) / this.#rate));
  }

  #take() {
    this.#refill();
    if (this.#left - this.#underWay < 1) return false;
    this.#underWay += 1;
    return true;
  }

  #refill() {
    const now = this.#clock.now();
    const passed = Math.max(0, now - this.#since);
    if (this.#rate > 0) this.#left = Math.min(this.#left + (passed * this.#rate) / 1_000, this.#rate * BURST);
    this.#since = now;
  }
}
