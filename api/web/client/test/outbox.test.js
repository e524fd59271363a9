import assert from "node:assert/strict";
import { test } from "node:test";
import { codeOf, inLobby, message, paged, settled, texts } from "./support/stage.js";

const ack = (ci, seq, more = {}) => ({ a: 4, d: { g: "lobby", ci, i: `id${seq}`, s: seq, t: 1000 + seq, ...more } });
const refusal = (ci, c, more = {}) => ({ a: 5, d: { c, m: "no", tmp: false, ci, ...more } });
const own = (seq, ci, text = "hi") => message(seq, { user: "alice", ci, text });

test("a message shows at once, and becomes the server's without ever being two", async () => {
  const { stage, lobby } = await inLobby();
  const sent = lobby.send("hi", { replyTo: "id0", custom: { a: 1 } });
  assert.deepEqual(stage.sent(), [{ a: 2, d: { m: "hi", ci: "ci-1", rp: "id0", x: { a: 1 } } }]);
  const [pending] = lobby.state.messages;
  assert.deepEqual([pending.status, pending.id, pending.own, pending.user, pending.custom], ["sending", "", true, "alice", { a: 1 }]);
  await stage.hear(ack("ci-1", 1));
  assert.deepEqual(await sent, { id: "id1", seq: 1, time: 1001, clientId: "ci-1", duplicate: false });
  assert.deepEqual([lobby.state.messages.length, lobby.state.messages[0].status, lobby.state.seq], [1, "stored", 0]);
  await stage.hear(own(1, "ci-1"));
  assert.deepEqual([lobby.state.messages.length, lobby.state.messages[0].id, lobby.state.seq], [1, "id1", 1]);
  assert.equal(lobby.state.messages[0].key, pending.key, "a list needn't draw it anew");
});

test("what is seen is stored, even if its ack comes later or never", async () => {
  const { stage, lobby } = await inLobby();
  const sent = lobby.send("hi");
  await stage.hear(own(1, "ci-1"));
  assert.equal((await sent).seq, 1);
  await stage.hear(ack("ci-1", 1));
  assert.equal(lobby.state.messages.length, 1);
  await stage.clock.pass(20_000);
  assert.deepEqual(stage.socket.sent.filter(({ a }) => a === 2).length, 1);
});

test("somebody else's message with the same client id is somebody else's", async () => {
  const { stage, lobby } = await inLobby();
  lobby.send("hi");
  await stage.hear(message(1, { ci: "ci-1", text: "not hers" }));
  assert.deepEqual(texts(lobby), ["not hers", "hi"]);
});

test("what was on its way when the connection was lost is sent again with re, in order, until it is acked", async () => {
  const { stage, lobby } = await inLobby();
  const sent = ["one", "two"].map((text) => lobby.send(text));
  stage.socket.end(1006);
  sent.push(lobby.send("three"));
  assert.deepEqual(lobby.state.messages.map(({ status }) => status), ["waiting", "waiting", "waiting"]);
  await stage.clock.pass(stage.chat.state.retryIn);
  await stage.accept({ group: "lobby", seq: 1 });
  const frames = stage.sent();
  assert.deepEqual(frames.map(({ a }) => a), [13, 2, 2, 2], "the resume is the first frame");
  assert.deepEqual(frames.slice(1).map(({ d }) => [d.m, d.ci, d.re]), [["one", "ci-1", true], ["two", "ci-2", true], ["three", "ci-3", undefined]]);
  await stage.hear({ a: 13, d: { g: "lobby", ok: true, n: 1 } }, own(1, "ci-1", "one"), ack("ci-1", 1, { dup: true }));
  await stage.hear(own(2, "ci-2", "two"), ack("ci-2", 2), own(3, "ci-3", "three"), ack("ci-3", 3));
  assert.deepEqual((await Promise.all(sent)).map(({ seq }) => seq), [1, 2, 3]);
  assert.deepEqual(texts(lobby), ["one", "two", "three"]);
});

