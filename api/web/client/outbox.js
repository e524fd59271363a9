/**
 * Messages that aren't acked yet, in their order. Each is sent when there is a connection, and again with `re` until its ack comes or it is
 * seen in the log: by its client id the server stores it once, and the client shows it once. One that is refused for a while goes before those
 * behind it: these wait until what is on its way is answered, and until it is acked.
 */

import { KijimunaError, RATE_LIMITED, uncertainly } from "./errors.js";
import { customOf, ownKey, present } from "./frames.js";

/** Messages that are on their way at a time: what is lost with a connection is sent again. */
const WINDOW = 32;
/** How long a refusal that passes is waited for when the server doesn't say, the first time. It doubles. */
const RETRY_MS = 1_000;

/**
 * @typedef {object} Letter
 * @property {string} clientId
 * @property {string} text
 * @property {unknown} [custom]
 * @property {string} [replyTo]
 * @property {number} time
 * @property {boolean} again it was sent before, or may have been
 * @property {boolean} unsure it may have been stored when it was sent before: nobody has said
 * @property {"waiting" | "sending" | "failed"} status
 * @property {KijimunaError} [error]
 * @property {number} silences how often nothing came back
 * @property {boolean} [isAlone] it was sent last while nothing else was on its way
 */

export class Outbox {
  /** @type {Map<string, Letter>} */
  #letters = new Map();
  #settings;
  #clock;
  #hooks;
  #isOpen = false;
  /** Why nothing is sent any more. */
  #ended;
  #underWay = 0;
  #refusals = 0;
  #timer;
  /** One at a time, since one was refused for a while and its order would be lost. */
  #isCareful = false;
  /** It waits for its turn among all that is sent, or has it. */
  #isQueued = false;
  #hasTurn = false;

  /**
   * @param {object} settings
   * @param {{send: (data: object) => void, check: (data: object) => void, pace: import("./pace.js").Pace, changed: () => void}} hooks
   *   `check` throws for what can't be sent
   */
  constructor(settings, hooks) {
    this.#settings = settings;
    this.#clock = settings.clock;
    this.#hooks = hooks;
  }

