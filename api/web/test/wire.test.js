/** The panel with the frames, and the curl that does the same. */

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { launch, openPage, shot } from "./support/browser.js";
import { peopleOf } from "./support/people.js";

const run = promisify(execFile);
let browser;
before(async () => (browser = await launch()));
after(() => browser.close());

const entries = (page, kind, name) => page.locator(`.entries > li[data-kind="${kind}"][data-name="${name}"]`);

async function unfolded(entry) {
  await entry.locator("summary").click();
  return entry;
}

for (const [encoding, label] of [["json", "JSON"], ["msgpack", "MessagePack"]]) {
  test(`frames pass in ${label}`, async () => {
    const { page, check } = await openPage(browser);
    const [alice, bob] = await peopleOf(page);
    await page.locator(`.segments [data-encoding="${encoding}"]`).click();
    await entries(page, "open", "open").filter({ hasText: `kijimuna.v2.${encoding}` }).waitFor();
    await alice.isIn("lobby");
    await alice.says("on the wire");
    await bob.hears("on the wire");
    const sent = await unfolded(entries(page, "out", "message"));
    assert.equal(JSON.parse(await sent.locator(".json").textContent()).d.m, "on the wire");
    await sent.locator(`.facts:has-text("${label}")`).waitFor();
    assert.match(await sent.locator(".size").textContent(), /^\d+ B$/);
    assert.equal(await sent.locator(".hex").count(), encoding === "msgpack" ? 1 : 0);
    const heard = await unfolded(entries(page, "in", "message"));
    assert.equal(JSON.parse(await heard.locator(".json").textContent()).d.p, "alice");
    await entries(page, "in", "ack").first().waitFor();
    await shot(page, `wire-${encoding}`);
    await check();
  });
}

test("the curl of a request, and of a frame, does the same", async () => {
  const { page, check } = await openPage(browser);
  const [alice, bob] = await peopleOf(page);
  const token = await unfolded(entries(page, "rest", "POST").filter({ hasText: "/api/token" }));
  const answer = JSON.parse(await curl(page, token));
  assert.match(answer.token, /^\S+$/);

  await alice.says("it's 'quoted' \"twice\" & $HOME");
  const sent = await unfolded(entries(page, "out", "message"));
  assert.equal(JSON.parse(await curl(page, sent)).duplicate, true, "with its client_id it is the same message");
  await bob.hears("it's 'quoted' \"twice\" & $HOME");
  assert.equal(await bob.message("it's 'quoted' \"twice\" & $HOME").count(), 1);

  await alice.does("edit", "Bob!");
  await alice.text.fill("Bob?");
  await alice.text.press("Enter");
  await curl(page, await unfolded(entries(page, "out", "edit")));
  await curl(page, await unfolded(entries(page, "out", "history").first()));
  await alice.does("remove", "Bob?");
  await curl(page, await unfolded(entries(page, "out", "delete")));
  for (const entry of [entries(page, "open", "open"), entries(page, "out", "join, leave")]) {
    assert.match(JSON.parse(await curl(page, await unfolded(entry.first()))).token, /^\S+$/);
  }
  await shot(page, "curl");
  await check();
});

test("what only a WebSocket does is said to be that", async () => {
  const { page, check } = await openPage(browser);
  const [alice] = await peopleOf(page);
  await alice.reacts("Bob!", "👍");
  await alice.text.fill("hm");
  for (const name of ["reaction", "typing", "inbox"]) {
    const entry = await unfolded(entries(page, "out", name).first());
    await entry.locator('[data-part="no-curl"]').waitFor();
    assert.equal(await entry.locator(".curl").count(), 0, name);
  }
  const heard = await unfolded(entries(page, "in", "reaction").first());
  await heard.locator(".json").waitFor();
  assert.equal(await heard.locator('[data-part="no-curl"]').count(), 0, "of what is heard there is nothing to do");
  await check();
});

/** Copies an entry's command with its button, and runs it in a shell. Fails unless it is answered with a 2xx. */
async function curl(page, entry) {
  await entry.locator(".copy").click();
  await entry.locator('.copy:has-text("Copied")').waitFor();
  const command = await page.evaluate(() => navigator.clipboard.readText());
  assert.match(command, /^curl -X/);
  const { stdout } = await run("sh", ["-c", `${command} -s -w '\\n%{http_code}'`]);
  const [status, ...body] = stdout.split("\n").reverse();
  assert.match(status, /^2\d\d$/, `${command}\n${stdout}`);
  return body.reverse().join("\n");
}

test("the list is paused, cleared, filtered, and of one user", async () => {
  const { page, check } = await openPage(browser);
  const [alice, bob] = await peopleOf(page);
  const wire = page.locator(".wire");
  await wire.getByRole("button", { name: "Pause" }).click();
  await alice.says("unseen at first");
  await wire.getByRole("button", { name: /^Go on \(\d+\)$/ }).waitFor();
  assert.equal(await entries(page, "out", "message").count(), 0);
  await wire.getByRole("button", { name: /^Go on/ }).click();
  await entries(page, "out", "message").waitFor();
  await wire.getByRole("searchbox").fill("history");
  await entries(page, "out", "message").waitFor({ state: "detached" });
  await entries(page, "in", "history").waitFor();
  await wire.getByRole("searchbox").fill("");
  await wire.getByRole("button", { name: "Clear" }).click();
  await entries(page, "in", "history").waitFor({ state: "detached" });
  await wire.getByLabel("Whose frames").selectOption("bob");
  await bob.says("mine");
  await entries(page, "out", "message").filter({ hasText: "mine" }).waitFor();
  await check();
});

test("a line that is cut and mended is seen as such, and opened with the ticket", async () => {
  const { page, check } = await openPage(browser);
  const [alice] = await peopleOf(page);
  await alice.presses("Go offline");
  await entries(page, "close", "close").waitFor();
  await alice.presses("Go online");
  await alice.is("live");
  await entries(page, "open", "open").nth(1).waitFor();
  assert.equal(await entries(page, "rest", "POST").filter({ hasText: "/api/token" }).count(), 1, "no second token was needed");
  await check();
});