test("an ack that doesn't come is asked for by sending again, and not for ever", async () => {
  const { stage, lobby, clock } = await inLobby({ ackTimeout: 1_000, sendTries: 3 });
  const sent = lobby.send("hi");
  await clock.pass(2_000);
  assert.deepEqual(stage.sent().map(({ d }) => d.re), [undefined, true, true]);
  await clock.pass(1_000);
  assert.equal(await codeOf(sent), "timeout");
  assert.deepEqual([lobby.state.messages[0].error.code, lobby.state.messages[0].error.uncertain], ["timeout", true]);
  const again = lobby.retry("ci-1");
  assert.deepEqual(stage.sent().map(({ d }) => d.re), [true]);
  await stage.hear(ack("ci-1", 1, { dup: true }));
  assert.equal((await again).duplicate, true);
});

test("a message that was refused wasn't stored, unless it was sent before and nobody answered it then", async () => {
  const { stage, lobby } = await inLobby();
  const uncertain = (promise) => promise.catch((error) => error.uncertain === true);
  const sent = ["one", "two", "three"].map((text) => uncertain(lobby.send(text)));
  await stage.hear(refusal("ci-1", "muted"), refusal("ci-2", "draining", { tmp: true, ra: 0 }));
  await stage.lose();
  await stage.accept({ group: "lobby" });
  await stage.hear(refusal("ci-2", "not_attending"), refusal("ci-3", "not_attending"));
  assert.deepEqual(await Promise.all(sent), [false, false, true]);
  const changed = uncertain(lobby.react("id1", "!"));
  await settled();
  await stage.hear({ a: 5, r: stage.asked(9).r, d: { c: "group_unavailable", m: "no", tmp: true } });
  assert.equal(await changed, true, "the server doesn't know, either");
});

test("a refused message fails, and is sent again or thrown away by its author", async () => {
  const { stage, lobby } = await inLobby();
  const [one, two] = [lobby.send("one"), lobby.send("two")];
  await stage.hear(refusal("ci-1", "muted"), refusal("ci-2", "muted", { g: "lobby" }));
  assert.deepEqual([await codeOf(one), await codeOf(two)], ["muted", "muted"]);
  assert.deepEqual(lobby.state.messages.map(({ status, error }) => [status, error.code]), [["failed", "muted"], ["failed", "muted"]]);
  lobby.discard("ci-1");
  stage.sent();
  lobby.retry("ci-2");
  assert.deepEqual(texts(lobby), ["two"]);
  assert.deepEqual(stage.sent(), [{ a: 2, d: { m: "two", ci: "ci-2", re: true } }]);
  assert.equal(await codeOf(lobby.retry("ci-1")), "invalid");
});

test("a refusal that passes is waited for, and what came after waits with it", async () => {
  const { stage, lobby, clock } = await inLobby();
  const sent = lobby.send("one");
  await stage.hear(refusal("ci-1", "rate_limited", { tmp: true, ra: 700 }));
  lobby.send("two");
  await clock.pass(699);
  assert.equal(stage.sent().length, 1);
  await clock.pass(1);
  assert.deepEqual(stage.sent().map(({ d }) => d.m), ["one"]);
  await stage.hear(refusal("ci-1", "store_unavailable", { tmp: true }));
  await clock.pass(1_000);
  assert.deepEqual(stage.sent().map(({ d }) => [d.m, d.re]), [["one", true]]);
  await stage.hear(ack("ci-1", 1));
  assert.equal((await sent).seq, 1);
  assert.deepEqual(stage.sent().map(({ d }) => d.m), ["two"]);
});

test("behind one that is refused for a while nothing goes before it is acked, so that the order stays", async () => {
  const { stage, lobby, clock } = await inLobby();
  for (let index = 1; index <= 5; index++) lobby.send(`${index}`);
  stage.sent();
  await stage.hear(ack("ci-1", 1), refusal("ci-2", "rate_limited", { tmp: true, ra: 50 }));
  await clock.pass(50);
  assert.deepEqual(stage.sent(), [], "what is on its way behind it may be refused, too");
  await stage.hear(...["ci-3", "ci-4", "ci-5"].map((ci) => refusal(ci, "rate_limited", { tmp: true, ra: 30 })));
  await clock.pass(30);
  for (const [ci, seq] of [["ci-2", 2], ["ci-3", 3]]) {
    assert.deepEqual(stage.sent().map(({ d }) => d.ci), ci === "ci-2" ? ["ci-2"] : ["ci-3", "ci-4", "ci-5"]);
    await stage.hear(ack(ci, seq));
  }
});

