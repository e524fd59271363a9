/** One user's chat: a connection that is the user's own, the list of the user's groups, and the one that is open. */

import { connect } from "/kijimuna.js";
import { Composer } from "./composer.js";
import { avatar, button, element, hidden, write } from "./dom.js";
import { GroupList } from "./groups.js";
import { MessageList } from "./messages.js";
import { Roster } from "./roster.js";
import { mutedLine, typingLine, whatFailed } from "./words.js";

const STATES = { connecting: "connecting…", live: "online", waiting: "reconnecting…", closed: "closed" };

export class Pane {
  #user;
  #tenant;
  #wire;
  #token;
  #changed;
  #chat;
  #group;
  /** The group that is wanted: the one that is open, or about to be. */
  #wanted;
  #unread = new Map();
  /** What was being written in the groups that aren't open. */
  #drafts = new Map();
  /** Ends hearing of the open group. */
  #stops = [];
  #isShown = true;
  #isComingBack = false;
  /** The group whose end the note tells of. */
  #overGroup;
  encoding = "json";

  /**
   * @param {{id: string, name: string}} user
   * @param {object} world
   * @param {import("./tenant.js").Tenant} world.tenant
   * @param {import("./wire.js").Wire} world.wire
   * @param {() => Promise<string>} world.token
   * @param {() => void} world.changed the name, the state or the unread count is another one
   */
  constructor(user, { tenant, wire, token, changed }) {
    this.#user = user;
    this.#tenant = tenant;
    this.#wire = wire;
    this.#token = token;
    this.#changed = changed;
    this.#build();
  }

