/**
 * A client against a model of the server, through a network that loses, repeats and delays: in the end both hold the same, whatever happened.
 * A failure prints its seed; SEED=… runs that one again, ROUNDS=… more of them.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { random } from "./support/random.js";
import { Server } from "./support/server.js";
import { Stage, settled } from "./support/stage.js";

const STEPS = 150;
const ROUNDS = Number(process.env.ROUNDS ?? (process.env.SEED ? 1 : 60));
const KEYS = ["👍", "!", "__proto__"];

class Round {
  sent = [];
  heard = [];

  constructor(dice) {
    this.dice = dice;
    const ahead = (most) => dice.whole(most + 1);
    this.server = new Server({ replayMax: dice.pick([0, 5, 30]), pageMax: dice.pick([2, 7, 100]), ahead });
    const encoding = dice.pick(["json", "msgpack"]);
    const history = dice.pick([0, 3, 50]);
    this.stage = new Stage({ encoding, history, gapPages: dice.pick([1, 20]), random: dice.next, ackTimeout: 500 });
    for (let index = dice.whole(20); index > 0; index--) this.server.say("bob", `before ${index}`);
  }

  async begin() {
    await settled();
    this.#accept();
    await this.#untilQuiet();
    this.lobby = await this.stage.chat.group;
    this.lobby.on("message", ({ seq }) => this.heard.push(seq));
    this.lobby.on("reset", () => (this.heard = []));
  }

  async step() {
    const { dice, server, stage } = this;
    if (!server.isConnected) await this.#comeBack();
    else if (dice.chance(0.03)) server.lose();
    const doings = [
      [6, () => server.arriveUp()],
      [8, () => server.arriveDown(dice.chance(0.02) ? "lost" : dice.chance(0.1) ? "twice" : "arrives")],
      [4, () => this.#othersDo()],
      [2, () => this.#aliceDoes()],
      [1, () => server.letGo()],
      [1, () => stage.clock.pass(dice.whole(300))],
    ];
    const total = doings.reduce((sum, [weight]) => sum + weight, 0);
    let left = dice.whole(total);
    const [, doing] = doings.find(([weight]) => (left -= weight) < 0);
    await doing();
    await settled();
  }

  /** No more chance: everything arrives, and what is missing is asked for. */
  async end() {
    for (let tries = 0; tries < 200; tries++) {
      // That the last event was lost is only seen with the next one.
      if (this.lobby.state.seq < this.server.head) this.server.moderate("unmute", "dave");
      if (!this.server.isConnected) await this.#comeBack();
      await this.#untilQuiet();
      await this.stage.clock.pass(600);
      const whole = await this.#ask(this.lobby.closeGaps());
      if (whole && this.lobby.state.more) await this.#ask(this.lobby.older());
      else if (whole && this.server.isConnected && this.lobby.state.seq === this.server.head && !this.#waits()) return;
    }
    assert.fail("it doesn't come to an end");
  }

  check() {
    const shown = this.lobby.state.messages.map(({ id, seq, user, text, clientId, replyTo, custom, editedAt, deleted, version, reactions }) => ({
      ...{ id, seq, user, text, clientId, replyTo, custom, editedAt, deleted, version },
      reactions,
    }));
    assert.deepEqual(shown, this.server.shown());
    assert.deepEqual(this.lobby.state.gaps, []);
    assert.deepEqual(this.heard, [...new Set(this.heard)].sort((one, other) => one - other), "in order, and once");
    const ids = [...this.server.messages.values()].flatMap(({ p, ci }) => (p === "alice" ? ci : []));
    assert.deepEqual(ids, [...new Set(ids)], "stored once");
    for (const { clientId, result } of this.sent) assert.equal(result?.clientId, clientId, "acked");
    // A refusal that arrives twice is told of the second time: nobody waits for it any more.
    assert.deepEqual(this.stage.errors.filter(({ code }) => code !== "message_not_found"), []);
  }

  #waits() {
    return this.lobby.state.messages.some(({ status }) => status !== "stored");
  }

  #accept() {
    this.server.accept(this.stage.socket, this.stage.welcome({ group: "lobby" }));
  }

  async #comeBack() {
    if (this.dice.chance(0.02)) this.server.makeAgain();
    if (this.dice.chance(0.1)) this.server.cut(this.dice.whole(6) + 1);
    await this.stage.clock.pass(this.stage.chat.state.retryIn ?? 0);
    if (this.stage.chat.state.status === "connecting") this.#accept();
  }

  async #untilQuiet() {
    while (this.server.isConnected && (this.server.up.length > 0 || this.server.down.length > 0)) {
      this.server.letGo();
      this.server.arriveUp();
      this.server.arriveDown();
      await settled();
    }
    this.server.letGo();
  }

  /** Waits for an answer while frames arrive. */
  async #ask(promise) {
    let answer;
    promise.then((value) => (answer = { value })).catch((error) => (answer = { error }));
    for (let tries = 0; !answer && tries < 100; tries++) {
      await settled();
      await this.#untilQuiet();
      if (!this.server.isConnected) await this.#comeBack();
    }
    return answer?.value;
  }

  #othersDo() {
    const { dice, server } = this;
    const [user, id] = [dice.pick(["bob", "carol"]), dice.pick([...server.messages.keys(), "none"])];
    dice.pick([
      () => server.say(user, `says ${dice.whole(1e6)}`, dice.chance(0.3) ? { x: { n: dice.whole(9) }, rp: id } : {}),
      () => server.say(user, "again", { ci: `ci-${dice.whole(5)}` }),
      () => server.edit(user, id, `edited ${dice.whole(1e6)}`),
      () => dice.chance(0.3) && server.remove(user, id),
      () => server.react(user, id, dice.pick(KEYS), dice.chance(0.7)),
      () => server.moderate("mute", "dave"),
    ])();
  }

  #aliceDoes() {
    const { dice, lobby } = this;
    const { id } = dice.pick([...lobby.state.messages, { id: "none" }]);
    const ignore = () => {};
    dice.pick([
      () => this.#send(),
      () => this.#send(),
      () => lobby.edit(id, "alice's edit").catch(ignore),
      () => lobby.remove(id).catch(ignore),
      () => lobby.react(id, dice.pick(KEYS)).catch(ignore),
      () => lobby.unreact(id, dice.pick(KEYS)).catch(ignore),
      () => lobby.older(dice.whole(5) + 1).catch(ignore),
      () => lobby.read(),
    ])();
  }

  #send() {
    const entry = { clientId: undefined, result: undefined };
    this.sent.push(entry);
    const sent = this.lobby.send(`alice says ${this.dice.whole(1e6)}`, this.dice.chance(0.2) ? { custom: [1] } : {});
    entry.clientId = this.lobby.state.messages.at(-1).clientId;
    sent.then((result) => (entry.result = result)).catch(() => {});
  }
}

test(`${ROUNDS} rounds of chance end as the model says`, async () => {
  for (let count = 0; count < ROUNDS; count++) {
    const dice = random();
    try {
      const round = new Round(dice);
      await round.begin();
      for (let step = 0; step < STEPS; step++) await round.step();
      await round.end();
      round.check();
      round.stage.chat.close();
    } catch (error) {
      error.message = `SEED=${dice.seed}: ${error.message}`;
      throw error;
    }
  }
});