test("an ack of what was on its way before a refusal doesn't end the care, a refusal for good of the next doesn't, either", async () => {
  const { stage, lobby, clock } = await inLobby();
  for (let index = 1; index <= 4; index++) lobby.send(`${index}`);
  stage.sent();
  await stage.hear(refusal("ci-1", "store_unavailable", { tmp: true }), refusal("ci-2", "store_unavailable", { tmp: true }));
  await stage.hear(refusal("ci-3", "store_unavailable", { tmp: true }), ack("ci-4", 1));
  await clock.pass(10_000);
  assert.deepEqual(stage.sent().map(({ d }) => d.ci), ["ci-1"]);
  await stage.hear(refusal("ci-1", "muted"));
  assert.deepEqual(stage.sent().map(({ d }) => d.ci), ["ci-2"]);
  await stage.lose();
  await stage.accept({ group: "lobby", seq: 1 });
  assert.deepEqual(stage.sent().slice(1).map(({ d }) => d.ci), ["ci-2", "ci-3"], "a new connection begins anew");
});

test("changes and moderation count as messages, and take turns with them", async () => {
  const { stage, lobby, clock } = await inLobby({}, { limits: { send: 1 } });
  const failed = [];
  const asked = [lobby.react("id1", "!"), lobby.edit("id1", "x"), lobby.kick("bob"), lobby.remove("id1")];
  for (const promise of asked) promise.catch(({ code }) => failed.push(code));
  lobby.send("one");
  lobby.send("two");
  lobby.unreact("id1", "!").catch(({ code }) => failed.push(code));
  await settled();
  const answer = ({ r, d }) => (r === undefined ? ack(d.ci, 9) : { a: 4, r, d: { g: "lobby" } });
  const kinds = async () => {
    const sent = stage.socket.sent.splice(0);
    await stage.hear(...sent.map(answer));
    return sent.map(({ a }) => a);
  };
  assert.deepEqual(await kinds(), [9, 7, 16], "the burst");
  for (const kind of [8, 2, 9, 2]) {
    await clock.pass(1_000);
    assert.deepEqual(await kinds(), [kind]);
  }
  lobby.react("id2", "!").catch(({ code }) => failed.push(code));
  await settled();
  stage.socket.end(1006);
  await settled();
  assert.deepEqual([await Promise.allSettled(asked).then((all) => all.length), failed], [4, ["disconnected"]], "what waits isn't done on another connection");
});

test("when the server says that it was too fast, nothing more is sent than comes in again", async () => {
  const { stage, lobby, clock } = await inLobby({}, { limits: { send: 10 } });
  lobby.react("id1", "!").catch(() => {});
  await settled();
  await stage.hear({ a: 5, r: stage.asked(9).r, d: { c: "rate_limited", m: "no", tmp: true, ra: 100 } });
  stage.sent();
  for (let index = 1; index <= 3; index++) lobby.send(`${index}`);
  assert.deepEqual(stage.sent(), []);
  await clock.pass(100);
  assert.deepEqual(stage.sent().map(({ d }) => d.m), ["1"]);
  await stage.hear(refusal("ci-1", "rate_limited", { tmp: true, ra: 100 }));
  await clock.pass(100);
  await stage.hear(ack("ci-1", 1));
  assert.deepEqual(stage.sent().map(({ d }) => d.m), ["1"]);
  await clock.pass(100);
  assert.deepEqual(stage.sent().map(({ d }) => d.m), ["2"]);
});

