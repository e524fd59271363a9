/** What a tenant's backend does while its users chat. */

import assert from "node:assert/strict";
import { URL_OF_SERVER } from "./browser.js";

/** A request of the backend, with the credentials that the page shows. */
export async function backend(page, method, path, body) {
  const { client, secret } = await page.evaluate(() => JSON.parse(sessionStorage.getItem("kijimuna.playground")));
  const headers = { client, secret, ...(body ? { "content-type": "application/json" } : {}) };
  const response = await fetch(URL_OF_SERVER + path, { method, headers, body: body && JSON.stringify(body) });
  assert.ok(response.ok, `${method} ${path}: ${response.status} ${await response.text()}`);
}
