/** The panel that shows what goes over the wire of one user: frames, sockets that open and close, and the requests around them. */

import { requestLike, tokenRequest } from "./curl.js";
import { button, copyButton, element, hidden, write } from "./dom.js";
import { ACTIONS } from "./wire.js";

/** Entries that are kept of each user. */
const KEPT = 400;
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3 });
const SIGNS = { in: ["↓", "received"], out: ["↑", "sent"], rest: ["⇄", "request"], open: ["●", "opened"], close: ["×", "closed"] };

export class FramesPanel {
  #users;
  #hooks;
  #entries = [];
  #chosen;
  #isPaused = false;
  /** How many came since it was paused. */
  #missed = 0;

  /**
   * @param {{id: string, name: string}[]} users
   * @param {{encoding: (user: string) => string, setEncoding: (user: string, encoding: string) => void, curlLike: (request: object) => string}} hooks
   */
  constructor(users, hooks) {
    this.#users = users;
    this.#hooks = hooks;
    this.#chosen = users[0].id;
    this.list = element("ol", { class: "entries", tabindex: "0", "aria-label": "Frames, the newest last" });
    this.filter = element("input", { type: "search", placeholder: "Filter: ack, message, lobby…", "aria-label": "Filter the frames", autocomplete: "off", spellcheck: "false", oninput: () => this.#showAll() });
    this.pause = button("Pause", () => this.#togglePause(), { class: "quiet", "aria-pressed": "false" });
    this.encodings = element("div", { class: "segments", role: "group" });
    this.element = element("section", { class: "wire", id: "view-wire", "aria-labelledby": "wire-title" }, this.#head(), this.list);
    this.#showEncoding();
  }

  #head() {
    const whose = element("select", { "aria-label": "Whose frames", onchange: () => this.choose(whose.value) },
      this.#users.map(({ id, name }) => element("option", { value: id }, name)));
    this.whose = whose;
    return element("header", { class: "wire-head" },
      element("div", { class: "wire-line" }, element("h3", { id: "wire-title" }, "On the wire"), whose, this.encodings),
      element("div", { class: "wire-line" }, this.filter, this.pause, button("Clear", () => this.#clear(), { class: "quiet" })));
  }

  /** Hears of something on a user's line; without a user, of all of them. */
  log(user, entry) {
    const kept = { ...entry, user };
    this.#entries.push(kept);
    if (this.#entries.length > KEPT * this.#users.length) this.#entries.shift();
    if (!this.#isShown(kept)) return;
    if (this.#isPaused) this.#missed += 1;
    else this.#append([kept]);
    this.#showPause();
  }

  choose(user) {
    this.#chosen = this.whose.value = user;
    this.#showEncoding();
    this.#showAll();
  }

  #showEncoding() {
    const chosen = this.#hooks.encoding(this.#chosen);
    const name = this.#users.find(({ id }) => id === this.#chosen).name;
    this.encodings.setAttribute("aria-label", `${name}’s encoding`);
    const option = (encoding, label) =>
      button(label, () => this.#encode(encoding), { "aria-pressed": String(chosen === encoding), "data-encoding": encoding });
    this.encodings.replaceChildren(option("json", "JSON"), option("msgpack", "MessagePack"));
  }

  #encode(encoding) {
    if (encoding !== this.#hooks.encoding(this.#chosen)) this.#hooks.setEncoding(this.#chosen, encoding);
    this.#showEncoding();
    this.encodings.querySelector(`[data-encoding="${encoding}"]`).focus();
  }

  #isShown(entry) {
    if (entry.user !== undefined && entry.user !== this.#chosen) return false;
    const wanted = this.filter.value.trim().toLowerCase();
    return wanted === "" || searchText(entry).includes(wanted);
  }

  #showAll() {
    this.#missed = 0;
    this.list.replaceChildren();
    this.#append(this.#entries.filter((entry) => this.#isShown(entry)).slice(-KEPT));
    this.#showPause();
  }

  #append(entries) {
    const isAtEnd = this.list.scrollHeight - this.list.scrollTop - this.list.clientHeight < 40;
    this.list.append(...entries.map((entry) => this.#entry(entry)));
    while (this.list.childElementCount > KEPT) this.list.firstChild.remove();
    if (isAtEnd) this.list.scrollTop = this.list.scrollHeight;
  }

  #togglePause() {
    this.#isPaused = !this.#isPaused;
    if (!this.#isPaused) this.#showAll();
    this.#showPause();
  }

  #showPause() {
    const label = this.#isPaused ? `Go on${this.#missed > 0 ? ` (${this.#missed})` : ""}` : "Pause";
    write(this.pause, label);
    this.pause.setAttribute("aria-pressed", String(this.#isPaused));
  }

  #clear() {
    this.#entries = [];
    this.#showAll();
  }

  #entry(entry) {
    const [sign, word] = SIGNS[entry.kind];
    const details = element("details", { ontoggle: () => this.#unfold(details, entry) },
      element("summary", {},
        element("span", { class: "sign", "aria-hidden": "true" }, sign), hidden(`${word} `),
        element("b", {}, nameOf(entry)), " ",
        element("span", { class: "preview" }, previewOf(entry)),
        entry.size !== undefined && element("span", { class: "size" }, `${entry.size} B`)));
    return element("li", { "data-kind": entry.kind, "data-name": nameOf(entry), "data-failed": entry.status >= 400 || entry.status === 0 || entry.frame?.a === 5 }, details);
  }

  /** What is inside is built when somebody looks. */
  #unfold(details, entry) {
    if (details.childElementCount > 1) return;
    const facts = [clock.format(entry.time), entry.encoding, entry.hex && `${entry.size} bytes`].filter(Boolean).join(" · ");
    details.append(element("p", { class: "facts" }, facts));
    const data = entry.frame ?? entry.data ?? (entry.kind === "close" ? { code: entry.code, reason: entry.reason } : undefined);
    if (data !== undefined) details.append(element("pre", { class: "json", tabindex: "0" }, pretty(data)));
    if (entry.hex) details.append(element("pre", { class: "hex", role: "group", tabindex: "0", "aria-label": "The bytes, in hexadecimal" }, entry.hex));
    details.append(...this.#curl(entry));
  }

  /** How to do the same without this page, if there is a way, or that there is none. */
  #curl(entry) {
    const { kind, curl, frame, user } = entry;
    if (kind === "rest") return [curlBox("The same with curl", curl)];
    if (kind === "open") return [this.#curlLike("A token for such a connection, with curl", tokenRequest(user))];
    if (kind !== "out") return [];
    const request = requestLike(frame, user);
    if (!request) return [element("p", { class: "facts", "data-part": "no-curl" }, "Only a WebSocket does this: there is no request for it.")];
    const isJoin = request.path === "/api/token";
    return [this.#curlLike(isJoin ? "A token that opens a connection in this group, with curl" : "As the backend, with curl", request)];
  }

  #curlLike(title, request) {
    return curlBox(title, this.#hooks.curlLike(request));
  }
}

function curlBox(title, curl) {
  return element("figure", { class: "curl" },
    element("figcaption", {}, title, copyButton("this command", () => curl)),
    element("pre", { tabindex: "0" }, element("code", {}, curl)));
}

function nameOf({ kind, frame, method }) {
  if (kind === "rest") return method;
  if (kind === "open") return "open";
  if (kind === "close") return "close";
  return ACTIONS[frame.a] ?? "frame";
}

function previewOf({ kind, frame, path, status, protocol, code, reason }) {
  if (kind === "rest") return `${path} → ${status || "no answer"}`;
  if (kind === "open") return protocol;
  if (kind === "close") return `${code}${reason ? ` ${reason}` : ""}`;
  return JSON.stringify(frame.d ?? {});
}

function searchText(entry) {
  return `${SIGNS[entry.kind][1]} ${nameOf(entry)} ${previewOf(entry)}`.toLowerCase();
}

/** JSON over several lines, its parts marked for their colours. */
function pretty(data) {
  const text = JSON.stringify(data, null, 2);
  const parts = text.split(/("(?:[^"\\]|\\.)*"(?:\s*:)?|\b(?:true|false|null)\b|-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)/i);
  const kind = (part) => (part.endsWith(":") ? "key" : part.startsWith('"') ? "text" : "value");
  return parts.map((part, at) => (at % 2 ? element("span", { class: kind(part) }, part) : part));
}
