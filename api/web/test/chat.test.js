/** Chatting in the playground, with two or three panes side by side. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, openPage, shot } from "./support/browser.js";
import { peopleOf } from "./support/people.js";

let browser;
before(async () => (browser = await launch()));
after(() => browser.close());

/** A test with a page of its own, which must have behaved. */
function chatting(name, act) {
  test(name, async () => {
    const { page, check } = await openPage(browser);
    await act(await peopleOf(page), page);
    await check();
  });
}

chatting("two panes chat, and everyone sees the same order", async ([alice, bob]) => {
  await alice.says("hello, Bob");
  await bob.hears("hello, Bob");
  await bob.says("hello, Alice, what is <b>new</b>?");
  await alice.hears("hello, Alice, what is <b>new</b>?");
  await alice.sees("hello, Alice, what is <b>new</b>?", '.author:has-text("Bob")');
  assert.deepEqual(await alice.texts(), await bob.texts());
});

chatting("typing is told while it lasts", async ([alice, bob]) => {
  await alice.text.pressSequentially("I am writ");
  await bob.typing.getByText("Alice is typing…").waitFor();
  await alice.text.press("Enter");
  await bob.hears("I am writ");
  await bob.typing.and(bob.page.locator(":empty")).waitFor({ state: "attached" });
});

chatting("an own message says who has read it", async ([alice, bob], page) => {
  await bob.opens("counting");
  await alice.says("read me");
  await alice.sees("read me", '.receipt[data-receipt="stored"]');
  await page.locator('.views [data-view="carol"]').click();
  await alice.sees("read me", '.receipt[title="Read by Carol"]');
  await bob.opens("lobby");
  await alice.sees("read me", '.receipt[data-receipt="read"][title="Read by Bob and Carol"]');
  await alice.sees("read me", '.seen[title="Read by Bob and Carol"]');
  await shot(page, "three-panes");
});

chatting("a message is edited, and everyone sees it", async ([alice, bob], page) => {
  await alice.says("a tpyo");
  await bob.hears("a tpyo");
  await alice.does("edit", "a tpyo");
  await shot(page, "editing");
  await alice.text.fill("a typo");
  await alice.text.press("Enter");
  await bob.hears("a typo");
  await bob.sees("a typo", '.meta:has-text("edited")');
  await bob.hearsNothingLike("a tpyo");
});

chatting("nobody edits another's message, and only a moderator deletes it", async ([alice, bob]) => {
  await alice.says("mine");
  await bob.message("mine").hover();
  await bob.sees("mine", '[data-action="reply"]');
  assert.equal(await bob.message("mine").locator('[data-action="edit"]').isVisible(), false);
  assert.equal(await bob.message("mine").locator('[data-action="remove"]').isVisible(), false);
  await bob.says("not for long");
  await alice.does("remove", "not for long");
  await bob.messages.locator('.text:has-text("This message was deleted.")').waitFor();
});

chatting("a deleted message leaves a tombstone", async ([alice, bob]) => {
  await alice.says("forget it");
  await bob.hears("forget it");
  await alice.does("remove", "forget it");
  await bob.hears("This message was deleted.");
  await alice.hears("This message was deleted.");
  await bob.hearsNothingLike("forget it");
});

chatting("reactions are counted, and taken back", async ([alice, bob], page) => {
  await alice.says("who likes it?");
  await bob.hears("who likes it?");
  await bob.does("react", "who likes it?");
  await shot(page, "picker");
  await bob.message("who likes it?").locator('[data-reaction="🎉"]').click();
  const chip = (person) => person.message("who likes it?").locator(".reactions button");
  await chip(alice).and(page.locator('[aria-pressed="false"]')).click();
  await chip(bob).getByText("2", { exact: true }).waitFor();
  await chip(bob).and(page.locator('[aria-pressed="true"]')).click();
  await chip(alice).getByText("1", { exact: true }).waitFor();
  await chip(alice).click();
  await chip(alice).waitFor({ state: "detached" });
});

