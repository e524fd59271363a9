/** What goes wrong, in words that a program can act on. */

/** The code of what comes too fast. */
export const RATE_LIMITED = "rate_limited";

/** The one class of errors that this client throws, rejects with and tells of. */
export class KijimunaError extends Error {
  /**
   * @param {string} code a word of the server's table, or one of the client's own
   * @param {string} message what is wrong, for a person
   * @param {{temporary?: boolean, uncertain?: boolean, retryAfter?: number, closeCode?: number, cause?: unknown}} [details]
   */
  constructor(code, message, { temporary = false, uncertain = false, retryAfter, closeCode, cause } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "KijimunaError";
    this.code = code;
    this.temporary = temporary;
    if (uncertain) this.uncertain = true;
    if (retryAfter !== undefined) this.retryAfter = retryAfter;
    if (closeCode !== undefined) this.closeCode = closeCode;
  }
}

/** An error as it stands for something that was sent and isn't answered: it may have been done all the same. */
export function uncertainly({ code, message, temporary, retryAfter, closeCode, cause }) {
  return new KijimunaError(code, message, { temporary, uncertain: true, retryAfter, closeCode, cause });
}

/** With these the server says that it doesn't know what was done. */
const UNCERTAIN = new Set(["group_unavailable", "internal", "timeout"]);

/** The data of an error frame. */
export function refusalOf({ c, m, tmp, ra }) {
  const retryAfter = Number.isFinite(ra) ? Math.max(ra, 0) : undefined;
  const details = { temporary: tmp === true, uncertain: UNCERTAIN.has(c), retryAfter };
  return new KijimunaError(textOr(c, "unknown"), textOr(m, "the server doesn't say why"), details);
}

function textOr(value, other) {
  return typeof value === "string" ? value : other;
}

/** From here on, up to 4999, a close code means that coming back is of no use. */
const FINAL = 4500;

/** A closed socket: whether to come back is in its code, as the protocol's table has it. */
export function closeOf(code, reason) {
  const temporary = !(code >= FINAL && code <= 4999);
  return new KijimunaError(`close_${code}`, reason || "the connection was lost", { temporary, closeCode: code });
}
