/** Events: with listeners, or one after the other with `for await`, those of a name or all of them. */

import { KijimunaError } from "./errors.js";

/** Events that may wait for one slow reader of `events()`. */
const WAITING_MAX = 10_000;
/** The name under which every event is told. */
const EVERY = Symbol("every event");
/** What an event is that isn't a few details: under this name it stands in the whole of it. */
const NAMES = Object.freeze({ state: "state", change: "state", message: "message", roster: "roster", typing: "typing", inbox: "entries", error: "error" });

/** An event with its details by name, as who reads everything gets it. */
export function namedEvent(name, event) {
  return Object.hasOwn(NAMES, name) ? { [NAMES[name]]: event } : event;
}

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
    const heard = (event) => {
      stop();
      listener(event);
    };
    heard.of = listener;
    const stop = this.on(name, heard);
    return stop;
  }

  off(name, listener) {
    const listeners = this.#listeners.get(name) ?? new Set();
    for (const one of listeners) if (one === listener || one.of === listener) listeners.delete(one);
  }

  /** Every event from now on. */
  [Symbol.asyncIterator]() {
    return this.events(EVERY);
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

  /** @internal Tells who reads every event. */
  emitWhole(event) {
    Emitter.prototype.emit.call(this, EVERY, event);
  }

  /** @internal */
  emit(name, event) {
    const listeners = this.#listeners.get(name) ?? new Set();
    for (const listener of [...listeners]) {
      // One that heard of this first may have stopped it.
      if (!listeners.has(listener)) continue;
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
