/** What goes over the wire: the numbers of the actions, the two encodings, and frames as they are read into what the client shows. */

import { KijimunaError } from "./errors.js";
import * as msgpack from "./msgpack.js";

/** The numbers in a frame's `a`. */
export const ACTION = Object.freeze({
  WELCOME: 0,
  ROSTER: 1,
  MESSAGE: 2,
  HISTORY: 3,
  ACK: 4,
  ERROR: 5,
  ROSTER_DELTA: 6,
  EDIT: 7,
  DELETE: 8,
  REACTION: 9,
  MARKER: 10,
  TYPING: 11,
  EPHEMERAL: 12,
  RESUME: 13,
  JOIN: 14,
  INBOX: 15,
  MODERATION: 16,
  TICKET: 30,
  DRAIN: 31,
});

/** An encoding: its subprotocol, how a frame is written and read, and the bytes that a written one has. */
export const ENCODINGS = Object.freeze({
  json: {
    protocol: "kijimuna.v2.json",
    encode: (frame) => wellFormed(JSON.stringify(frame)),
    decode: (data) => JSON.parse(data),
    size: utf8Bytes,
  },
  msgpack: {
    protocol: "kijimuna.v2.msgpack",
    encode: msgpack.encode,
    decode: msgpack.decode,
    size: (bytes) => bytes.length,
  },
});

/** `JSON.stringify` escapes halves of surrogate pairs, which no UTF-8 has. As in MessagePack they become U+FFFD. */
function wellFormed(json) {
  return json.replace(/\\(\\|ud[89a-f][0-9a-f]{2})/g, (escape, what) => (what === "\\" ? escape : "\ufffd"));
}

function utf8Bytes(text) {
  return new TextEncoder().encode(text).length;
}

/** Reads whatever came over the socket. */
export function readFrame(encoding, data) {
  let frame;
  try {
    if ((typeof data === "string") !== (encoding === ENCODINGS.json)) throw new Error("it is in the other encoding");
    frame = encoding.decode(data);
  } catch (error) {
    throw malformed(`a frame can't be read: ${error.message}`, error);
  }
  if (!isMap(frame) || !Number.isInteger(frame.a)) throw malformed("a frame is no map with a number in a");
  const { a, r, d = {} } = frame;
  if (!(a === ACTION.INBOX ? Array.isArray(d) : isMap(d))) throw malformed(`the frame of action ${a} has no data`);
  return { a, r, d };
}

