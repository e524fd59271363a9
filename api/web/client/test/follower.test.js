import assert from "node:assert/strict";
import { test } from "node:test";
import { Stage, inLobby, message, paged, settled, texts } from "./support/stage.js";

const ok = (n) => ({ a: 13, d: { g: "lobby", ok: true, n } });
const no = (why) => ({ a: 13, d: { g: "lobby", ok: false, why } });

/** Answers a page as a server does that has these messages. */
async function answerPage(stage, log) {
  await settled();
  const { r, d } = stage.asked(3);
  const before = log.filter(({ s }) => s < (d.b ?? Infinity));
  const h = before.slice(-d.l);
  await stage.hear({ a: 3, r, d: { g: "lobby", h, more: before.length > h.length } });
}

test("the newest page is asked for again on the next connection if the line was lost before it came", async () => {
  const stage = new Stage({ history: 50 });
  await stage.accept({ group: "lobby", seq: 3 });
  await stage.lose();
  await stage.accept({ group: "lobby", seq: 3 });
  stage.sent();
  await stage.hear({ a: 13, d: { g: "lobby", ok: true, n: 0 } });
  await settled();
  assert.deepEqual([stage.sent().map(({ a }) => a), stage.errors], [[3], []]);
});

test("the newest page is asked for again where it is refused for a while", async () => {
  const stage = new Stage({ history: 50 });
  await stage.accept({ group: "lobby", seq: 3 });
  const refused = { c: "rate_limited", m: "no", tmp: true, ra: 1_000 };
  await stage.hear({ a: 5, r: stage.asked(3).r, d: refused });
  stage.sent();
  await stage.clock.pass(1_000);
  assert.deepEqual([stage.sent().map(({ a }) => a), stage.errors], [[3], []]);
});

test("the newest page comes by itself, and older ones when asked for", async () => {
  const stage = new Stage({ history: 2 });
  await stage.accept({ group: "lobby", seq: 5 });
  const lobby = await stage.chat.group;
  const log = [1, 2, 3, 4, 5].map((seq) => paged(seq));
  await answerPage(stage, log);
  assert.deepEqual([texts(lobby), lobby.state.more], [["m4", "m5"], true]);
  const older = lobby.older(2);
  await answerPage(stage, log);
  assert.deepEqual((await older).messages.map(({ seq }) => seq), [2, 3]);
  lobby.older(2);
  await answerPage(stage, log);
  assert.deepEqual([texts(lobby), lobby.state.more], [["m1", "m2", "m3", "m4", "m5"], false]);
  assert.deepEqual(await lobby.older(), { messages: [], more: false }, "nothing is asked for in vain");
});

test("events come in their order and once", async () => {
  const { stage, lobby } = await inLobby();
  const heard = [];
  lobby.on("message", ({ seq }) => heard.push(seq));
  await stage.hear(message(1), message(2), message(2), message(1), message(3));
  assert.deepEqual(heard, [1, 2, 3]);
  assert.equal(lobby.state.seq, 3);
});

test("a resume is the first frame, and what was missed comes before what is live", async () => {
  const { stage, lobby } = await inLobby();
  await stage.hear(message(1));
  await stage.lose(4000);
  assert.equal(lobby.state.status, "away");
  stage.socket.open();
  assert.deepEqual(stage.sent(), [{ a: 13, d: { ep: "e1", s: 1 } }], "even before the welcome");
  await stage.hear(stage.welcome({ group: "lobby", seq: 3 }), ok(2), message(2), message(3), message(4));
  assert.deepEqual(texts(lobby), ["m1", "m2", "m3", "m4"]);
  assert.deepEqual([lobby.state.status, lobby.state.gaps], ["live", []]);
});

