/** What can be done with a message: a bar of buttons that stands at the one that is pointed at or focused, and a small picker. */

import { button, element, hidden } from "./dom.js";

const REACTIONS = [["👍", "thumbs up"], ["❤️", "heart"], ["😂", "laughing"], ["🎉", "party"], ["👀", "eyes"], ["🐙", "octopus"]];

export class Actions {
  #hooks;
  #message;

  /**
   * @param {object} hooks
   * @param {(message: object, key: string) => void} hooks.toggleReaction
   * @param {(message: object) => void} hooks.reply
   * @param {(message: object) => void} hooks.edit
   * @param {(message: object) => void} hooks.remove
   * @param {(message: object) => boolean} hooks.mayRemove
   * @param {() => boolean} hooks.maySpeak who is muted may only take own words back
   */
  constructor(hooks) {
    this.#hooks = hooks;
    this.picker = element("div", { class: "picker", role: "group", "aria-label": "Reactions", hidden: true },
      REACTIONS.map(([key, name]) => button(key, () => this.#react(key), { "aria-label": name, "data-reaction": key })));
    this.react = button(["☺", hidden("React")], () => this.#openPicker(this.picker.hidden), { "aria-expanded": "false", title: "React", "data-action": "react" });
    this.reply = this.#button("↩", "Reply", "reply");
    this.edit = this.#button("✎", "Edit", "edit");
    this.remove = this.#button("✕", "Delete", "remove");
    this.element = element("div", { class: "actions", role: "toolbar", "aria-label": "What to do with this message" },
      this.react, this.reply, this.edit, this.remove, this.picker);
    this.element.addEventListener("keydown", (event) => this.#key(event));
  }

  /** The message that the bar stands at. */
  get key() {
    return this.#message?.key;
  }

  /** Somebody is using it: it should stay where it is. */
  get isBusy() {
    return !this.picker.hidden || this.element.contains(document.activeElement);
  }

  get #node() {
    return this.element.closest(".message");
  }

  moveTo(node, message) {
    if (this.#message?.key !== message.key) this.#openPicker(false);
    this.#message = message;
    const isHere = message.status === "stored" && !message.deleted;
    this.element.hidden = !isHere;
    const maySpeak = this.#hooks.maySpeak();
    this.react.hidden = this.reply.hidden = !maySpeak;
    this.edit.hidden = !message.own || !maySpeak;
    this.remove.hidden = !this.#hooks.mayRemove(message);
    if (this.#node !== node) node.querySelector(".body").append(this.element);
  }

  leave() {
    this.#openPicker(false);
    this.#message = undefined;
    this.element.remove();
  }

  #button(sign, label, action) {
    const act = () => {
      const message = this.#message;
      this.#node.focus({ preventScroll: true }); // The bar goes, and the focus would go with it.
      this.leave();
      this.#hooks[action](message);
    };
    return button([element("span", { "aria-hidden": "true" }, sign), hidden(label)], act, { title: label, "data-action": action });
  }

  #openPicker(isOpen) {
    this.picker.hidden = !isOpen;
    this.react.setAttribute("aria-expanded", String(isOpen));
    if (isOpen) this.picker.firstChild.focus();
  }

  #react(key) {
    this.#hooks.toggleReaction(this.#message, key);
    this.#openPicker(false);
    this.react.focus();
  }

  #key(event) {
    const buttons = [...this.element.querySelectorAll("button")].filter((one) => one.offsetParent !== null);
    const at = buttons.indexOf(document.activeElement);
    if (event.key === "ArrowRight") buttons[(at + 1) % buttons.length].focus();
    else if (event.key === "ArrowLeft") buttons[(at + buttons.length - 1) % buttons.length].focus();
    else if (event.key !== "Escape") return;
    else if (this.picker.hidden) this.#node.focus();
    else {
      this.#openPicker(false);
      this.react.focus();
    }
    event.preventDefault();
    event.stopPropagation();
  }
}
