/** Which of the views are seen: on a wide screen as many as one likes, on a phone one at a time, as tabs. */

import { button, element, hidden, write } from "./dom.js";
import { badge, counted } from "./words.js";

const NARROW = matchMedia("(max-width: 45rem)");

export class Views {
  #views;
  #one;

  /** @param {{id: string, name: string, element: HTMLElement, isShown: boolean, show: (isShown: boolean) => void}[]} views */
  constructor(views) {
    this.#views = views;
    this.#one = views[0].id;
    this.element = element("div", { class: "views", onkeydown: (event) => this.#key(event) }, views.map((view) => this.#switch(view)));
    NARROW.addEventListener("change", () => this.#apply());
    this.#apply();
  }

  /** How much is unread in a view. */
  setUnread(id, unread) {
    const count = this.#buttonOf(id)?.querySelector(".count");
    if (!count) return;
    count.hidden = unread === 0;
    write(count.firstChild, unread === 0 ? "" : badge(unread));
    write(count.lastChild, unread === 0 ? "" : `, ${counted(unread, "unread message")}`);
  }

  #switch({ id, name }) {
    const count = element("span", { class: "count", hidden: true }, element("span", { "aria-hidden": "true" }), hidden(""));
    return button([name, count], () => this.#choose(id), { "data-view": id, id: `tab-${id}` });
  }

  #buttonOf(id) {
    return this.element.querySelector(`[data-view="${CSS.escape(id)}"]`);
  }

  #choose(id) {
    const view = this.#views.find((one) => one.id === id);
    if (NARROW.matches) this.#one = id;
    else view.isShown = !view.isShown;
    this.#apply();
  }

  #apply() {
    const isTabs = NARROW.matches;
    this.element.setAttribute("role", isTabs ? "tablist" : "group");
    this.element.setAttribute("aria-label", isTabs ? "Views" : "Shown side by side");
    for (const view of this.#views) {
      const isShown = isTabs ? view.id === this.#one : view.isShown;
      view.element.hidden = !isShown;
      this.#label(this.#buttonOf(view.id), view, isTabs, isShown);
      view.show(isShown);
    }
    const stage = this.#views[0].element.parentElement;
    const shown = this.#views.filter(({ element: { hidden: isHidden }, id }) => !isHidden && id !== "wire").length;
    stage.dataset.panes = shown;
    stage.style.setProperty("--panes", Math.max(1, shown));
  }

  #label(node, view, isTabs, isShown) {
    const state = isTabs
      ? { role: "tab", "aria-selected": isShown, "aria-controls": `view-${view.id}`, tabindex: isShown ? 0 : -1 }
      : { "aria-pressed": isShown };
    for (const name of ["role", "aria-selected", "aria-controls", "tabindex", "aria-pressed"]) {
      if (name in state) node.setAttribute(name, String(state[name]));
      else node.removeAttribute(name);
    }
  }

  #key(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!NARROW.matches || !step) return;
    const at = this.#views.findIndex(({ id }) => id === this.#one);
    const { id } = this.#views[(at + step + this.#views.length) % this.#views.length];
    this.#choose(id);
    this.#buttonOf(id).focus();
    event.preventDefault();
  }
}