test("a hole is closed by coming back and resuming", async () => {
  const { stage, lobby } = await inLobby();
  await stage.hear(message(1), message(3));
  assert.deepEqual(texts(lobby), ["m1"]);
  assert.equal(stage.chat.state.status, "waiting");
  await stage.clock.pass(stage.chat.state.retryIn);
  stage.socket.open();
  assert.deepEqual(stage.sent(), [{ a: 13, d: { ep: "e1", s: 1 } }]);
  await stage.hear(stage.welcome({ group: "lobby", seq: 3 }), ok(2), message(2), message(3));
  assert.deepEqual(texts(lobby), ["m1", "m2", "m3"]);
});

test("a hole that a resume leaves is paged", async () => {
  const { stage, lobby } = await inLobby();
  await stage.hear(message(1), message(3));
  await stage.clock.pass(stage.chat.state.retryIn);
  stage.socket.open();
  await stage.hear(stage.welcome({ group: "lobby", seq: 3 }), ok(2), message(3));
  assert.deepEqual(texts(lobby), ["m1", "m3"]);
  await answerPage(stage, [1, 2, 3].map((seq) => paged(seq)));
  assert.deepEqual([texts(lobby), lobby.state.gaps], [["m1", "m2", "m3"], []]);
});

test("what is too far to be replayed is paged, and so is what may have changed", async () => {
  const { stage, lobby } = await inLobby();
  const gaps = [];
  lobby.on("gap", (gap) => gaps.push(gap));
  await stage.hear(message(1), message(2));
  await stage.lose();
  stage.socket.open();
  await stage.hear(stage.welcome({ group: "lobby", seq: 250 }), no("too_far"), message(251));
  assert.deepEqual(lobby.state.gaps, [{ after: 2, before: 251 }]);
  assert.deepEqual(texts(lobby), ["m1", "m2", "m251"], "what is held stays");
  const log = Array.from({ length: 250 }, (_, index) => paged(index + 1, index === 1 ? { text: "edited", v: 249, ed: 5 } : {}));
  await answerPage(stage, log);
  assert.deepEqual(lobby.state.gaps, [{ after: 2, before: 151 }]);
  await answerPage(stage, log);
  await answerPage(stage, log);
  assert.deepEqual([lobby.state.gaps, lobby.state.messages.length, texts(lobby)[1]], [[], 251, "edited"]);
  assert.deepEqual(gaps, [{ why: "too_far", open: true }, { why: "too_far", open: false }]);
});

test("more pages than are fetched by themselves are left to be asked for", async () => {
  const { stage, lobby } = await inLobby({ gapPages: 1 });
  await stage.hear(message(1));
  await stage.lose();
  stage.socket.open();
  await stage.hear(stage.welcome({ group: "lobby", seq: 250 }), no("too_far"));
  const log = Array.from({ length: 250 }, (_, index) => paged(index + 1));
  await answerPage(stage, log);
  stage.sent();
  await settled();
  assert.deepEqual(stage.sent(), []);
  assert.deepEqual(lobby.state.gaps, [{ after: 1, before: 151 }]);
  const first = lobby.closeGaps();
  await answerPage(stage, log);
  assert.equal(await first, false);
  const second = lobby.closeGaps();
  await answerPage(stage, log);
  assert.equal(await second, true);
  assert.equal(lobby.state.messages.length, 250);
});

test("what history no longer has goes with the page that it should be in", async () => {
  const { stage, lobby } = await inLobby();
  await stage.hear(...[1, 2, 3, 4, 5].map((seq) => message(seq)));
  await stage.lose();
  stage.socket.open();
  await stage.hear(stage.welcome({ group: "lobby", seq: 250 }), no("too_far"));
  assert.deepEqual(texts(lobby), ["m1", "m2", "m3", "m4", "m5"], "until then it is kept");
  // Of what was held retention has left 4, and the server the tombstone of 5.
  const log = [paged(4), paged(5, { m: undefined, del: true, v: 200 }), ...Array.from({ length: 101 }, (_, index) => paged(index + 150))];
  await answerPage(stage, log);
  assert.deepEqual([texts(lobby).slice(0, 6), lobby.state.gaps], [["m1", "m2", "m3", "m4", "m5", "m151"], [{ after: 5, before: 151 }]]);
  await answerPage(stage, log);
  assert.deepEqual([texts(lobby).slice(0, 4), lobby.state.gaps, lobby.state.more], [["m4", "", "m150", "m151"], [], false]);
});

