/** The playground's people, for tests that read aloud: `await alice.says("hi"); await bob.hears("hi");`. Everything waits for what it expects. */

import assert from "node:assert/strict";

export async function peopleOf(page) {
  const people = ["alice", "bob", "carol"].map((id) => new Person(page, id));
  await people[0].isIn("lobby");
  await people[1].isIn("lobby");
  return people;
}

export class Person {
  constructor(page, id) {
    this.page = page;
    this.id = id;
    this.pane = page.locator(`.pane[data-user="${id}"]`);
    this.text = this.pane.locator("textarea");
    this.scroller = this.pane.locator(".scroller");
    this.messages = this.pane.locator(".message");
    this.typing = this.pane.locator(".typing");
    this.newest = this.pane.locator(".newest");
  }

  /** The messages with exactly this text. */
  message(text) {
    return this.messages.filter({ has: this.page.locator(".text", { hasText: new RegExp(`^(You: )?${escaped(text)}$`) }) });
  }

  async isIn(group) {
    await this.pane.locator(`.messages[data-group="${group}"] .message`).first().waitFor({ state: "attached" });
    await this.is("live");
  }

  async is(state) {
    await this.page.locator(`.pane[data-user="${this.id}"][data-state="${state}"]`).waitFor({ state: "attached" });
  }

  async opens(group) {
    await this.pane.locator(`.groups button[data-group="${group}"]`).click();
    await this.isIn(group);
  }

  async says(text) {
    await this.text.fill(text);
    await this.text.press("Enter");
    await this.message(text).waitFor();
  }

  async hears(text) {
    await this.message(text).waitFor();
  }

  async hearsNothingLike(text) {
    assert.equal(await this.message(text).count(), 0);
  }

  /** Does something with a message, by the bar that stands at it. */
  async does(action, text) {
    await this.message(text).hover();
    await this.message(text).locator(`[data-action="${action}"]`).click();
  }

  async reacts(text, key) {
    await this.does("react", text);
    await this.message(text).locator(`[data-reaction="${key}"]`).click();
  }

  async sees(text, selector) {
    await this.message(text).locator(selector).waitFor();
  }

  unread(group) {
    return this.pane.locator(`.groups button[data-group="${group}"] .count > span:first-child`);
  }

  async hasUnread(group, count) {
    if (count === 0) await this.unread(group).waitFor({ state: "hidden" });
    else await this.unread(group).and(this.page.getByText(String(count), { exact: true })).waitFor();
  }

  async presses(name) {
    await this.pane.getByRole("button", { name, exact: true }).click();
  }

  /** The texts of all messages that are held, in their order. */
  texts() {
    return this.messages.locator(".text").evaluateAll((nodes) => nodes.map((node) => node.lastChild.textContent));
  }
}

function escaped(text) {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
