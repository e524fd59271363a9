/** Lines that break and come back, and sends that are refused. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { backend } from "./support/backend.js";
import { launch, openPage, shot } from "./support/browser.js";
import { peopleOf } from "./support/people.js";

let browser;
before(async () => (browser = await launch()));
after(() => browser.close());

test("who was offline comes back to all that was said, once and in order", async () => {
  const { page, check } = await openPage(browser);
  const [alice, bob] = await peopleOf(page);
  await bob.presses("Go offline");
  await bob.is("offline");
  for (let number = 1; number <= 30; number += 1) await alice.says(`meanwhile ${number}`);
  await alice.reacts("meanwhile 30", "👍");
  await bob.says("said in the tunnel");
  await bob.sees("said in the tunnel", '.receipt[data-receipt="waiting"]');
  await bob.hearsNothingLike("meanwhile 1");
  await shot(page, "offline");
  await bob.presses("Go online");
  await bob.is("live");
  await alice.hears("said in the tunnel");
  await bob.hears("meanwhile 30");
  await bob.sees("meanwhile 30", ".reactions button");
  await bob.sees("said in the tunnel", '.receipt:not([data-receipt="waiting"])');
  assert.deepEqual(await bob.texts(), await alice.texts());
  await shot(page, "back-online");
  await check();
});

test("others see who went, and who came back", async () => {
  const { page, check } = await openPage(browser);
  const [alice, bob] = await peopleOf(page);
  const seenAs = (online) => alice.pane.locator(`.roster [data-user="bob"][data-online="${online}"]`).waitFor();
  await seenAs(true);
  await bob.presses("Go offline");
  await seenAs(false);
  await bob.presses("Go online");
  await seenAs(true);
  await check();
});

test("a refused message can be sent again, or discarded", async () => {
  const { page, check } = await openPage(browser);
  const [alice, bob] = await peopleOf(page);
  const moderate = (op) => backend(page, "POST", "/api/groups/lobby/moderation", { op, user: "bob" });
  await bob.presses("Go offline");
  for (const text of ["let me speak", "and this"]) await bob.says(text);
  await moderate("mute");
  await bob.presses("Go online");
  for (const text of ["let me speak", "and this"]) await bob.sees(text, '.failure:has-text("muted")');
  await shot(page, "failed");
  await bob.message("and this").getByRole("button", { name: "Discard" }).click();
  await bob.message("and this").waitFor({ state: "detached" });
  await moderate("unmute");
  await bob.message("let me speak").getByRole("button", { name: "Try again" }).click();
  await alice.hears("let me speak");
  await alice.hearsNothingLike("and this");
  await check();
});

test("who is muted can't write, and reads until when", async () => {
  const { page, check } = await openPage(browser);
  const [alice, bob] = await peopleOf(page);
  const moderate = (op, more) => backend(page, "POST", "/api/groups/lobby/moderation", { op, user: "bob", ...more });
  await bob.says("mine");
  await bob.text.fill("half a senten");
  await moderate("mute");
  await bob.pane.getByText("You are muted until further notice.").waitFor();
  assert.deepEqual([await bob.text.isDisabled(), await bob.text.inputValue()], [true, "half a senten"]);
  await bob.message("mine").hover();
  await bob.sees("mine", '[data-action="remove"]');
  for (const action of ["edit", "reply", "react"]) assert.equal(await bob.message("mine").locator(`[data-action="${action}"]`).isVisible(), false, action);
  await shot(page, "muted");
  await moderate("unmute");
  await bob.pane.locator("textarea:enabled").waitFor();
  await moderate("mute", { until: Date.now() + 4_000 });
  await bob.pane.getByText(/^You are muted until .*\d\d:\d\d\.$/).waitFor();
  await bob.pane.locator("textarea:enabled").waitFor();
  assert.equal(await bob.pane.locator(".why").textContent(), "");
  await bob.text.press("Enter");
  await alice.hears("half a senten");
  await check();
});

test("who is removed is told, and the group is gone from the list until the user is added again", async () => {
  const { page, check } = await openPage(browser);
  const [, bob] = await peopleOf(page);
  await backend(page, "DELETE", "/api/groups/lobby/attendees/bob");
  await bob.pane.locator('.note:has-text("The lobby")').waitFor();
  await bob.pane.locator('.groups button[data-group="lobby"]').waitFor({ state: "detached" });
  await backend(page, "POST", "/api/groups/lobby/attendees", { user: "bob" });
  await bob.pane.locator('.groups button[data-group="lobby"]').waitFor();
  await bob.pane.locator(".note").and(page.locator(":empty")).waitFor({ state: "attached" });
  await bob.opens("counting");
  await check();
});

test("what the backend says, and whom it erases, is shown as such", async () => {
  const { page, check } = await openPage(browser);
  const [alice, , carol] = await peopleOf(page);
  await backend(page, "POST", "/api/groups/lobby/messages", { text: "The boat leaves at nine." });
  await alice.sees("The boat leaves at nine.", '.author:has-text("The server")');
  await page.locator('.views [data-view="carol"]').click();
  await carol.says("my last words");
  await alice.hears("my last words");
  await backend(page, "DELETE", "/api/users/carol");
  await carol.is("closed");
  await alice.opens("counting");
  await alice.opens("lobby");
  await alice.pane.locator('.message[data-kind="erased"], .message[data-kind="tombstone"]').first().waitFor();
  await shot(page, "system-and-erased");
  await check();
});

test("what waits to be sent isn't lost when another group is opened, nor is what was being written", async () => {
  const { page, check } = await openPage(browser);
  const [alice, bob] = await peopleOf(page);
  await bob.presses("Go offline");
  await bob.says("from the tunnel");
  await bob.text.fill("half a thought");
  await bob.pane.locator('.groups button[data-group="counting"]').click();
  assert.equal(await bob.text.inputValue(), "");
  await bob.presses("Go online");
  await bob.isIn("counting");
  await alice.hears("from the tunnel");
  await bob.opens("lobby");
  await bob.hears("from the tunnel");
  assert.equal(await bob.text.inputValue(), "half a thought");
  await check();
});

test("a reload finds the same tenant again, and another can be had", async () => {
  const { page, check } = await openPage(browser);
  const [alice] = await peopleOf(page);
  await alice.says("still here after a reload");
  await alice.sees("still here after a reload", '.receipt:not([data-receipt="sending"])');
  await page.reload();
  const [again] = await peopleOf(page);
  await again.hears("still here after a reload");
  await page.getByRole("button", { name: "Start afresh" }).click();
  await again.message("still here after a reload").waitFor({ state: "detached" });
  const [other] = await peopleOf(page);
  await other.hearsNothingLike("still here after a reload");
  await check();
});

test("where the kept tenant is no more, as on a server whose data was removed, another is made", async () => {
  const { page, troubles } = await openPage(browser);
  const [alice] = await peopleOf(page);
  await alice.says("on the server of before");
  await alice.sees("on the server of before", '.receipt:not([data-receipt="sending"])');
  await page.evaluate(() => {
    for (const [key, kept] of Object.entries(sessionStorage)) sessionStorage.setItem(key, JSON.stringify({ ...JSON.parse(kept), secret: "of before" }));
  });
  await page.reload();
  const [again] = await peopleOf(page);
  await again.hearsNothingLike("on the server of before");
  await page.context().close();
  assert.deepEqual(troubles.filter((trouble) => !trouble.includes("401")), []);
});
