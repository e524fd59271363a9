/** How a row of the list of messages is drawn. */

import { avatar, button, element, hidden } from "./dom.js";
import { dayOf, excerpt, momentOf, namesOf, timeOf, whatFailed } from "./words.js";

const RECEIPTS = {
  waiting: ["◷", "Waits for a connection"],
  sending: ["◷", "On its way"],
  failed: ["!", "Not sent"],
  stored: ["✓", "Stored"],
  received: ["✓✓", "Received by everyone"],
  read: ["✓✓", "Read by everyone"],
};

/**
 * @typedef {object} Hooks what a message needs of its list
 * @property {(user: string) => string} nameOf
 * @property {(user: string) => number} hueOf
 * @property {(id: string) => void} jump to the message that was replied to
 * @property {(message: object, key: string) => void} toggleReaction
 * @property {(message: object) => void} retry
 * @property {(message: object) => void} discard
 * @property {() => void} closeGap
 */

/** The node of a row, empty but for what never changes. What is drawn goes into `.content`; the bar of actions stands beside it. */
export function rowNode(row) {
  if (row.type !== "message") return element("li", { class: row.type });
  return element("li", { class: "message", tabindex: "-1", "data-key": row.key }, element("div", { class: "body" }, element("div", { class: "content" })));
}

/** Draws a row into its node, which may hold an earlier version of it. */
export function drawRow(node, row, hooks) {
  if (row.type === "day") node.replaceChildren(element("span", {}, dayOf(row.time)));
  else if (row.type === "new") node.replaceChildren(element("span", {}, "New"));
  else if (row.type === "gap") node.replaceChildren(element("span", {}, "Messages may be missing here. "), button("Load them", hooks.closeGap, { class: "quiet" }));
  else drawMessage(node, row, hooks);
}

function drawMessage(node, row, hooks) {
  const { message, isApart, receipt } = row;
  Object.assign(node.dataset, { id: message.id, own: message.own, apart: isApart, status: message.status, kind: kindOf(message) });
  const part = document.activeElement?.dataset?.part;
  const hadFocus = part && node.contains(document.activeElement);
  node.querySelector(".content").replaceChildren(
    ...(isApart && !message.own ? [author(message, hooks)] : []),
    element("div", { class: "bubble" }, quote(row, hooks), words(message), meta(row, hooks)),
    ...reactions(message, hooks),
    ...(receipt === "failed" ? [failure(message, hooks)] : []),
    ...seenBy(row, hooks),
  );
  if (hadFocus) (node.querySelector(`[data-part="${CSS.escape(part)}"]`) ?? node).focus({ preventScroll: true });
}

function kindOf({ user, erased, deleted }) {
  if (deleted) return "tombstone";
  if (erased) return "erased";
  return user === "" ? "system" : "plain";
}

export function authorOf({ user, erased, own }, nameOf) {
  if (own) return "You";
  if (user !== "") return nameOf(user);
  return erased ? "Somebody who was erased" : "The server";
}

function author(message, { nameOf, hueOf }) {
  const name = authorOf(message, nameOf);
  const sign = message.user === "" ? null : avatar(name, hueOf(message.user));
  return element("div", { class: "author" }, sign, name);
}

function words({ text, deleted, own }) {
  if (deleted) return element("p", { class: "text gone" }, "This message was deleted.");
  return element("p", { class: "text" }, own && hidden("You: "), text);
}

function quote({ message, quoted }, { nameOf, jump }) {
  if (quoted === undefined || message.deleted) return null;
  const [by, text] = quoted === null ? ["An earlier message", "Show it"] : [authorOf(quoted, nameOf), quoted.deleted ? "This message was deleted." : excerpt(quoted.text)];
  return button([hidden("In reply to "), element("b", {}, by), element("span", {}, text)], () => jump(message.replyTo), { class: "quote", "data-part": "quote" });
}

function meta({ message, receipt, readers }, { nameOf }) {
  const time = element("time", { datetime: new Date(message.time).toISOString(), title: momentOf(message.time) }, timeOf(message.time));
  return element("div", { class: "meta" },
    message.editedAt !== undefined && element("span", { title: momentOf(message.editedAt) }, "edited"),
    time,
    receipt && receiptSign(receipt, readers, nameOf));
}

function receiptSign(receipt, readers, nameOf) {
  const [sign, meaning] = RECEIPTS[receipt];
  const names = readers ? readers.split(",").map(nameOf) : [];
  const said = names.length > 0 ? `Read by ${namesOf(names)}` : meaning;
  return element("span", { class: "receipt", "data-receipt": receipt, title: said }, element("span", { "aria-hidden": "true" }, sign), hidden(said));
}

function seenBy({ seenBy: users }, { nameOf, hueOf }) {
  if (!users) return [];
  const ids = users.split(",");
  const names = namesOf(ids.map(nameOf));
  return [element("div", { class: "seen", title: `Read by ${names}`, "aria-hidden": "true" }, "Read by ", ids.map((id) => avatar(nameOf(id), hueOf(id))))];
}

function reactions(message, { toggleReaction }) {
  if (message.reactions.length === 0) return [];
  const chip = ({ key, count, mine }) =>
    button([key, " ", element("span", { class: "number" }, String(count)), hidden(count === 1 ? " reaction" : " reactions")],
      () => toggleReaction(message, key), { "aria-pressed": String(mine), "data-part": `reaction ${key}` });
  return [element("div", { class: "reactions" }, message.reactions.map(chip))];
}

function failure(message, { retry, discard }) {
  const why = message.error ? whatFailed(message.error) : "it was refused";
  return element("div", { class: "failure", role: "alert" }, element("span", {}, `Not sent: ${why}`),
    button("Try again", () => retry(message), { class: "quiet", "data-part": "retry" }),
    button("Discard", () => discard(message), { class: "quiet", "data-part": "discard" }));
}
