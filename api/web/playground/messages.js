/** The list of messages of the open group: drawn anew where it changed, and kept where the reader has scrolled to. */

import { Actions } from "./actions.js";
import { announce, button, element, write } from "./dom.js";
import { authorOf, drawRow, rowNode } from "./message.js";
import { isSameRow, rowsOf } from "./rows.js";
import { counted, excerpt } from "./words.js";

/** So near to the newest counts as there. */
const END_PX = 48;
/** So near to the oldest the next page is asked for. */
const OLDER_PX = 240;
/** Pages that are asked for at most to find a message that was replied to. */
const JUMP_PAGES = 50;

export class MessageList {
  #hooks;
  #group;
  #state;
  #rows = new Map();
  #newAfter;
  #isLoading = false;
  #isAtEnd = true;
  /** The node whose buttons Tab reaches. */
  #reached;

  /**
   * @param {string} owner
   * @param {import("./message.js").Hooks & {me: string, isSeen: () => boolean, fail: (error: Error) => void}} hooks with those of `Actions`
   */
  constructor(owner, hooks) {
    this.#hooks = { ...hooks, jump: (id) => this.jump(id), closeGap: () => this.#try(this.#group.closeGaps()) };
    this.actions = new Actions({
      ...hooks,
      mayRemove: ({ own }) => own || this.#state?.role === "moderator",
      maySpeak: () => this.#state?.role !== "muted",
    });
    this.list = element("ol", { class: "rows" });
    this.older = element("p", { class: "older", "aria-hidden": "true" });
    this.scroller = element("div", { class: "scroller", role: "region", tabindex: "0", "aria-label": `Messages, as ${owner} sees them` }, this.older, this.list);
    this.newest = button("", () => this.toEnd(), { class: "newest", hidden: true });
    this.news = element("div", { class: "visually-hidden", role: "log", "aria-live": "polite", "aria-label": `News for ${owner}` });
    this.element = element("div", { class: "messages" }, this.scroller, this.newest, this.news);
    this.#listen();
  }