test("it keeps to the server's rate by itself", async () => {
  const { stage, lobby, clock } = await inLobby({}, { limits: { send: 2 } });
  for (let index = 1; index <= 9; index++) lobby.send(`${index}`);
  assert.equal(stage.sent().length, 6, "a burst of three times the rate");
  for (let index = 1; index <= 6; index++) await stage.hear(ack(`ci-${index}`, index));
  assert.equal(stage.sent().length, 0);
  await clock.pass(500);
  assert.equal(stage.sent().length, 1);
  await clock.pass(1_000);
  assert.equal(stage.sent().length, 2);
});

test("time that passes while a burst is on its way brings nothing: it may be held up, and come with what is sent after it", async () => {
  const { stage, lobby, clock } = await inLobby({}, { limits: { send: 2 } });
  for (let index = 1; index <= 9; index++) lobby.send(`${index}`);
  await clock.pass(5_000);
  assert.equal(stage.sent().length, 6);
  await stage.hear(ack("ci-1", 1));
  assert.equal(stage.sent().length, 0, "the bucket was full until then");
  await clock.pass(1_000);
  assert.equal(stage.sent().length, 1, "with five on their way it holds one more");
  for (let index = 2; index <= 6; index++) await stage.hear(ack(`ci-${index}`, index));
  assert.equal(stage.sent().length, 0);
  await clock.pass(500);
  assert.equal(stage.sent().length, 1);
});

test("only so many are on their way, and only so many wait", async () => {
  const { stage, lobby } = await inLobby({ outboxMax: 40 });
  for (let index = 1; index <= 40; index++) lobby.send(`${index}`);
  assert.equal(await codeOf(lobby.send("too many")), "outbox_full");
  assert.equal(stage.sent().length, 32);
  await stage.hear(ack("ci-1", 1));
  assert.deepEqual(stage.sent().map(({ d }) => d.m), ["33"]);
});

test("what can't be sent is refused before it does harm", async () => {
  const { stage, lobby } = await inLobby();
  assert.equal(await codeOf(lobby.send("")), "invalid");
  assert.equal(await codeOf(lobby.send(5)), "invalid");
  assert.equal(await codeOf(lobby.send("x", { clientId: "a\nb" })), "invalid");
  assert.equal(await codeOf(lobby.send("x".repeat(65_536))), "frame_too_large");
  assert.equal(await codeOf(lobby.send("x", { custom: 1n })), "invalid");
  assert.equal(await codeOf(lobby.react("id1", "x".repeat(70_000))), "frame_too_large");
  lobby.send("x", { clientId: "twice" });
  assert.equal(await codeOf(lobby.send("y", { clientId: "twice" })), "invalid");
  assert.equal(stage.sent().length, 1);
  assert.equal(lobby.state.messages.length, 1);
});

test("custom data is that of the moment of sending", async () => {
  const { stage, lobby } = await inLobby();
  const custom = { when: new Date(0), list: [1] };
  stage.socket.end(1006);
  lobby.send("x", { custom });
  custom.list.push(2);
  await stage.clock.pass(stage.chat.state.retryIn);
  await stage.accept({ group: "lobby" });
  assert.deepEqual(stage.sent().at(-1).d.x, { when: "1970-01-01T00:00:00.000Z", list: [1] });
});

test("a duplicate's ack of a message that was seen long ago leaves nothing behind", async () => {
  const { stage, lobby } = await inLobby({}, { seq: 50 });
  const sent = lobby.send("hi", { clientId: "from before", again: true });
  assert.equal(stage.sent()[0].d.re, true);
  await stage.hear(ack("from before", 7, { dup: true }));
  assert.equal((await sent).seq, 7);
  assert.deepEqual(lobby.state.messages, []);
});

test("a page that holds a message settles it", async () => {
  const { stage, lobby } = await inLobby({}, { seq: 5 });
  const sent = lobby.send("hi", { clientId: "lost ack", again: true });
  const page = lobby.history();
  await settled();
  await stage.hear({ a: 3, r: stage.asked(3).r, d: { g: "lobby", h: [paged(5, { user: "alice", ci: "lost ack", text: "hi" })], more: false } });
  assert.equal((await sent).seq, 5);
  assert.equal((await page).messages.length, 1);
  assert.deepEqual(texts(lobby), ["hi"]);
});
