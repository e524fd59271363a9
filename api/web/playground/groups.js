/** The groups of a user, with how much of each is unread. */

import { button, element, hidden, write } from "./dom.js";
import { badge, counted } from "./words.js";

export class GroupList {
  #open;
  #buttons = new Map();

  /**
   * @param {string} owner whose groups
   * @param {(group: string) => void} open
   */
  constructor(owner, open) {
    this.#open = open;
    this.list = element("ul", {});
    this.element = element("nav", { class: "groups", "aria-label": `${owner}’s groups` }, this.list);
  }

  /**
   * @param {{id: string, name: string, direct?: boolean}[]} groups
   * @param {Map<string, number>} unread
   * @param {string | undefined} current
   */
  show(groups, unread, current) {
    const ids = new Set(groups.map(({ id }) => id));
    for (const [id, node] of this.#buttons) {
      if (ids.has(id)) continue;
      node.parentElement.remove();
      this.#buttons.delete(id);
    }
    for (const group of groups) this.#showGroup(group, unread.get(group.id) ?? 0, group.id === current);
  }

  #showGroup({ id, name, direct }, unread, isCurrent) {
    if (!this.#buttons.has(id)) this.#add(id, name, direct);
    const node = this.#buttons.get(id);
    node.toggleAttribute("data-unread", unread > 0);
    if (isCurrent) node.setAttribute("aria-current", "true");
    else node.removeAttribute("aria-current");
    const count = node.querySelector(".count");
    count.hidden = unread === 0;
    write(count.firstChild, unread === 0 ? "" : badge(unread));
    write(count.lastChild, unread === 0 ? "" : `, ${counted(unread, "unread message")}`);
  }

  #add(id, name, direct) {
    const count = element("span", { class: "count", hidden: true }, element("span", { "aria-hidden": "true" }), hidden(""));
    const sign = element("span", { class: "sigil", "aria-hidden": "true" }, direct ? "@" : "#");
    const node = button([sign, element("span", { class: "group-name" }, name), count], () => this.#open(id), { "data-group": id });
    this.#buttons.set(id, node);
    this.list.append(element("li", {}, node));
  }
}