test("nothing of what was held is left when history holds nothing before the newest", async () => {
  const { stage, lobby } = await inLobby();
  await stage.hear(message(1), message(2));
  await stage.lose();
  stage.socket.open();
  await stage.hear(stage.welcome({ group: "lobby", seq: 200 }), no("too_far"));
  await settled();
  await stage.hear({ a: 3, r: stage.asked(3).r, d: { g: "lobby", h: [paged(200)], more: true } });
  await answerPage(stage, []);
  assert.deepEqual([texts(lobby), lobby.state.gaps, lobby.state.more], [["m200"], [], false]);
});

test("what came after a page was asked for isn't missed in it", async () => {
  const { stage, lobby } = await inLobby();
  await stage.hear(message(1), message(2));
  const sent = lobby.send("mine");
  const page = lobby.history();
  await settled();
  const { r } = stage.asked(3);
  await stage.hear(message(3), { a: 4, d: { g: "lobby", ci: "ci-1", i: "id4", s: 4, t: 1 } });
  await stage.hear({ a: 3, r, d: { g: "lobby", h: [paged(2)], more: false } });
  await Promise.all([sent, page]);
  assert.deepEqual(texts(lobby), ["m2", "m3", "mine"]);
  lobby.history({ after: 2 });
  await settled();
  await stage.hear({ a: 3, r: stage.asked(3).r, d: { g: "lobby", h: [], more: false } });
  assert.deepEqual(texts(lobby), ["m2", "mine"], "what was seen before would be in it");
});

test("what can't be brought up to date any more is given up once no gap is above it", async () => {
  const { stage, lobby } = await inLobby({ gapPages: 1 });
  await stage.hear(...Array.from({ length: 150 }, (_, index) => message(index + 1)));
  await stage.lose();
  stage.socket.open();
  await stage.hear(stage.welcome({ group: "lobby", seq: 160 }), no("too_far"));
  await answerPage(stage, Array.from({ length: 160 }, (_, index) => paged(index + 1)));
  assert.deepEqual([lobby.state.gaps, lobby.state.messages[0].seq, lobby.state.more], [[], 61, true]);
});

test("a gap is gone on with on the next connection", async () => {
  const { stage, lobby } = await inLobby();
  await stage.hear(message(1));
  await stage.lose();
  stage.socket.open();
  await stage.hear(stage.welcome({ group: "lobby", seq: 150 }), no("too_far"));
  const log = Array.from({ length: 150 }, (_, index) => paged(index + 1));
  await answerPage(stage, log);
  await stage.lose();
  stage.socket.open();
  await stage.hear(stage.welcome({ group: "lobby", seq: 150 }), ok(0));
  await answerPage(stage, log);
  assert.deepEqual([lobby.state.gaps, lobby.state.messages.length], [[], 150]);
});

test("a late resume that missed nothing is no gap", async () => {
  const { stage, lobby } = await inLobby();
  await stage.hear(message(1));
  await stage.lose();
  stage.socket.open();
  await stage.hear(stage.welcome({ group: "lobby", seq: 1 }), message(2), no("late"), message(3));
  assert.deepEqual([texts(lobby), lobby.state.gaps], [["m1", "m2", "m3"], []]);
});

test("a late resume pages what was missed before the live events", async () => {
  const { stage, lobby } = await inLobby();
  await stage.hear(message(1));
  await stage.lose();
  stage.socket.open();
  await stage.hear(stage.welcome({ group: "lobby", seq: 3 }), message(4), no("late"), message(5));
  assert.deepEqual([texts(lobby), lobby.state.seq], [["m1", "m4", "m5"], 5]);
  await answerPage(stage, [1, 2, 3, 4, 5].map((seq) => paged(seq)));
  assert.deepEqual([texts(lobby), lobby.state.gaps], [["m1", "m2", "m3", "m4", "m5"], []]);
});

