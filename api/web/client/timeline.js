/**
 * The messages of a group that the client holds: in order, the newest version of each, and what it knows to be missing.
 *
 * Everything from `floor` on is held, but for gaps. Below `doubt` what is held may be out of date: it was got before a gap, and
 * changes that were made in the gap weren't heard. Pages from `doubt` downwards put that right.
 */
export class Timeline {
  #byId = new Map();
  /** By sequence. */
  #ordered = [];
  #listed;
  #gaps = [];
  #floor = 1;
  #doubt = 0;
  #keep;

  /** @param {number} keep messages that are held at most */
  constructor(keep) {
    this.#keep = keep;
  }

  /** Holds nothing of a log that ends here. */
  reset(head) {
    this.#byId.clear();
    this.#ordered = [];
    this.#listed = undefined;
    this.#gaps = [];
    this.#floor = head + 1;
    this.#doubt = 0;
  }

  get floor() {
    return this.#floor;
  }

  /** History may hold more before what is held. */
  get more() {
    return this.#floor > 1;
  }

  get gaps() {
    return this.#gaps;
  }

  /** Below this sequence a page is needed; 0 when everything is known to be right. */
  get doubt() {
    return this.#doubt;
  }

  /** The messages in order. The same list until something changes. */
  get messages() {
    return (this.#listed ??= [...this.#ordered]);
  }

  get(id) {
    return this.#byId.get(id);
  }

  /** Takes a message in, unless a newer version of it is held. Answers with what is held then. */
  put(message) {
    const held = this.#byId.get(message.id);
    if (held && (held.version > message.version || held.seq !== message.seq)) return held;
    const index = this.#indexOf(message.seq);
    // A place in the log is one message's, whatever a server says.
    if (!held && this.#ordered[index]?.seq === message.seq) return this.#ordered[index];
    this.#ordered.splice(index, held ? 1 : 0, message);
    this.#byId.set(message.id, message);
    this.#listed = undefined;
    return message;
  }

  /** Takes a new message in, and lets the oldest go when there are too many. */
  append(message) {
    this.put(message);
    const excess = this.#ordered.length - this.#keep;
    if (excess > 0) this.#dropBelow(this.#ordered[excess].seq);
    return message;
  }

  /** Changes a message with an event of this sequence, unless it isn't held or has that change already. */
  change(id, seq, change) {
    const held = this.#byId.get(id);
    return held && seq > held.version ? this.put(change(held)) : held;
  }

  /** What came after one sequence up to another was missed. */
  miss(after, upto) {
    this.#gaps = [...this.#gaps, { after, before: upto + 1 }];
    this.#doubt = upto + 1;
  }

  /**
   * Takes a page in that holds every message from `lower` up to but not including `upper`, as far as `known`, which was there when it was
   * asked for. Answers whether it was of any use: one that doesn't touch what is held isn't taken.
   */
  cover(lower, upper, messages, known) {
    if (upper < this.#floor) return false;
    this.#dropGone(lower, Math.min(upper, known + 1), messages);
    for (const message of messages) this.put(message);
    this.#floor = Math.min(this.#floor, lower);
    if (lower < this.#doubt && upper >= this.#doubt) this.#doubt = lower > this.#floor ? lower : 0;
    this.#gaps = this.#gaps.map((gap) => clipped(gap, lower, upper)).filter(({ after, before }) => before > after + 1);
    return true;
  }

  /** Gives up what may be out of date, if no gap lies above it. */
  dropDoubtful() {
    if (this.#doubt > 0 && this.#gaps.length === 0) this.#dropBelow(this.#doubt);
  }

  /** What history should have there and hasn't is no more. */
  #dropGone(lower, upper, messages) {
    const there = new Set(messages.map(({ seq }) => seq));
    const held = this.#ordered.slice(this.#indexOf(lower), this.#indexOf(upper));
    const gone = new Set(held.filter(({ seq }) => !there.has(seq)));
    if (gone.size === 0) return;
    for (const { id } of gone) this.#byId.delete(id);
    this.#ordered = this.#ordered.filter((message) => !gone.has(message));
    this.#listed = undefined;
  }

  #dropBelow(floor) {
    const count = this.#indexOf(floor);
    for (const { id } of this.#ordered.splice(0, count)) this.#byId.delete(id);
    this.#listed = undefined;
    this.#floor = floor;
    if (this.#doubt <= floor) this.#doubt = 0;
    this.#gaps = this.#gaps.filter(({ before }) => before > floor);
  }

  /** Where a message with this sequence stands, or would stand. */
  #indexOf(seq) {
    let [low, high] = [0, this.#ordered.length];
    // What is new mostly comes last.
    if (high > 0 && this.#ordered[high - 1].seq < seq) return high;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#ordered[middle].seq < seq) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** What is left of a gap once everything from `lower` to before `upper` is held. */
function clipped({ after, before }, lower, upper) {
  if (upper >= before) return { after, before: Math.min(before, lower) };
  return lower <= after + 1 ? { after: Math.max(after, upper - 1), before } : { after, before };
}
