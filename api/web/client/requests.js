/** Requests that wait for their answers, each by its number. */

import { KijimunaError, refusalOf, uncertainly } from "./errors.js";
import { ACTION } from "./frames.js";

export class Requests {
  #clock;
  #timeout;
  #last = 0;
  #waiting = new Map();

  constructor(clock, timeout) {
    this.#clock = clock;
    this.#timeout = timeout;
  }

  /**
   * Sends a request and waits for its answer.
   * @template T
   * @param {(r: number) => void} send
   * @param {(data: any) => T} read makes of the answer what is wanted, before the next frame is looked at
   * @returns {Promise<T>}
   */
  ask(send, read) {
    const r = (this.#last = (this.#last + 1) >>> 0);
    return new Promise((resolve, reject) => {
      const late = () => this.#take(r)?.reject(new KijimunaError("timeout", "there was no answer in time", { temporary: true, uncertain: true }));
      const timer = this.#clock.setTimeout(late, this.#timeout);
      this.#waiting.set(r, { resolve, reject, read, timer });
      try {
        send(r);
      } catch (error) {
        this.#take(r).reject(error);
      }
    });
  }

  /** Hands an answer to who waits for it. Answers whether somebody did. */
  settle({ a, r, d }) {
    const request = this.#take(r);
    if (!request) return false;
    if (a === ACTION.ERROR) {
      request.reject(refusalOf(d));
      return true;
    }
    try {
      request.resolve(request.read(d));
    } catch (error) {
      request.reject(error);
    }
    return true;
  }

  /** Nothing of what was asked for will be answered, whatever became of it. */
  fail(error) {
    for (const r of [...this.#waiting.keys()]) this.#take(r).reject(uncertainly(error));
  }

  #take(r) {
    const request = this.#waiting.get(r);
    if (request) {
      this.#waiting.delete(r);
      this.#clock.clearTimeout(request.timer);
    }
    return request;
  }
}
