/** Events: with listeners, or one after the other with `for await`. */

import { KijimunaError } from "./errors.js";

/** Events that may wait for one slow reader of `events()`. */
const WAITING_MAX = 10_000;

export class Emitter {
  /** @type {Map<string, Set<(event: any) => void>>} */
  #listeners = new Map();
  /** @type {Set<EventReader>} */
  #readers = new Set();
  #ended = false;

  on(name, listener) {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners.add(listener));
    return () => this.off(name, listener);
  }

  once(name, listener) {
    const stop = this.on(name, (event) => {
      stop();
      listener(event);
    });
    return stop;
  }

  off(name, listener) {
    this.#listeners.get(name)?.delete(listener);
  }

  events(name) {
    const reader = new EventReader(() => {
      stop();
      this.#readers.delete(reader);
    });
    const stop = this.on(name, (event) => reader.push(event));
    this.#readers.add(reader);
    if (this.#ended) reader.end();
    return reader;
  }

  /** @internal */
  emit(name, event) {
    for (const listener of [...(this.#listeners.get(name) ?? [])]) {
      try {
        listener(event);
      } catch (error) {
        // The page's own mistake is shown as such, and spoils nothing here.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }

  /** @internal Nothing more will come. */
  endReaders() {
    this.#ended = true;
    for (const reader of [...this.#readers]) reader.end();
  }
}

/** One `for await`. */
class EventReader {
  #waiting = [];
  /** Reads that were asked for before there was anything. */
  #asked = [];
  #ended = false;
  #error;
  #stop;

  constructor(stop) {
    this.#stop = stop;
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  next() {
    if (this.#waiting.length > 0) return Promise.resolve({ done: false, value: this.#waiting.shift() });
    if (this.#error) {
      const error = this.#error;
      this.#error = undefined;
      return Promise.reject(error);
    }
    if (this.#ended) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve) => this.#asked.push(resolve));
  }

  return(value) {
    this.#waiting = [];
    this.end();
    return Promise.resolve({ done: true, value });
  }

  push(value) {
    const asked = this.#asked.shift();
    if (asked) return asked({ done: false, value });
    this.#waiting.push(value);
    if (this.#waiting.length > WAITING_MAX) this.#overflow();
  }

  end() {
    if (this.#ended) return;
    this.#ended = true;
    this.#stop();
    for (const resolve of this.#asked.splice(0)) resolve({ done: true, value: undefined });
  }

  #overflow() {
    this.#waiting = [];
    this.#error = new KijimunaError("overflow", `more than ${WAITING_MAX} events waited to be read`);
    this.end();
  }
}
