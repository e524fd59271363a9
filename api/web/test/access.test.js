/** By keyboard alone, on a phone's width, in dark and light, and where the playground is off. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { backend } from "./support/backend.js";
import { PHONE, launch, openPage, shot } from "./support/browser.js";
import { contrastsBelow } from "./support/contrast.js";
import { Person, peopleOf } from "./support/people.js";

let browser;
before(async () => (browser = await launch()));
after(() => browser.close());

test("everything is done by keyboard", async () => {
  const { page, check } = await openPage(browser);
  const [alice, bob] = await peopleOf(page);
  const key = (name) => page.keyboard.press(name);
  const tabTo = async (selector) => {
    for (let tabs = 0; tabs < 60; tabs += 1) {
      if (await page.evaluate((wanted) => document.activeElement.matches(wanted), selector)) return;
      await key("Tab");
    }
    assert.fail(`Tab doesn't lead to ${selector}`);
  };
  await tabTo('.pane[data-user="alice"] textarea');
  await page.keyboard.type("no mouse");
  await key("Shift+Enter");
  await page.keyboard.type("was used");
  await key("Enter");
  await bob.messages.filter({ hasText: "no mouse\nwas used" }).waitFor();

  await alice.messages.filter({ hasText: "no mouse" }).locator('.receipt:not([data-receipt="sending"])').waitFor();
  await key("ArrowUp");
  assert.equal(await alice.text.inputValue(), "no mouse\nwas used");
  await key("Escape");
  assert.equal(await alice.text.inputValue(), "");
  await key("ArrowUp");
  await page.keyboard.type(" at all");
  await key("Enter");
  await bob.messages.filter({ hasText: "was used at all" }).waitFor();

  await alice.scroller.focus();
  await key("ArrowUp");
  await key("ArrowUp");
  await page.locator(':focus.message:has-text("Bob!")').waitFor();
  await tabTo('[data-action="react"]');
  await key("Enter");
  await key("ArrowRight");
  await shot(page, "keyboard");
  await key("Enter");
  await bob.message("Bob!").locator('.reactions button:has-text("❤️")').waitFor();
  await key("Escape");
  await page.locator(':focus.message:has-text("Bob!")').waitFor();
  await tabTo('[data-action="reply"]');
  await key("Enter");
  await page.keyboard.type("a reply by key");
  await key("Enter");
  await bob.sees("a reply by key", ".quote");
  await check();
});

test("what isn't seen is said: names, states, landmarks", async () => {
  const { page, check } = await openPage(browser);
  const [alice] = await peopleOf(page);
  const unnamed = await page.evaluate(() => [...document.querySelectorAll("button, textarea, input, select, a, nav, article, [role=region]")]
    .filter((node) => node.checkVisibility() && !(node.getAttribute("aria-label") || node.labels?.length || node.textContent.trim() || node.getAttribute("aria-labelledby")))
    .map((node) => node.outerHTML.slice(0, 120)));
  assert.deepEqual(unnamed, []);
  // A name is said of what has a role, and of nothing else.
  const NAMED = "a, article, button, input, li, nav, ol, section, select, textarea, ul, [role]";
  const idle = await page.locator("[aria-label]").evaluateAll((nodes, named) => nodes.filter((node) => !node.matches(named)).map((node) => node.outerHTML.slice(0, 120)), NAMED);
  assert.deepEqual(idle, []);
  for (const role of ["banner", "main", "contentinfo"]) assert.equal(await page.getByRole(role).count(), 1, role);
  await alice.text.focus();
  await backend(page, "POST", "/api/groups/lobby/messages", { user: "bob", text: "can you hear me?" });
  await alice.pane.locator('[aria-live="polite"]', { hasText: "Bob: can you hear me?" }).waitFor({ state: "attached" });
  await check();
});

test("what is scrolled is scrolled by keyboard, too, where it is narrow", async () => {
  const { page, check } = await openPage(browser, { size: { width: 320, height: 640 } });
  const alice = new Person(page, "alice");
  await alice.isIn("lobby");
  const stuck = await page.evaluate(() => [...document.querySelectorAll("#play *")]
    .filter((node) => node.checkVisibility() && ["auto", "scroll"].includes(getComputedStyle(node).overflowX) && node.scrollWidth > node.clientWidth)
    .filter((node) => node.tabIndex < 0 && !node.querySelector("button, a, input"))
    .map((node) => node.outerHTML.slice(0, 120)));
  assert.deepEqual(stuck, []);
  const roster = alice.pane.getByRole("list", { name: "Who is here" });
  await roster.focus();
  assert.equal(await roster.evaluate((node) => node === document.activeElement), true);
  await check();
});

test("on a phone one pane at a time is seen, and nothing sticks out", async () => {
  const { page, check } = await openPage(browser, { size: PHONE });
  const [alice, bob] = [new Person(page, "alice"), new Person(page, "bob")];
  await alice.isIn("lobby");
  const tab = (name) => page.getByRole("tab", { name: new RegExp(`^${name}`) });
  assert.deepEqual(await page.locator(".stage > *").evaluateAll((nodes) => nodes.filter((node) => node.checkVisibility()).map((node) => node.id)), ["view-alice"]);
  await alice.says("from a small screen");
  await page.locator('[data-view="bob"] .count').waitFor();
  await shot(page, "phone-alice");
  await tab("Bob").click();
  await bob.hears("from a small screen");
  await bob.message("from a small screen").tap();
  await bob.message("from a small screen").locator('[data-action="reply"]').tap();
  await bob.says("seen, answered");
  await page.locator("#play").evaluate((node) => node.scrollIntoView());
  await shot(page, "phone-bob");
  await tab("Wire").click();
  await page.locator(".entries > li").first().waitFor();
  await shot(page, "phone-wire");
  const width = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(width <= PHONE.width, `the page is ${width} px wide`);
  await tab("Wire").press("ArrowRight");
  await page.locator('[role="tab"][data-view="alice"][aria-selected="true"]:focus').waitFor();
  await check();
});

for (const dark of [false, true]) {
  const theme = dark ? "dark" : "light";
  test(`every text has enough contrast in ${theme}`, async () => {
    const { page, check } = await openPage(browser, { dark });
    const [alice, bob] = await peopleOf(page);
    await bob.says("a last word");
    await alice.reacts("a last word", "🎉");
    await alice.does("reply", "a last word");
    await page.locator('.entries > li[data-name="message"] summary').first().click();
    await page.evaluate(() => document.querySelectorAll("details.fold").forEach((node) => (node.open = true)));
    assert.deepEqual(await contrastsBelow(page, 4.5), []);
    await shot(page, theme);
    await shot(page, `${theme}-whole`, { fullPage: true });
    await check();
  });
}

test("the theme that is chosen is kept", async () => {
  const { page, check } = await openPage(browser);
  const paper = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  const light = await paper();
  const button = page.getByRole("button", { name: /^Theme/ });
  await button.click();
  await button.click();
  await page.getByRole("button", { name: "Theme: dark" }).waitFor();
  assert.notEqual(await paper(), light);
  await page.reload();
  await page.getByRole("button", { name: "Theme: dark" }).waitFor();
  assert.notEqual(await paper(), light);
  await page.goto(new URL("/docs", page.url()).href);
  assert.notEqual(await paper(), light);
  await page.locator(".operation").first().waitFor();
  await shot(page, "docs-dark");
  await check();
});

test("where the playground is off the page says how to begin", async () => {
  const off = process.env.KIJIMUNA_TEST_URL_OFF;
  const { page, check } = await openPage(browser, { url: off });
  await page.getByRole("heading", { name: "From nothing to a chat, in a terminal" }).waitFor();
  await page.getByText("Ready: this server takes traffic.").waitFor();
  assert.equal(await page.getByText("Playground").count(), 0);
  await shot(page, "off");
  await page.getByRole("link", { name: "API reference" }).first().click();
  await page.locator(".operation").first().waitFor();
  await check();
});
