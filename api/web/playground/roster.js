/** Who attends the open group, and who of them is in it now. */

import { avatar, element, hidden } from "./dom.js";
import { counted } from "./words.js";

/** In a large group not all of them have room. */
const SHOWN = 12;

export class Roster {
  #people;
  #shown;

  /** @param {{hueOf: (user: string) => number, me: string}} people */
  constructor(people) {
    this.#people = people;
    // Where it is too narrow it is scrolled, by keyboard, too.
    this.element = element("ul", { class: "roster", role: "list", tabindex: "0", "aria-label": "Who is here" });
  }

  /** @param {import("/client/kijimuna.d.ts").GroupState} [state] */
  show(state) {
    if (this.#shown === state?.roster) return;
    this.#shown = state?.roster;
    const persons = this.#shown ?? [];
    const more = Math.max(0, persons.length - SHOWN);
    this.element.replaceChildren(...persons.slice(0, SHOWN).map((person) => this.#person(person)),
      ...(more > 0 ? [element("li", {}, counted(more, "more", "more"))] : []));
  }

  #person({ id, name, role, online }) {
    const isMe = id === this.#people.me;
    return element("li", { "data-user": id, "data-online": String(online) },
      avatar(name, this.#people.hueOf(id)),
      element("span", {}, isMe ? `${name} (you)` : name),
      hidden(online ? ", here" : ", not here"),
      role !== "member" && element("span", { class: "role" }, role));
  }
}
