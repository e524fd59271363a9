/** Building the page. Whatever comes from the server or a user enters it as text, never as HTML. */

export const byId = (id) => document.getElementById(id);

/** An element. Attributes that begin with `on` are listeners; `true` is an attribute without a value; null and false are none. */
export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...children.flat().filter((child) => child != null && child !== false));
  return node;
}

export function button(label, onclick, attributes = {}) {
  return element("button", { type: "button", onclick, ...attributes }, label);
}

/** Words for those who can't see what the others see. */
export function hidden(text) {
  return element("span", { class: "visually-hidden" }, text);
}

/** A text that changes, written only when it does: live regions say every write. */
export function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** The same text again must be said again, so an announcement is a new node each time. */
export function announce(region, text) {
  region.replaceChildren(element("span", {}, text));
}

/** A button that copies a text and says so. */
export function copyButton(what, text) {
  const label = element("span", { "aria-live": "polite" }, "Copy");
  return button([label, hidden(` ${what}`)], async () => {
    try {
      await navigator.clipboard.writeText(text());
      label.textContent = "Copied";
    } catch {
      label.textContent = "Select it"; // Outside https and localhost a page can't copy.
    }
    setTimeout(() => (label.textContent = "Copy"), 1_600);
  }, { class: "quiet copy" });
}

/** The round sign of a person: the first letter of the name, in a colour of the person's own. */
export function avatar(name, hue) {
  return element("span", { class: "avatar", "data-hue": hue, "aria-hidden": "true" }, [...name][0] ?? "?");
}
