/** Where a message is written, a reply or an edit too. */

import { button, element, write } from "./dom.js";
import { authorOf } from "./message.js";
import { excerpt } from "./words.js";

export class Composer {
  #hooks;
  /** The message that is edited, or replied to, and which of the two. */
  #subject;
  #mode;
  /** What was being written when an edit began. */
  #draft = "";

  /**
   * @param {string} owner
   * @param {object} hooks
   * @param {(text: string, replyTo: string | undefined) => void} hooks.send
   * @param {(message: object, text: string) => void} hooks.edit
   * @param {(isTyping: boolean) => void} hooks.typing
   * @param {() => object | undefined} hooks.lastOwn the last own message, to be edited
   * @param {(user: string) => string} hooks.nameOf
   */
  constructor(owner, hooks) {
    this.#hooks = hooks;
    this.about = element("span", {});
    this.context = element("div", { class: "context", hidden: true }, this.about,
      button("Cancel", () => this.cancel(), { class: "quiet", title: "Cancel (Escape)" }));
    this.text = element("textarea", {
      rows: "1", "aria-label": `Message from ${owner}`, placeholder: `Say something as ${owner}`, enterkeyhint: "send", autocomplete: "off",
      oninput: () => this.#changed(), onkeydown: (event) => this.#key(event),
    });
    this.why = element("p", { class: "why", role: "status" });
    this.submit = element("button", { class: "primary", type: "submit" }, "Send");
    this.element = element("form", { class: "composer", onsubmit: (event) => this.#submitted(event) },
      this.context, this.why, element("div", { class: "entry" }, this.text, this.submit));
  }

  /** What is being written; of an edit, what was before it. */
  get draft() {
    return this.#mode === "edit" ? this.#draft : this.text.value;
  }

  set draft(text) {
    this.cancel();
    this.text.value = text;
    this.#fit();
  }

  /** Whether something can be written; if not, and it isn't seen otherwise, why. */
  enable(isEnabled, why = "") {
    this.text.disabled = this.submit.disabled = !isEnabled;
    write(this.why, why);
  }

  reply(message) {
    if (this.text.disabled) return;
    if (this.#mode === "edit") this.cancel();
    this.#begin("reply", message, `Reply to ${authorOf(message, this.#hooks.nameOf)}: ${excerpt(message.text, 60)}`);
  }

  edit(message) {
    if (this.text.disabled) return;
    if (this.#mode !== "edit") this.#draft = this.text.value;
    this.#begin("edit", message, "Edit your message");
    this.text.value = message.text;
    this.#fit();
    this.text.setSelectionRange(message.text.length, message.text.length);
  }

  /** Forgets what is edited or replied to. */
  cancel() {
    const wasEdit = this.#mode === "edit";
    this.#mode = this.#subject = undefined;
    this.context.hidden = true;
    write(this.submit, "Send");
    if (wasEdit) this.text.value = this.#draft;
    this.#draft = "";
    this.#fit();
  }

  /** The message is no more, so it can't be edited or replied to. */
  forget(id) {
    if (this.#subject?.id === id) this.cancel();
  }

  #begin(mode, message, about) {
    this.#mode = mode;
    this.#subject = message;
    write(this.about, about);
    write(this.submit, mode === "edit" ? "Save" : "Send");
    this.context.hidden = false;
    this.text.focus();
  }

  #submitted(event) {
    event.preventDefault();
    const text = this.text.value;
    if (text.trim() === "") return;
    const [mode, subject] = [this.#mode, this.#subject];
    if (mode !== "edit") this.text.value = "";
    this.cancel();
    if (mode !== "edit") this.#hooks.send(text, subject?.id);
    else if (text !== subject.text) this.#hooks.edit(subject, text);
    this.#hooks.typing(false);
  }

  #changed() {
    this.#fit();
    if (this.#mode !== "edit") this.#hooks.typing(this.text.value !== "");
  }

  #key(event) {
    if (event.isComposing) return;
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      this.element.requestSubmit();
    } else if (event.key === "Escape" && this.#mode) {
      event.preventDefault();
      this.cancel();
    } else if (event.key === "ArrowUp" && this.text.value === "") {
      const message = this.#hooks.lastOwn();
      if (!message) return;
      event.preventDefault();
      this.edit(message);
    }
  }

  /** As high as its text, within the bounds of the style sheet. */
  #fit() {
    this.text.style.height = "auto";
    this.text.style.height = `${this.text.scrollHeight + 2}px`;
  }
}
