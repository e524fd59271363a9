/** A real browser that only finds this machine, and a page that must behave: no error in the console, no request elsewhere. */

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { chromium } from "playwright-core";

const FLAGS = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
  "--disable-sync", "--disable-background-timer-throttling", "--disable-renderer-backgrounding", "--disable-backgrounding-occluded-windows",
];

/** The server under test. */
export const URL_OF_SERVER = process.env.KIJIMUNA_TEST_URL;
/** Where screenshots go, if they are wanted. */
const SHOTS = process.env.KIJIMUNA_TEST_SHOTS;

export const WIDE = { width: 1440, height: 900 };
export const PHONE = { width: 360, height: 740 };

export function launch() {
  assert.ok(URL_OF_SERVER, "KIJIMUNA_TEST_URL names the server: use ops/browser-tests");
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS });
}

/** A page in a tab of its own, with a tenant of its own. `check` fails when it misbehaved. */
export async function openPage(browser, { size = WIDE, dark = false, url = URL_OF_SERVER } = {}) {
  const context = await browser.newContext({
    viewport: size, colorScheme: dark ? "dark" : "light", locale: "en-GB", hasTouch: size === PHONE,
    permissions: ["clipboard-read", "clipboard-write"],
  });
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  const troubles = [];
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && troubles.push(message.text()));
  page.on("pageerror", (error) => troubles.push(error.stack));
  page.on("request", (request) => isForeign(request.url(), url) && troubles.push(`a request to ${request.url()}`));
  page.on("websocket", (socket) => isForeign(socket.url().replace(/^ws/, "http"), url) && troubles.push(`a socket to ${socket.url()}`));
  await page.goto(`${url}/`);
  const check = async () => {
    await context.close();
    assert.deepEqual(troubles, []);
  };
  return { page, check, troubles };
}

function isForeign(url, own) {
  return !url.startsWith("data:") && new URL(url).origin !== new URL(own).origin;
}

export async function shot(page, name, options = {}) {
  if (!SHOTS) return;
  mkdirSync(SHOTS, { recursive: true });
  await page.screenshot({ path: `${SHOTS}/${name}.png`, ...options });
}