  #build() {
    const { id: me, name } = this.#user;
    const people = { me, nameOf: (id) => this.#nameOf(id), hueOf: (id) => this.#tenant.hueOf(id) };
    const fail = (error) => this.#fail(error);
    const change = (promise) => promise.catch(fail);
    this.messages = new MessageList(name, {
      ...people,
      fail,
      isSeen: () => this.#isShown && !document.hidden,
      toggleReaction: ({ id, reactions }, key) => change(reactions.some((one) => one.key === key && one.mine) ? this.#group.unreact(id, key) : this.#group.react(id, key)),
      reply: (message) => this.composer.reply(message),
      edit: (message) => this.composer.edit(message),
      remove: ({ id }) => change(this.#group.remove(id)),
      retry: ({ clientId }) => this.#group.retry(clientId).catch(() => {}),
      discard: ({ clientId }) => this.#group.discard(clientId),
    });
    this.composer = new Composer(name, {
      nameOf: people.nameOf,
      send: (text, replyTo) => this.#send(text, replyTo),
      edit: ({ id }, text) => change(this.#group.edit(id, text)),
      // What the muted type nobody may see; the server would refuse it.
      typing: (isTyping) => this.#group && this.#group.state.role !== "muted" && this.#group.typing(isTyping),
      lastOwn: () => this.messages.lastOwn(),
    });
    this.groups = new GroupList(name, (group) => this.open(group));
    this.roster = new Roster(people);
    this.state = element("span", { class: "state", role: "status" });
    this.toggle = button("Go offline", () => this.#switch(), { class: "quiet" });
    this.note = element("div", { class: "note", role: "alert" });
    this.typing = element("p", { class: "typing", "aria-live": "polite" });
    this.element = element("article", { class: "pane", id: `view-${me}`, "aria-label": `${name}’s chat`, "data-user": me },
      element("header", { class: "pane-head" }, avatar(name, this.#tenant.hueOf(me)), element("h3", {}, name), this.state, this.toggle),
      this.groups.element, this.roster.element, this.note, this.messages.element, this.typing, this.composer.element);
  }

  get unread() {
    return [...this.#unread.values()].reduce((sum, count) => sum + count, 0);
  }

  show(isShown) {
    if (this.#isShown === isShown) return;
    this.#isShown = isShown;
    this.seen();
  }

  /** Whether the pane is in sight may be another now. */
  seen() {
    this.messages.seen();
  }

  /** Connects anew, in the pane's encoding. */
  connect() {
    const before = this.#chat;
    this.#chat = undefined;
    this.#stopHearing();
    before?.close();
    const chat = connect(location.origin, () => this.#freshToken(), { encoding: this.encoding, WebSocket: this.#wire.WebSocket });
    this.#chat = chat;
    chat.on("state", (state) => chat === this.#chat && this.#showState(state));
    chat.on("inbox", (entries) => this.#heardInbox(entries));
    chat.on("error", (error) => this.#fail(error));
    this.#showState(chat.state);
    this.open(this.#wanted ?? this.#tenant.groupsOf(this.#user.id)[0].id);
  }

  close() {
    this.#chat?.close({ leave: true });
    this.#chat = undefined;
  }

  /** Leaves the open group, so that the inbox tells of it, and comes into another. */
  async open(id) {
    const [chat, left] = [this.#chat, this.#group];
    if (left?.id === id) return;
    this.#keepDraft(id);
    this.#wanted = id;
    this.#stopHearing();
    this.messages.open(undefined);
    this.#showGroups();
    try {
      if (left) this.#leaveWhenSent(left);
      const group = await chat.join(id);
      if (chat !== this.#chat) return;
      if (this.#wanted !== id) return this.#leaveWhenSent(group);
      this.#enter(group);
      if (left) await this.#askInbox();
    } catch (error) {
      if (chat === this.#chat && this.#wanted === id && error.code !== "closed") this.#fail(error);
    }
  }

  #enter(group) {
    this.#group = group;
    this.messages.open(group);
    this.messages.element.dataset.group = group.id;
    this.#stops = [
      group.on("change", (state) => this.#showGroup(state)),
      group.on("delete", ({ id }) => this.composer.forget(id)),
      group.on("left", ({ why }) => why && this.#removed(group.id, why)),
    ];
    this.#showGroup(group.state);
  }

  #stopHearing() {
    for (const stop of this.#stops) stop();
    this.#stops = [];
    this.#group = undefined;
  }

  /** What waits to be sent would be lost with the group, so it goes first. */
  #leaveWhenSent(group) {
    const isSent = () => !group.state.messages.some(({ status }) => status === "waiting" || status === "sending");
    const leave = () => group.state.status !== "left" && this.#wanted !== group.id && group.leave().catch(() => {});
    if (isSent()) return leave();
    const stop = group.on("change", () => {
      if (!isSent()) return;
      stop();
      leave();
    });
  }

  #keepDraft(next) {
    if (this.#wanted === next) return;
    if (this.#wanted !== undefined) this.#drafts.set(this.#wanted, this.composer.draft);
    this.composer.draft = this.#drafts.get(next) ?? "";
  }

  #showGroup(state) {
    this.messages.show(state);
    this.roster.show(state);
    write(this.typing, typingLine(state.typing.map((id) => this.#nameOf(id))));
    this.#unread.set(this.#group.id, this.messages.unread);
    this.#showGroups();
  }

  /** The server took the user out of the open group. */
  #removed(id, why) {
    this.#unread.delete(id);
    this.#drafts.delete(id);
    this.#wanted = undefined;
    this.#tenant.forget(this.#user.id, id);
    this.#fail(new Error(`“${this.#tenant.groupName(id, this.#user.id)}” is over for ${this.#user.name}: ${why.message}`));
    this.#overGroup = id;
    this.#showGroups();
  }

  #showGroups() {
    const groups = this.#tenant.groupsOf(this.#user.id).map((group) => ({ ...group, name: this.#tenant.groupName(group.id, this.#user.id) }));
    this.groups.show(groups, this.#unread, this.#wanted);
    const { status, role, mutedUntil } = this.#group?.state ?? { status: "left" };
    const isMuted = status !== "left" && role === "muted";
    this.composer.enable(status !== "left" && !isMuted, isMuted ? mutedLine(mutedUntil) : "");
    this.#changed();
  }

  #heardInbox(entries) {
    for (const { group, unread } of entries) {
      this.#tenant.attends(this.#user.id, group);
      if (group === this.#overGroup) this.#hideNote();
      if (group !== this.#group?.id) this.#unread.set(group, unread);
    }
    this.#showGroups();
  }

  async #askInbox() {
    const chat = this.#chat;
    const entries = await chat.inbox().catch(() => []);
    if (chat === this.#chat) this.#heardInbox(entries);
  }

  // The connection.

  #freshToken() {
    if (!this.#wire.isUp) throw new Error(`${this.#user.name} is offline`);
    return this.#token();
  }

  #switch() {
    if (!this.#wire.isUp) this.#goOnline();
    else if (this.#chat.state.status === "closed") this.connect();
    else this.#goOffline();
  }

  #goOffline() {
    this.#wire.cut();
    this.#showState(this.#chat.state);
  }

  #goOnline() {
    this.#wire.mend();
    // A try that is under way has failed already and will be told of in a moment.
    this.#isComingBack = this.#chat.state.status !== "waiting";
    this.#chat.wake();
    this.#showState(this.#chat.state);
  }

  #showState(state) {
    const { status, why } = state;
    const isOffline = !this.#wire.isUp;
    this.element.dataset.state = isOffline ? "offline" : status;
    write(this.state, isOffline ? "offline" : status === "closed" && why ? `closed: ${why.message}` : STATES[status]);
    write(this.toggle, isOffline ? "Go online" : status === "closed" ? "Connect" : "Go offline");
    if (status === "live") {
      this.#isComingBack = false;
      this.#hideNote();
      this.#askInbox();
    } else if (status === "waiting" && this.#isComingBack) {
      this.#isComingBack = false;
      this.#chat.wake();
    }
    this.#changed();
  }

  // What the user does.

  #send(text, replyTo) {
    this.messages.forgetNew();
    // What becomes of it is seen at the message itself.
    this.#group?.send(text, replyTo === undefined ? {} : { replyTo }).catch(() => {});
  }

  #hideNote() {
    this.#overGroup = undefined;
    this.note.replaceChildren();
  }

  #fail(error) {
    this.#hideNote();
    const close = button([hidden("Hide this"), element("span", { "aria-hidden": "true" }, "×")], () => this.#hideNote(), { class: "quiet" });
    this.note.replaceChildren(element("span", {}, whatFailed(error)), close);
  }

  #nameOf(id) {
    return this.#group?.state.roster.find((person) => person.id === id)?.name ?? this.#tenant.nameOf(id);
  }
}
