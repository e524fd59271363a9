/**
 * The playground: a demo tenant on this server, its users side by side, and what goes over their wires. Reading order: this file,
 * `pane.js` (one user's chat, on the client's public API), `messages.js` with `rows.js`, `message.js` and `actions.js`, `composer.js`; then
 * `wire.js` and `frames.js`, which listen in, and `rest.js` with `curl.js`.
 */

import { button, byId, element } from "./dom.js";
import { FramesPanel } from "./frames.js";
import { Pane } from "./pane.js";
import { Rest } from "./rest.js";
import { Tenant } from "./tenant.js";
import { Views } from "./views.js";
import { whatFailed } from "./words.js";
import { Wire } from "./wire.js";

/** The tenant is the tab's own, and is found again after a reload. */
const KEPT = "kijimuna.playground";

/** What is on the page now. */
let panes = [];

async function begin() {
  notice("");
  byId("afresh").disabled = true;
  byId("stage").setAttribute("aria-busy", "true");
  const early = [];
  let tell = (call) => early.push(call);
  const rest = new Rest((call) => tell(call));
  try {
    const made = (await kept(rest)) ?? (await make(rest));
    rest.credentials = { client: made.client, secret: made.secret };
    const panel = open(made, rest);
    tell = (call) => panel.log(call.user, call);
    early.forEach(tell);
  } catch (error) {
    notice(`There is no demo tenant: ${whatFailed(error)}. `, button("Try again", begin, { class: "quiet" }));
  } finally {
    byId("afresh").disabled = false;
    byId("stage").removeAttribute("aria-busy");
  }
}

/** The tenant of before the reload, if this server still has it. */
async function kept(rest) {
  const made = JSON.parse(sessionStorage.getItem(KEPT));
  if (!made) return undefined;
  rest.credentials = { client: made.client, secret: made.secret };
  try {
    await rest.get("/api/groups");
    return made;
  } catch (error) {
    if (error.status !== 401) throw error;
    rest.credentials = {};
    return undefined;
  }
}

async function make(rest) {
  const made = await rest.post("/playground/tenant");
  sessionStorage.setItem(KEPT, JSON.stringify(made));
  return made;
}

/** Shows a tenant, and connects its users. */
function open(made, rest) {
  const tenant = new Tenant(made);
  panes = tenant.users.map((user) => {
    const pane = new Pane(user, {
      tenant,
      wire: new Wire((entry) => panel.log(user.id, entry)),
      token: async () => (await rest.post("/api/token", { user: user.id }, user.id)).token,
      changed: () => views?.setUnread(user.id, pane.unread),
    });
    return pane;
  });
  const paneOf = (user) => panes[tenant.users.findIndex(({ id }) => id === user)];
  const panel = new FramesPanel(tenant.users, {
    encoding: (user) => paneOf(user).encoding,
    setEncoding: (user, encoding) => {
      paneOf(user).encoding = encoding;
      paneOf(user).connect();
    },
    curlLike: (request) => rest.curlLike(request),
  });
  byId("stage").replaceChildren(...panes.map((pane) => pane.element), panel.element);
  const views = viewsOf(tenant.users, panel);
  byId("views").replaceChildren(views.element);
  for (const pane of panes) pane.connect();
  return panel;
}

function viewsOf(users, panel) {
  const isRoomy = matchMedia("(min-width: 100rem)").matches;
  const ofUsers = users.map(({ id, name }, at) => ({
    id,
    name,
    element: panes[at].element,
    isShown: at < 2 || isRoomy,
    show: (isShown) => panes[at].show(isShown),
  }));
  return new Views([...ofUsers, { id: "wire", name: "Wire", element: panel.element, isShown: true, show: () => {} }]);
}

function afresh() {
  for (const pane of panes) pane.close();
  panes = [];
  sessionStorage.removeItem(KEPT);
  byId("stage").replaceChildren();
  byId("views").replaceChildren();
  return begin();
}

function notice(...words) {
  byId("play-notice").replaceChildren(...(words[0] ? [element("p", { class: "notice bad" }, ...words)] : []));
}

/** News is announced of the pane that was used last. */
document.addEventListener("focusin", ({ target }) => {
  const active = target.closest(".pane");
  if (!active) return;
  for (const pane of panes) pane.element.toggleAttribute("data-active", pane.element === active);
});
document.addEventListener("visibilitychange", () => panes.forEach((pane) => pane.seen()));
byId("afresh").addEventListener("click", afresh);
begin();