chatting("a reply quotes its message and leads to it", async ([alice, bob], page) => {
  await bob.says("a question");
  await alice.does("reply", "a question");
  await shot(page, "replying");
  await alice.says("an answer");
  await bob.sees("an answer", '.quote:has-text("a question")');
  await bob.message("an answer").locator(".quote").click();
  await bob.page.locator(':focus.message:has-text("a question")').waitFor();
});

chatting("a reply leads to a message that wasn't loaded", async ([alice, bob]) => {
  await alice.opens("counting");
  await bob.opens("counting");
  await bob.scroller.evaluate((node) => (node.scrollTop = 0));
  await bob.message("90").waitFor();
  await bob.scroller.evaluate((node) => (node.scrollTop = 0));
  await bob.message("40").waitFor();
  await bob.does("reply", "40");
  await bob.says("this was forty");
  await alice.hears("this was forty");
  await alice.hearsNothingLike("40");
  await alice.message("this was forty").locator(".quote").click();
  await alice.page.locator(':focus.message:has-text("40")').waitFor();
});

chatting("unread messages of the other groups are counted, and those of the own pane marked", async ([alice, bob], page) => {
  await bob.opens("counting");
  for (const text of ["one", "two", "three"]) await alice.says(text);
  await bob.hasUnread("lobby", 3);
  await bob.opens("lobby");
  await bob.hasUnread("lobby", 0);
  const rows = await bob.pane.locator(".rows > li").evaluateAll((nodes) => nodes.map((node) => node.className === "new" ? "new" : node.querySelector(".text")?.lastChild.textContent));
  assert.deepEqual(rows.slice(-4), ["new", "one", "two", "three"]);
  await shot(page, "new-divider");
});

chatting("the whole history is paged by scrolling, each message once, and the reader stays in place", async ([alice]) => {
  await alice.opens("counting");
  while (!(await alice.pane.getByText("This is where it begins.").count())) {
    const [held, top] = await alice.scroller.evaluate((node) => [node.querySelectorAll(".message").length, node.querySelector(".message .text").textContent]);
    await alice.scroller.evaluate((node) => (node.scrollTop = 100));
    await alice.page.waitForFunction(([id, count]) => {
      const pane = document.querySelector(`.pane[data-user="${id}"]`);
      return pane.querySelectorAll(".message").length > count || pane.querySelector(".older").textContent.includes("begins");
    }, [alice.id, held]);
    const offset = await alice.message(top.replace("You: ", "")).evaluate((node) => node.getBoundingClientRect().top - node.closest(".scroller").getBoundingClientRect().top);
    assert.ok(Math.abs(offset) < 250, `the first message went ${offset} px away`);
  }
  const numbers = Array.from({ length: 180 }, (_, at) => String(at + 1));
  assert.deepEqual(await alice.texts(), numbers);
});

chatting("who reads above isn't moved by what comes, and jumps to it", async ([alice, bob]) => {
  await alice.opens("counting");
  await bob.opens("counting");
  await bob.scroller.evaluate((node) => (node.scrollTop = 0));
  await bob.newest.waitFor();
  await alice.says("181");
  await bob.newest.getByText("↓ 1 new message").waitFor();
  await bob.newest.click();
  await bob.newest.waitFor({ state: "hidden" });
  await alice.sees("181", '.receipt[title="Read by Bob"]');
});

chatting("the direct group is of the two alone", async ([alice, bob, carol], page) => {
  await alice.pane.getByRole("button", { name: /^@?\s*Bob/ }).click();
  await alice.hears("The boat is still afloat. Forgiven.");
  await page.locator('.views [data-view="carol"]').click();
  assert.equal(await carol.pane.locator(".groups button").count(), 2);
  await bob.pane.getByRole("button", { name: /^@?\s*Alice/ }).click();
  await alice.says("between us");
  await bob.hears("between us");
});
