/** Where requests wait until there is a connection for them, though not for ever. */

import { KijimunaError } from "./errors.js";

export class Gate {
  #clock;
  #timeout;
  #isOpen = false;
  #error;
  #waiting = new Set();

  constructor(clock, timeout) {
    this.#clock = clock;
    this.#timeout = timeout;
  }

  get isOpen() {
    return this.#isOpen;
  }

  /** Nothing when it is open, else a promise of that. */
  pass() {
    if (this.#isOpen) return undefined;
    if (this.#error) return Promise.reject(this.#error);
    return new Promise((resolve, reject) => {
      const one = { resolve, reject };
      const late = () => this.#take(one).reject(new KijimunaError("timeout", "there is no connection", { temporary: true }));
      one.timer = this.#clock.setTimeout(late, this.#timeout);
      this.#waiting.add(one);
    });
  }

  open() {
    this.#isOpen = true;
    for (const one of [...this.#waiting]) this.#take(one).resolve();
  }

  shut() {
    this.#isOpen = false;
  }

  /** It won't open again. */
  end(error) {
    this.#isOpen = false;
    this.#error = error;
    for (const one of [...this.#waiting]) this.#take(one).reject(error);
  }

  #take(one) {
    this.#waiting.delete(one);
    this.#clock.clearTimeout(one.timer);
    return one;
  }
}