function isMap(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function malformed(message, cause) {
  return new KijimunaError("malformed_frame", message, { temporary: true, cause });
}

/** A field that must be a text. */
export function text(data, name) {
  const value = fieldOf(data, name);
  if (typeof value !== "string") throw malformed(`${name} is no text`);
  return value;
}

/** A field that must be a whole number. */
export function whole(data, name) {
  const value = fieldOf(data, name);
  if (!Number.isSafeInteger(value) || value < 0) throw malformed(`${name} is no whole number`);
  return value;
}

/** A field that must be a list. */
export function list(data, name) {
  const value = fieldOf(data, name);
  if (!Array.isArray(value)) throw malformed(`${name} is no list`);
  return value;
}

/** A field of what must be a map: in a list of a server there may stand anything. */
function fieldOf(data, name) {
  if (!isMap(data)) throw malformed(`${name} is looked for in what is no map`);
  return data[name];
}

/** A number if there is one; MessagePack has some that are none. */
export function maybeNumber(value) {
  return Number.isFinite(value) ? value : undefined;
}

/** A sequence or a time if there is one. */
export function maybeWhole(value) {
  return Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}

export function maybeText(value) {
  return typeof value === "string" ? value : undefined;
}

/** A copy without what is undefined, so that absent fields are absent. */
export function present(fields) {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

/** A message, live, replayed or in a page, as it is shown to this user. */
export function messageOf(data, me) {
  const deleted = data.del === true;
  const [id, seq, user] = [text(data, "i"), whole(data, "s"), text(data, "p")];
  const own = user !== "" && user === me;
  const clientId = maybeText(data.ci);
  return present({
    key: own && clientId !== undefined ? ownKey(clientId) : id,
    id,
    seq,
    time: whole(data, "t"),
    user,
    own,
    text: deleted ? "" : text(data, "m"),
    clientId,
    replyTo: maybeText(data.rp),
    custom: deleted ? undefined : data.x,
    editedAt: deleted ? undefined : maybeWhole(data.ed),
    reactions: deleted ? [] : reactionsOf(data),
    deleted,
    erased: data.er === true,
    version: maybeWhole(data.v) ?? seq,
    status: "stored",
  });
}

/** The key of an own message, which it has before the server gives it an id. */
export function ownKey(clientId) {
  return `own:${clientId}`;
}

function reactionsOf({ k, mk }) {
  const counts = Object.entries(isMap(k) ? k : {}).filter(([, count]) => maybeWhole(count) > 0);
  const mine = Array.isArray(mk) ? mk : [];
  return sorted(counts.map(([key, count]) => ({ key, count, mine: mine.includes(key) })));
}

function sorted(reactions) {
  return reactions.sort((one, other) => (one.key < other.key ? -1 : 1));
}

/** A message after an edit. */
export function edited(message, data) {
  const version = whole(data, "s");
  if (message.deleted) return { ...message, version };
  const changed = { ...message, editedAt: whole(data, "ed"), version };
  if (typeof data.m === "string") changed.text = data.m;
  if (data.x === null) delete changed.custom;
  else if (data.x !== undefined) changed.custom = data.x;
  return changed;
}

/** A message after its deletion. */
export function tombstone(message, data) {
  const { custom, editedAt, ...kept } = message;
  return { ...kept, text: "", reactions: [], deleted: true, version: whole(data, "s") };
}

/** A message after somebody set a reaction or took it back. */
export function reacted(message, data, me) {
  const [version, key, user, op] = [whole(data, "s"), text(data, "k"), text(data, "u"), text(data, "op")];
  if (message.deleted) return { ...message, version };
  const was = message.reactions.find((reaction) => reaction.key === key) ?? { key, count: 0, mine: false };
  const others = message.reactions.filter((reaction) => reaction.key !== key);
  const count = was.count + (op === "add" ? 1 : -1);
  const mine = user !== "" && user === me ? op === "add" : was.mine;
  const reactions = count > 0 ? sorted([...others, { key, count, mine }]) : others;
  return { ...message, reactions, version };
}

/** What an ack says. */
export function ackOf(data) {
  const { i, s, t, dup } = data;
  return present({ id: maybeText(i), seq: maybeWhole(s), time: maybeWhole(t), duplicate: dup === true });
}

/** Somebody in a roster. */
export function personOf(data, online) {
  const [id, name] = [text(data, "id"), text(data, "name")];
  return present({ id, name, icon: maybeText(data.icon), role: maybeText(data.ro) ?? "member", online });
}

/** Entries of the inbox. */
export function inboxOf(entries) {
  return entries.map((entry) => ({
    group: text(entry, "g"),
    seq: whole(entry, "s"),
    read: whole(entry, "rd"),
    unread: whole(entry, "n"),
  }));
}

/** A moderation of the log. */
export function moderationOf(data) {
  const { s, op, u, until, by } = data;
  return present({ seq: s, op: text({ op }, "op"), user: text({ u }, "u"), until: maybeWhole(until), by: text({ by }, "by") });
}

/**
 * A copy of what a page gives as custom data, as JSON has it: later changes of it change nothing here, and both encodings say the same.
 */
export function customOf(value) {
  try {
    return value === undefined ? undefined : JSON.parse(JSON.stringify(value));
  } catch (error) {
    throw new KijimunaError("invalid", `custom is no JSON: ${error.message}`, { cause: error });
  }
}