  /** Takes a message. Resolves at its ack. */
  add(text, { replyTo, custom, clientId = this.#settings.makeId(), again = false } = {}) {
    try {
      if (typeof text !== "string" || text === "") throw invalid("a message must have a text");
      if (typeof clientId !== "string" || !/^\P{Cc}{1,64}$/u.test(clientId)) throw invalid("clientId must have 1 to 64 characters, none a control character");
      if (this.#letters.has(clientId)) throw invalid("a message with this clientId is on its way");
      if (this.#letters.size >= this.#settings.outboxMax) {
        throw new KijimunaError("outbox_full", "too many messages wait to be sent", { temporary: true });
      }
      const letter = { clientId, text, custom: customOf(custom), replyTo, time: this.#clock.unixNow(), again, unsure: again, silences: 0 };
      this.#hooks.check(dataOf({ ...letter, again: true }));
      return this.#take(letter);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Sends a failed message again. */
  retry(clientId) {
    const letter = this.#letters.get(clientId);
    if (letter?.status !== "failed") return Promise.reject(invalid("there is no failed message with this clientId"));
    this.#letters.delete(clientId);
    const { error, ...kept } = letter;
    return this.#take({ ...kept, again: true, silences: 0 });
  }

  discard(clientId) {
    if (this.#letters.get(clientId)?.status !== "failed") return;
    this.#letters.delete(clientId);
    this.#hooks.changed();
  }

  /** There is a connection. */
  open() {
    this.#isOpen = true;
    this.#refusals = 0;
    this.#isCareful = false;
    this.#pump();
  }

  /** There is none any more: what was on its way may have arrived or not. */
  pause() {
    this.#isOpen = false;
    this.#cancel();
    for (const letter of this.#letters.values()) if (letter.status === "sending") this.#takeBack(letter, true);
    this.#hooks.changed();
  }

  /** A message is stored, by its ack or since it was seen. Answers whether it was one of these. */
  stored(clientId, { id, seq, time, duplicate }) {
    const letter = this.#letters.get(clientId);
    if (!letter) return false;
    this.#leave(letter);
    this.#letters.delete(clientId);
    this.#refusals = 0;
    if (letter.isAlone) this.#isCareful = false;
    letter.resolve({ id, seq, time, clientId, duplicate });
    this.#hooks.changed();
    this.#pump();
    return true;
  }

  /** The server refuses a message. Answers whether it was one of these. */
  refused(clientId, error) {
    const letter = this.#letters.get(clientId);
    if (letter?.status !== "sending") return letter !== undefined;
    letter.silences = 0;
    if (error.uncertain) letter.unsure = true;
    if (this.#ended) this.#fail(letter, this.#ended);
    else if (error.temporary) {
      this.#takeBack(letter);
      this.#isCareful = true;
      if (error.code === RATE_LIMITED) this.#hooks.pace.exhausted();
      this.#holdBack(error.retryAfter ?? Math.min(RETRY_MS * 2 ** this.#refusals++, this.#settings.backoffMax));
    } else {
      this.#fail(letter, error);
      this.#pump();
    }
    this.#hooks.changed();
    return true;
  }

  /** Nothing will be sent any more. What is on its way may still be answered for so long. */
  end(error, graceMs = 0) {
    this.#isOpen = false;
    this.#ended ??= error;
    this.#cancel();
    for (const letter of this.#letters.values()) {
      if (letter.status === "waiting") this.#fail(letter, this.#ended);
      else if (letter.status === "sending") this.#await(letter, graceMs);
    }
    this.#hooks.changed();
  }

  /** Whether something is on its way. */
  get isAwaited() {
    return this.#underWay > 0;
  }

  /** The messages as they are shown. */
  messages(user) {
    return [...this.#letters.values()].map((letter) => messageOf(letter, user));
  }

  /** What a message looks like that is acked, before it comes itself. */
  acked(clientId, user, { id, seq, time }) {
    const letter = this.#letters.get(clientId);
    return letter && { ...messageOf(letter, user), id, seq, time, version: seq, status: "stored" };
  }

  #take(letter) {
    const promise = new Promise((resolve, reject) => Object.assign(letter, { resolve, reject, status: "waiting" }));
    // Whoever doesn't wait for it sees in the state what becomes of it.
    promise.catch(() => {});
    this.#letters.set(letter.clientId, letter);
    this.#pump();
    this.#hooks.changed();
    return promise;
  }

  #pump() {
    if (!this.#isOpen || this.#timer !== undefined || this.#isQueued) return;
    for (const letter of this.#letters.values()) {
      if (letter.status !== "waiting") continue;
      if (this.#underWay >= (this.#isCareful ? 1 : WINDOW) || !this.#isItsTurn()) return;
      this.#send(letter);
    }
  }

  /** Whether the server's rate lets one go now. If it doesn't, it is gone on with when it does. */
  #isItsTurn() {
    const turn = this.#hasTurn ? undefined : this.#hooks.pace.turn();
    this.#hasTurn = false;
    if (!turn) return true;
    this.#isQueued = true;
    const goOn = (hasTurn) => {
      this.#isQueued = false;
      this.#hasTurn = hasTurn;
      this.#pump();
      if (this.#hasTurn) this.#hooks.pace.unused();
      this.#hasTurn = false;
    };
    turn.then(() => goOn(true), () => goOn(false));
    return false;
  }

  #send(letter) {
    letter.status = "sending";
    letter.isAlone = this.#isCareful;
    letter.timer = this.#clock.setTimeout(() => this.#overdue(letter), this.#settings.ackTimeout);
    this.#underWay += 1;
    try {
      this.#hooks.send(dataOf(letter));
      letter.again = true;
    } catch (error) {
      // The server may allow less than it did when the message was taken.
      this.#fail(letter, error);
    }
  }

  /** The end isn't told in the order of the log: what was stored before it may be acked after it. */
  #await(letter, graceMs) {
    const giveUp = () => {
      letter.unsure = true;
      this.#fail(letter, this.#ended);
      this.#hooks.changed();
    };
    this.#clock.clearTimeout(letter.timer);
    if (graceMs > 0) letter.timer = this.#clock.setTimeout(giveUp, graceMs);
    else giveUp();
  }

  /** Nothing came back. Whether the message or its ack was lost is all the same. */
  #overdue(letter) {
    letter.silences += 1;
    letter.unsure = true;
    if (letter.silences < this.#settings.sendTries) this.#takeBack(letter);
    else this.#fail(letter, new KijimunaError("timeout", "the server doesn't answer this message", { temporary: true }));
    this.#hooks.changed();
    this.#pump();
  }

  #takeBack(letter, unsure = letter.unsure) {
    this.#leave(letter);
    letter.status = "waiting";
    letter.unsure = unsure;
  }

  #fail(letter, error) {
    this.#leave(letter);
    letter.status = "failed";
    letter.error = letter.unsure ? uncertainly(error) : error;
    letter.reject(letter.error);
  }

  /** It isn't on its way any more. */
  #leave(letter) {
    if (letter.status !== "sending") return;
    this.#underWay -= 1;
    this.#hooks.pace.answered();
    this.#clock.clearTimeout(letter.timer);
  }

  /** Sends nothing for a while, so that the order stays. */
  #holdBack(ms) {
    this.#cancel();
    this.#timer = this.#clock.setTimeout(() => {
      this.#timer = undefined;
      this.#pump();
    }, ms);
  }

  #cancel() {
    this.#clock.clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}

/** A message as it is shown. */
function messageOf({ clientId, text, custom, replyTo, time, status, error }, user) {
  const content = { text, clientId, replyTo, custom, reactions: [], deleted: false, erased: false };
  return present({ key: ownKey(clientId), id: "", seq: 0, time, user, own: true, ...content, version: 0, status, error });
}

/** A message as it goes over the wire. */
function dataOf({ text, clientId, again, replyTo, custom }) {
  return present({ m: text, ci: clientId, re: again || undefined, rp: replyTo, x: custom });
}

function invalid(message) {
  return new KijimunaError("invalid", message);
}
