/** Times, numbers and lists of names, as people write them. */

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });
const dayOfYear = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long", year: "numeric" });
const all = new Intl.ListFormat("en", { type: "conjunction" });

export const timeOf = (ms) => clock.format(ms);
export const momentOf = (ms) => exact.format(ms);
export const dayKey = (ms) => new Date(ms).toDateString();
export const namesOf = (names) => all.format(names);

export function dayOf(ms) {
  const day = dayKey(ms);
  const now = new Date();
  if (day === now.toDateString()) return "Today";
  now.setDate(now.getDate() - 1);
  return day === now.toDateString() ? "Yesterday" : dayOfYear.format(ms);
}

/** Why nothing can be said, to who is muted. */
export function mutedLine(until) {
  if (until === undefined) return "You are muted until further notice.";
  const day = dayKey(until) === dayKey(Date.now()) ? "" : `${dayOfYear.format(until)}, `;
  return `You are muted until ${day}${timeOf(until)}.`;
}

export function typingLine(names) {
  if (names.length === 0) return "";
  if (names.length > 3) return "Several people are typing…";
  return `${namesOf(names)} ${names.length === 1 ? "is" : "are"} typing…`;
}

export const badge = (unread) => (unread > 99 ? "99+" : String(unread));

export function counted(number, one, more = `${one}s`) {
  return `${number} ${number === 1 ? one : more}`;
}

/** The beginning of a text, on one line. */
export function excerpt(text, longest = 90) {
  const line = text.replace(/\s+/g, " ").trim();
  const characters = [...line];
  return characters.length > longest ? `${characters.slice(0, longest).join("")}…` : line;
}

/** What went wrong, with the word that the protocol has for it. */
export function whatFailed(error) {
  return error.code ? `${error.message} (${error.code})` : String(error.message ?? error);
}