  #listen() {
    this.scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    this.scroller.addEventListener("keydown", (event) => this.#key(event));
    this.list.addEventListener("pointerover", ({ target }) => this.actions.isBusy || this.#pointTo(target.closest(".message")));
    this.list.addEventListener("pointerleave", ({ pointerType }) => pointerType === "mouse" && this.#pointAway());
    this.list.addEventListener("focusin", ({ target }) => this.#focused(target.closest(".message")));
    new ResizeObserver(() => this.#isAtEnd && this.#scrollToEnd()).observe(this.scroller);
  }

  /** Shows another group, or none. */
  open(group) {
    this.actions.leave();
    this.#group = group;
    this.#state = undefined;
    this.#rows.clear();
    this.list.replaceChildren();
    this.#newAfter = undefined;
    this.#isAtEnd = true;
    this.#showEdges();
  }

  /** How many of the others' messages are not read. What is in sight is, before the server knows. */
  get unread() {
    return this.#isRead() ? 0 : this.#unseen();
  }

  show(state) {
    const [before, unseenBefore] = [this.#state, this.#unseen()];
    const isFirst = !before?.messages.length && state.messages.length > 0;
    this.#state = state;
    const isNews = isFirst || (!this.#isRead() && unseenBefore === 0);
    if (isNews && this.#unseen() > 0) this.#newAfter = this.#readUpTo();
    const anchor = this.#isAtEnd ? undefined : this.#anchor();
    this.#draw(rowsOf(state, { me: this.#hooks.me, newAfter: this.#newAfter }));
    if (anchor) this.#hold(anchor);
    else this.#scrollToEnd();
    if (before && !isFirst) this.#announce(before);
    this.#readOn();
    this.#showEdges();
    this.#loadOlder();
  }

  /** The pane is seen now, or no more. */
  seen() {
    if (this.#state) this.show(this.#state);
  }

  /** The user has said something, so nothing above is new. */
  forgetNew() {
    this.#newAfter = undefined;
    this.#isAtEnd = true;
  }

  toEnd() {
    this.#isAtEnd = true;
    this.#scrollToEnd();
    this.#readOn();
    this.#showEdges();
    this.scroller.focus({ preventScroll: true });
  }

  /** Goes to a message, if need be through older pages. */
  async jump(id) {
    const group = this.#group;
    try {
      for (let page = 0; page < JUMP_PAGES && !this.#nodeOf(id) && group.state.more; page += 1) {
        await group.older(100);
        if (group !== this.#group) return;
        this.show(group.state);
      }
    } catch (error) {
      this.#hooks.fail(error);
    }
    const node = this.#nodeOf(id);
    if (!node) return this.#hooks.fail(new Error("That message isn’t kept any more."));
    this.#isAtEnd = false;
    node.scrollIntoView({ block: "center" });
    node.focus({ preventScroll: true });
    node.classList.remove("found");
    void node.offsetWidth; // So that the same message shines again.
    node.classList.add("found");
  }

  lastOwn() {
    return this.#state?.messages.findLast(({ own, status, deleted }) => own && status === "stored" && !deleted);
  }

  #nodeOf(id) {
    return this.list.querySelector(`[data-id="${CSS.escape(id)}"]`);
  }

  #draw(rows) {
    const keys = new Set(rows.map(({ key }) => key));
    for (const [key, { node }] of this.#rows) {
      if (keys.has(key)) continue;
      if (this.actions.key === key) this.actions.leave();
      node.remove();
      this.#rows.delete(key);
    }
    let place = this.list.firstChild;
    for (const row of rows) {
      const node = this.#drawn(row);
      if (node === place) place = place.nextSibling;
      else this.list.insertBefore(node, place);
    }
  }

  #drawn(row) {
    const known = this.#rows.get(row.key);
    if (known && isSameRow(known.row, row)) return known.node;
    const node = known?.node ?? rowNode(row);
    drawRow(node, row, this.#hooks);
    this.#rows.set(row.key, { node, row });
    reach(node, node === this.#reached);
    if (this.actions.key === row.key) this.actions.moveTo(node, row.message);
    return node;
  }

  /** The first row in sight and where it is, so that it can be put back there. */
  #anchor() {
    const top = this.scroller.getBoundingClientRect().top;
    const node = [...this.list.children].find((one) => one.getBoundingClientRect().bottom > top && one.matches(".message"));
    return node && { node, top: node.getBoundingClientRect().top };
  }

  #hold({ node, top }) {
    if (node.isConnected) this.scroller.scrollTop += node.getBoundingClientRect().top - top;
  }

  #scrollToEnd() {
    this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  #scrolled() {
    const { scrollHeight, scrollTop, clientHeight } = this.scroller;
    if (clientHeight === 0) return; // Its view is hidden.
    this.#isAtEnd = scrollHeight - scrollTop - clientHeight < END_PX;
    this.#readOn();
    this.#showEdges();
    this.#loadOlder();
  }

  #readUpTo() {
    const marker = this.#state?.markers.get(this.#hooks.me)?.read ?? 0;
    // Who has said something has read what was before.
    return Math.max(marker, this.#state?.messages.findLast(({ own, seq }) => own && seq > 0)?.seq ?? 0);
  }

  #unseen() {
    const read = this.#readUpTo();
    return this.#state?.messages.filter(({ seq, own, deleted }) => seq > read && !own && !deleted).length ?? 0;
  }

  #isRead() {
    return this.#isAtEnd && this.#hooks.isSeen();
  }

  /** What is in sight is read; what isn't has come, at least. */
  #readOn() {
    if (this.#state?.status !== "live" || this.#state.messages.length === 0) return;
    if (this.#isRead()) this.#group.read();
    else this.#group.received();
  }

  #showEdges() {
    const unread = this.unread;
    this.newest.hidden = this.#isAtEnd || !this.#state;
    write(this.newest, unread > 0 ? `↓ ${counted(unread, "new message")}` : "↓ Jump to newest");
    write(this.older, this.#beginning());
  }

  /** What stands above the first message. */
  #beginning() {
    if (!this.#state) return "Opening…";
    if (this.#isLoading) return "Loading what was said before…";
    if (this.#state.more) return "";
    return this.#state.messages.length > 0 ? "This is where it begins." : "Nothing was said here yet.";
  }

  async #loadOlder() {
    const isNear = this.scroller.scrollTop < OLDER_PX && this.scroller.clientHeight > 0;
    if (this.#isLoading || !isNear || !this.#state?.more || this.#state.status !== "live" || this.#state.messages.length === 0) return;
    this.#isLoading = true;
    this.#showEdges();
    await this.#try(this.#group.older());
    this.#isLoading = false;
    this.#showEdges();
  }

  async #try(promise) {
    try {
      await promise;
    } catch (error) {
      this.#hooks.fail(error);
    }
  }

  /** Says the newest message of the others, once, to those who hear the page. */
  #announce(before) {
    const last = this.#state.messages.findLast(({ own, seq }) => !own && seq > before.seq);
    const isWatched = this.element.closest(".pane")?.matches("[data-active]");
    if (last && isWatched) announce(this.news, `${authorOf(last, this.#hooks.nameOf)}: ${excerpt(last.text, 200)}`);
  }

  /** Tab reaches the buttons of the message that is focused, and not those of all the others. */
  #focused(node) {
    if (node !== this.#reached) {
      if (this.#reached) reach(this.#reached, false);
      if (node) reach(node, true);
      this.#reached = node;
    }
    this.#pointTo(node);
  }

  #pointAway() {
    const node = this.actions.element.closest(".message");
    if (node && !this.actions.isBusy && !node.contains(document.activeElement)) this.actions.leave();
  }

  #pointTo(node) {
    if (!node || node.contains(this.actions.element)) return;
    this.actions.moveTo(node, this.#rows.get(node.dataset.key).row.message);
  }

  /** Arrow keys go from message to message; Tab then reaches what can be done with it. */
  #key(event) {
    const messages = [...this.list.querySelectorAll(".message")];
    const at = messages.indexOf(document.activeElement);
    if (at < 0 && event.target !== this.scroller) return;
    const last = messages.length - 1;
    const next = { ArrowUp: at < 0 ? last : Math.max(0, at - 1), ArrowDown: at < 0 ? last : Math.min(last, at + 1), Home: 0, End: last }[event.key];
    if (event.key === "Escape") this.scroller.focus({ preventScroll: true });
    else if (next === undefined) return;
    else messages[next]?.focus({ preventScroll: true });
    messages[next]?.scrollIntoView({ block: "nearest" });
    event.preventDefault();
  }
}

function reach(node, isReached) {
  for (const one of node.querySelectorAll(".content button")) if (!one.closest(".failure")) one.tabIndex = isReached ? 0 : -1;
}