test("another life of the group begins anew", async () => {
  const lives = [["epoch", "epoch", { seq: 1, epoch: "e2" }], ["late", "epoch", { seq: 1, epoch: "e2" }], ["ahead", "ahead", { seq: 1 }]];
  for (const [said, why, welcome] of lives) {
    const { stage, lobby } = await inLobby({ history: 10 });
    const resets = [];
    lobby.on("reset", (reset) => resets.push(reset));
    await stage.hear(message(1), message(2));
    await stage.lose();
    stage.socket.open();
    await stage.hear(stage.welcome({ group: "lobby", ...welcome }));
    const roster = { g: "lobby", rv: 1, n: 1, w: true, on: [{ id: "alice", name: "Alice", rd: 1, rc: 1 }], off: [] };
    await stage.hear({ a: 1, d: roster }, no(said));
    await answerPage(stage, [paged(1, { text: "new life" })]);
    assert.deepEqual([texts(lobby), lobby.state.seq, resets], [["new life"], 1, [{ why }]]);
    assert.deepEqual(lobby.state.markers.get("alice"), { read: 1, received: 1 });
  }
});

test("a resume that the server can't serve is paged", async () => {
  const { stage, lobby } = await inLobby();
  await stage.hear(message(1));
  await stage.lose();
  stage.socket.open();
  const { r } = stage.asked(13);
  await stage.hear(stage.welcome({ group: "lobby", seq: 2 }), { a: 5, r, d: { c: "store_unavailable", m: "no", tmp: true } });
  await answerPage(stage, [1, 2].map((seq) => paged(seq)));
  assert.deepEqual([texts(lobby), lobby.state.gaps], [["m1", "m2"], []]);
});

test("a page that is refused for a while is asked for again", async () => {
  const { stage, lobby } = await inLobby();
  await stage.hear(message(1));
  await stage.lose();
  stage.socket.open();
  await stage.hear(stage.welcome({ group: "lobby", seq: 3 }), no("too_far"));
  await stage.hear({ a: 5, r: stage.asked(3).r, d: { c: "rate_limited", m: "no", tmp: true, ra: 50 } });
  await stage.clock.pass(50);
  await answerPage(stage, [1, 2, 3].map((seq) => paged(seq)));
  assert.deepEqual(lobby.state.gaps, []);
});

test("events of a kind that isn't known yet take their place", async () => {
  const { stage, lobby } = await inLobby();
  await stage.hear(message(1), { a: 25, d: { g: "lobby", s: 2, what: "new" } }, message(3));
  assert.deepEqual([texts(lobby), lobby.state.seq], [["m1", "m3"], 3]);
});

test("a page that doesn't touch what is held is given, but not held", async () => {
  const { stage, lobby } = await inLobby({}, { seq: 100 });
  const log = Array.from({ length: 100 }, (_, index) => paged(index + 1));
  const far = lobby.history({ before: 50, limit: 5 });
  await answerPage(stage, log);
  assert.deepEqual((await far).messages.map(({ seq }) => seq), [45, 46, 47, 48, 49]);
  assert.deepEqual(lobby.state.messages, []);
  const after = lobby.history({ after: 98, limit: 5 });
  await settled();
  await stage.hear({ a: 3, r: stage.asked(3).r, d: { g: "lobby", h: log.slice(98), more: false } });
  assert.equal((await after).more, false);
  assert.deepEqual(texts(lobby), ["m99", "m100"]);
  lobby.history({ before: "id99", limit: 2 });
  await settled();
  await stage.hear({ a: 3, r: stage.asked(3).r, d: { g: "lobby", h: log.slice(96, 98), more: true } });
  assert.deepEqual(texts(lobby), ["m97", "m98", "m99", "m100"]);
});

test("the state keeps only so many", async () => {
  const { stage, lobby } = await inLobby({ keep: 3 });
  await stage.hear(...[1, 2, 3, 4, 5].map((seq) => message(seq)));
  assert.deepEqual([texts(lobby), lobby.state.more], [["m3", "m4", "m5"], true]);
});
