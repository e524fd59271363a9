/** What can be chosen, with its defaults. `kijimuna.d.ts` says what each means. */

import { KijimunaError } from "./errors.js";

const DEFAULTS = Object.freeze({
  encoding: "json",
  history: 50,
  keep: 10_000,
  gapPages: 20,
  backoffBase: 500,
  backoffMax: 30_000,
  stableAfter: 5_000,
  connectTimeout: 15_000,
  requestTimeout: 15_000,
  pongTimeout: 10_000,
  ackTimeout: 10_000,
  sendTries: 5,
  outboxMax: 1_000,
  markerInterval: 250,
  typingInterval: 3_000,
  typingIdle: 5_000,
});

const NUMBERS = Object.keys(DEFAULTS).filter((name) => typeof DEFAULTS[name] === "number");
/** What isn't to be 0. */
const LEAST = Object.freeze({ keep: 1, outboxMax: 1, sendTries: 1 });

/** Timers can't wait longer than that. */
const WAIT_MAX = 2 ** 31 - 1;

/** Options as they are in force, with a `clock` of time, chance and timers. */
export function settle(options) {
  const chosen = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const settings = { ...DEFAULTS, WebSocket: globalThis.WebSocket, makeId, ...chosen };
  for (const name of NUMBERS) checkNumber(name, settings[name], LEAST[name] ?? 0);
  if (settings.encoding !== "json" && settings.encoding !== "msgpack") {
    throw new KijimunaError("invalid", 'encoding must be "json" or "msgpack"');
  }
  if (typeof settings.WebSocket !== "function") {
    throw new KijimunaError("invalid", "there is no global WebSocket here: give one as the option WebSocket");
  }
  return { ...settings, clock: clockOf(settings) };
}

/** A number that is none would be found out long after, by a client that waits for nothing or for ever. */
function checkNumber(name, value, least) {
  if (typeof value !== "number" || !(value >= least)) throw new KijimunaError("invalid", `${name} must be a number from ${least} on`);
}

function clockOf({ now, unixNow, random, setTimeout, clearTimeout }) {
  const later = setTimeout ?? ((callback, ms) => globalThis.setTimeout(callback, ms));
  return {
    now: now ?? (() => performance.now()),
    unixNow: unixNow ?? (() => Date.now()),
    random: random ?? Math.random,
    setTimeout: (callback, ms) => later(callback, Math.min(Math.max(ms, 0), WAIT_MAX)),
    clearTimeout: clearTimeout ?? ((timer) => globalThis.clearTimeout(timer)),
  };
}

/** An id that no other device makes. `crypto.randomUUID` is only there on pages with TLS. */
function makeId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
