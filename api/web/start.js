// The start page without its playground: how the server is, and samples to copy. Whatever the server says enters the page as text.

const byId = (id) => document.getElementById(id);

async function showStatus() {
  const line = byId("status");
  const show = (state, text) => {
    line.dataset.state = state;
    if (line.textContent !== text) line.textContent = text;
  };
  try {
    const response = await fetch("/readyz", { cache: "no-store" });
    const answer = await response.json().catch(() => ({}));
    if (response.ok) show("ready", "Ready: this server takes traffic.");
    else show("busy", `Not taking traffic: ${answer.error ?? `status ${response.status}`}${answer.code ? ` (${answer.code})` : ""}`);
  } catch {
    show("down", "The server doesn’t answer.");
  }
}

async function showVersion() {
  const response = await fetch("/openapi.json").catch(() => null);
  const spec = response?.ok ? await response.json().catch(() => null) : null;
  if (spec?.info?.version) byId("version").textContent = ` ${spec.info.version}`;
}

/** The samples name the server that the page came from. */
function localise(node) {
  const sockets = location.origin.replace(/^http/, "ws");
  for (const child of node.childNodes) {
    if (child.nodeType !== Node.TEXT_NODE) localise(child);
    else child.data = child.data.replaceAll("ws://127.0.0.1:3010", sockets).replaceAll("http://127.0.0.1:3010", location.origin);
  }
}

async function copy(code) {
  try {
    await navigator.clipboard.writeText(code.textContent);
    return "Copied";
  } catch {
    // Outside https and localhost there is no clipboard: what is selected can still be copied by hand.
    const range = document.createRange();
    range.selectNodeContents(code);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    return "Selected";
  }
}

function offerCopy(sample, code) {
  const label = document.createElement("span");
  label.setAttribute("aria-live", "polite");
  label.textContent = "Copy";
  const what = document.createElement("span");
  what.className = "visually-hidden";
  what.textContent = " this sample";
  const button = document.createElement("button");
  button.className = "quiet";
  button.type = "button";
  button.append(label, what);
  button.addEventListener("click", async () => {
    label.textContent = await copy(code);
    setTimeout(() => (label.textContent = "Copy"), 1_600);
  });
  sample.querySelector("figcaption").append(button);
}

for (const sample of document.querySelectorAll(".sample")) {
  const code = sample.querySelector("code");
  localise(code);
  if ("copy" in sample.dataset) offerCopy(sample, code);
}
showStatus();
showVersion();
setInterval(() => document.hidden || showStatus(), 15_000);
