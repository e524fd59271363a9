/** A group as it is shown: what the server tells goes in, events and the state come out. Nothing is asked for here. */

import * as frames from "./frames.js";
import { ACTION, present } from "./frames.js";
import { People } from "./people.js";
import { Standing } from "./standing.js";
import { Timeline } from "./timeline.js";

/**
 * @typedef {object} Hooks
 * @property {() => string} user whose view it is
 * @property {() => number} seen the last event of the log that was seen
 * @property {() => void} changed something is another way now
 * @property {(name: string, event: unknown) => void} emit
 * @property {(message: object) => void} said a message came in the log or in a page
 */

export class View {
  timeline;
  #people;
  #standing;
  /** @type {Hooks} */
  #hooks;

  constructor({ keep, clock }, hooks) {
    this.timeline = new Timeline(keep);
    this.#people = new People(clock, () => this.#tellTyping());
    this.#standing = new Standing(clock, () => hooks.changed());
    this.#hooks = hooks;
  }

  /** How far this user has come. */
  get marker() {
    return this.#people.marker(this.#hooks.user());
  }

  /** The parts of the state that stand here. */
  get state() {
    const [timeline, people] = [this.timeline, this.#people];
    return {
      messages: timeline.messages,
      more: timeline.more,
      gaps: timeline.gaps,
      roster: people.roster,
      rosterWhole: people.whole,
      online: people.online,
      markers: people.markers,
      typing: people.typing,
      typingCount: people.typingCount,
      role: this.#standing.role,
      mutedUntil: this.#standing.mutedUntil,
    };
  }

  /** The group welcomes the user, in this role, where its log stands at this sequence. */
  welcomed(role, seq, mutedUntil) {
    this.#standing.show(role, seq, mutedUntil);
  }

  /** A message of the user's was stored now. */
  acked(seq) {
    this.#standing.said(seq);
  }

  /** Nothing is told any more, so nothing is to end by itself. */
  end() {
    this.forgetTyping();
    this.#standing.stop();
  }

  /** The people are those of another group. */
  forgetPeople() {
    this.#people.reset();
  }

  /** What is told only while it happens isn't known without a connection. */
  forgetTyping() {
    this.#people.forgetTyping();
  }

  showRoster(data) {
    this.#people.showRoster(data);
    this.#showPeople();
  }

  /** Answers whether it is the next change; if it isn't, one is missing. */
  showRosterDelta(data) {
    const isNext = this.#people.showDelta(data);
    if (isNext) this.#showPeople();
    return isNext;
  }

  showMarker(data) {
    this.#mark(frames.text(data, "u"), { read: frames.whole(data, "rd"), received: frames.whole(data, "rc") });
  }

  showTyping(data) {
    if (this.#people.showTyping(data)) this.#tellTyping();
  }

  showWhisper(data) {
    this.#hooks.emit("whisper", { user: frames.text(data, "p"), custom: data.x });
  }

  /**
   * A page: every message from `lower` up to but not including `upper`, as far as was `known` when it was asked for. It is taken in where it
   * touches what is held.
   */
  showPage(data, { lower, upper, known }) {
    const messages = this.messagesOf(data);
    if (lower <= upper) this.timeline.cover(lower, upper, messages, known);
    for (const message of messages) this.#hooks.said(message);
    // The newest first, so that nobody's marker moves more than once.
    for (const message of [...messages].reverse()) this.#hasRead(message);
    this.#hooks.changed();
    const page = { messages: messages.map((message) => this.timeline.get(message.id) ?? message), more: data.more === true };
    this.#hooks.emit("history", page);
    return page;
  }

  /** The messages of a page. */
  messagesOf(data) {
    return frames.list(data, "h").map((message) => frames.messageOf(message, this.#hooks.user()));
  }

  /** What an event of the log does when it is its turn. It is read before that: one that can't be read takes no place. */
  event(action, data) {
    switch (action) {
      case ACTION.MESSAGE: {
        const message = frames.messageOf(data, this.#hooks.user());
        return () => this.#showMessage(message);
      }
      case ACTION.EDIT:
        frames.whole(data, "ed");
        return this.#change("edit", data, { by: frames.text(data, "by") }, frames.edited);
      case ACTION.DELETE:
        return this.#change("delete", data, { by: frames.text(data, "by") }, frames.tombstone);
      case ACTION.REACTION: {
        const details = { user: frames.text(data, "u"), key: frames.text(data, "k"), set: frames.text(data, "op") === "add" };
        return this.#change("reaction", data, details, frames.reacted);
      }
      case ACTION.MODERATION: {
        const moderation = frames.moderationOf(data);
        return () => this.#showModeration(moderation);
      }
      default:
        // An action that this client doesn't know yet takes its place in the log, too.
        return () => this.#hooks.changed();
    }
  }

  #change(name, data, details, change) {
    const [id, seq] = [frames.text(data, "i"), data.s];
    return () => {
      const message = this.timeline.change(id, seq, (held) => change(held, data, this.#hooks.user()));
      this.#hooks.changed();
      this.#hooks.emit(name, present({ id, seq, ...details, message }));
    };
  }

  #showMessage(message) {
    this.timeline.append(message);
    this.#hooks.said(message);
    this.#hasRead(message);
    if (this.#people.stopTyping(message.user)) this.#tellTyping();
    this.#hooks.changed();
    this.#hooks.emit("message", message);
  }

  /** A sender has read what it says; nobody is told of that. */
  #hasRead({ user, own, seq }) {
    if (user !== "" && (this.#people.whole || own)) this.#mark(user, { read: seq });
  }

  #showModeration(moderation) {
    if (moderation.user === this.#hooks.user()) {
      if (moderation.op === "mute") this.#standing.show("muted", moderation.seq, moderation.until);
      if (moderation.op === "unmute") this.#standing.unmute(moderation.seq);
    }
    this.#hooks.changed();
    this.#hooks.emit("moderation", moderation);
  }

  #showPeople() {
    const role = this.#people.person(this.#hooks.user())?.role;
    if (role !== undefined && role !== this.#standing.role) this.#standing.show(role, this.#hooks.seen());
    this.#hooks.changed();
    this.#hooks.emit("roster", this.#people.roster);
  }

  #mark(user, marker) {
    if (!this.#people.mark(user, marker)) return;
    this.#hooks.changed();
    this.#hooks.emit("marker", { user, ...this.#people.marker(user) });
  }

  #tellTyping() {
    this.#hooks.changed();
    this.#hooks.emit("typing", this.#people.typing);
  }
}
