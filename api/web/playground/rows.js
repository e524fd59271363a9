/** The rows of a list of messages, from a group's state. Pure: nothing is drawn here. */

import { dayKey } from "./words.js";

/** Messages of one author that follow within this time stand together. */
const TOGETHER_MS = 5 * 60_000;

/**
 * @typedef {object} Row
 * @property {string} key the same for the same thing from one state to the next
 * @property {"day" | "new" | "gap" | "message"} type
 */

/**
 * @param {import("/client/kijimuna.d.ts").GroupState} state
 * @param {{me: string, newAfter: number | undefined}} view `newAfter` is the sequence after which messages are marked as new
 * @returns {Row[]}
 */
export function rowsOf(state, { me, newAfter }) {
  const byId = new Map(state.messages.map((message) => [message.id, message]));
  const divider = firstNew(state, newAfter);
  const seen = lastSeen(state, me);
  const gaps = [...state.gaps];
  const rows = [];
  let before;
  for (const message of state.messages) {
    const rowsBefore = rows.length;
    while (gaps.length > 0 && message.seq >= gaps[0].before) rows.push(gapRow(gaps.shift()));
    if (!before || dayKey(before.time) !== dayKey(message.time)) rows.push({ key: `day ${dayKey(message.time)}`, type: "day", time: message.time });
    if (message === divider) rows.push({ key: "new", type: "new" });
    const isApart = rows.length > rowsBefore || !before || !isTogether(before, message);
    rows.push(messageRow(message, { state, me, byId, isApart, seen }));
    before = message;
  }
  return rows.concat(gaps.map(gapRow));
}

/** The message that the divider stands before, if what is before it is held, too. */
function firstNew({ messages, more }, newAfter) {
  if (newAfter === undefined) return undefined;
  const first = messages.findIndex(({ seq, own }) => seq > newAfter && !own);
  const isWhole = !more || messages.some(({ seq }) => seq > 0 && seq <= newAfter);
  return first >= 0 && isWhole ? messages[first] : undefined;
}

function gapRow({ after, before }) {
  return { key: `gap ${after}`, type: "gap", after, before };
}

function isTogether(one, next) {
  const isPlain = one.user !== "" && next.replyTo === undefined;
  return isPlain && one.user === next.user && next.time - one.time < TOGETHER_MS;
}

function messageRow(message, { state, me, byId, isApart, seen }) {
  const receipt = message.own ? receiptOf(message, state, me) : {};
  const quoted = message.replyTo === undefined ? undefined : (byId.get(message.replyTo) ?? null);
  return { key: message.key, type: "message", message, isApart, quoted, ...receipt, seenBy: seen.get(message.key)?.join() };
}

const othersIn = ({ roster }, me) => roster.filter(({ id }) => id !== me);

/** How far an own message has come: where it stopped on its way, or whether the others have received and read it. */
function receiptOf(message, state, me) {
  if (message.deleted) return {};
  if (message.status !== "stored") return { receipt: message.status };
  const others = othersIn(state, me);
  const have = (kind) => others.filter(({ id }) => (state.markers.get(id)?.[kind] ?? 0) >= message.seq);
  const readers = have("read");
  const isBy = (some) => others.length > 0 && some.length === others.length;
  const receipt = isBy(readers) ? "read" : isBy(have("received")) ? "received" : "stored";
  return { receipt, readers: readers.map(({ id }) => id).join() };
}

/** By key of an own message, whose reading has come to it and not yet to the next. */
function lastSeen(state, me) {
  const own = state.messages.filter((message) => message.own && !message.deleted && message.status === "stored");
  const seen = new Map();
  for (const { id } of othersIn(state, me)) {
    const last = own.findLast(({ seq }) => seq <= (state.markers.get(id)?.read ?? 0));
    if (last) seen.set(last.key, [...(seen.get(last.key) ?? []), id]);
  }
  return seen;
}

/** Whether two rows look the same. */
export function isSameRow(one, other) {
  return Object.keys(one).length === Object.keys(other).length && Object.keys(one).every((name) => one[name] === other[name]);
}
