import assert from "node:assert/strict";
import { test } from "node:test";
import { inLobby, message, paged, settled, texts } from "./support/stage.js";

const about = (a, d) => ({ a, d: { g: "lobby", ...d } });
const roster = (rv, on, off = [], more = {}) => about(1, { rv, n: on.length, w: true, on: on.map(person), off: off.map(person), ...more });
const person = (id) => (typeof id === "string" ? { id, name: id.toUpperCase() } : { name: id.id.toUpperCase(), ...id });
const ids = (people) => people.map(({ id }) => id);

test("a message changes as the log says", async () => {
  const { stage, lobby } = await inLobby();
  const told = [];
  for (const name of ["edit", "delete", "reaction"]) lobby.on(name, ({ message, ...event }) => told.push([name, event.seq, message?.id]));
  await stage.hear(message(1, { x: { a: 1 } }), message(2));
  const before = lobby.state.messages[0];
  await stage.hear(about(7, { s: 3, i: "id1", m: "better", ed: 50, by: "bob" }));
  assert.deepEqual([before.text, texts(lobby)[0], lobby.state.messages[0].editedAt], ["m1", "better", 50]);
  assert.deepEqual(lobby.state.messages[0].custom, { a: 1 });
  await stage.hear(about(7, { s: 4, i: "id1", x: null, ed: 60, by: "bob" }));
  assert.deepEqual([texts(lobby)[0], lobby.state.messages[0].custom], ["better", undefined]);
  await stage.hear(about(9, { s: 5, i: "id1", k: "👍", op: "add", u: "alice" }), about(9, { s: 6, i: "id1", k: "👍", op: "add", u: "bob" }));
  await stage.hear(about(9, { s: 7, i: "id1", k: "!", op: "add", u: "bob" }));
  assert.deepEqual(lobby.state.messages[0].reactions, [{ key: "!", count: 1, mine: false }, { key: "👍", count: 2, mine: true }]);
  await stage.hear(about(9, { s: 8, i: "id1", k: "👍", op: "remove", u: "alice" }), about(9, { s: 9, i: "id1", k: "!", op: "remove", u: "bob" }));
  assert.deepEqual(lobby.state.messages[0].reactions, [{ key: "👍", count: 1, mine: false }]);
  await stage.hear(about(8, { s: 10, i: "id1", t: 99, by: "mod" }), about(9, { s: 11, i: "id9", k: "!", op: "add", u: "bob" }));
  const { deleted, text, reactions, editedAt, version } = lobby.state.messages[0];
  assert.deepEqual([deleted, text, reactions, editedAt, version], [true, "", [], undefined, 10]);
  assert.deepEqual(told.at(0), ["edit", 3, "id1"]);
  assert.deepEqual(told.slice(-2), [["delete", 10, "id1"], ["reaction", 11, undefined]]);
});

test("an event is applied only above the message's version", async () => {
  const { stage, lobby } = await inLobby({}, { seq: 5 });
  lobby.history();
  await settled();
  const h = [paged(1, { text: "newest", k: { "👍": 1 }, mk: ["👍"], v: 7, ed: 3 })];
  await stage.hear({ a: 3, r: stage.asked(3).r, d: { g: "lobby", h, more: false } });
  await stage.hear(about(7, { s: 6, i: "id1", m: "older", ed: 2, by: "bob" }), about(9, { s: 7, i: "id1", k: "👍", op: "add", u: "alice" }));
  await stage.hear(about(9, { s: 8, i: "id1", k: "👍", op: "add", u: "bob" }));
  assert.deepEqual([texts(lobby), lobby.state.messages[0].reactions], [["newest"], [{ key: "👍", count: 2, mine: true }]]);
});

test("a small group's roster holds everyone, with roles and markers", async () => {
  const { stage, lobby } = await inLobby();
  await stage.hear(roster(1, ["bob", { id: "alice", ro: "moderator", rd: 0, rc: 0 }], [{ id: "carol", icon: "https://x/y.png", rd: 1, rc: 2 }]));
  assert.deepEqual(lobby.state.roster, [
    { id: "alice", name: "ALICE", role: "moderator", online: true },
    { id: "bob", name: "BOB", role: "member", online: true },
    { id: "carol", name: "CAROL", icon: "https://x/y.png", role: "member", online: false },
  ]);
  assert.deepEqual([lobby.state.online, lobby.state.rosterWhole, lobby.state.role], [2, true, "moderator"]);
  assert.deepEqual(lobby.state.markers.get("carol"), { read: 1, received: 2 });
});

test("a large group's roster follows its changes, and is asked for again when one is missing", async () => {
  const { stage, lobby, clock } = await inLobby();
  await stage.hear(roster(7, ["alice", "bob"], [], { w: false, n: 300 }));
  await stage.hear(about(6, { rv: 8, n: 301, j: [person("carol")], l: ["bob"] }), about(6, { rv: 8, n: 301, j: [], l: [] }));
  assert.deepEqual([ids(lobby.state.roster), lobby.state.online, lobby.state.rosterWhole], [["alice", "carol"], 301, false]);
  assert.deepEqual(stage.sent(), []);
  await stage.hear(about(6, { rv: 10, n: 299, j: [], l: ["carol"] }), about(6, { rv: 11, n: 298, j: [], l: [] }));
  assert.deepEqual(stage.sent(), [{ a: 1 }], "once");
  await stage.hear(roster(11, ["alice"], [], { w: false, n: 298 }), about(6, { rv: 12, n: 297, j: [], l: [] }));
  assert.deepEqual([ids(lobby.state.roster), lobby.state.online], [["alice"], 297]);
  await clock.pass(5_000);
  await stage.hear(about(6, { rv: 1, n: 5, j: [], l: [] }));
  assert.deepEqual(stage.sent(), [{ a: 1 }], "versions that begin again are a missing change, too");
});

test("a roster that may not be asked for yet is asked for later, unless it comes", async () => {
  const { stage, lobby, clock } = await inLobby();
  const missing = (rv) => about(6, { rv, n: 299, j: [], l: [] });
  await stage.hear(roster(7, ["alice"], [], { w: false, n: 300 }), missing(9), roster(9, ["alice"], [], { w: false, n: 300 }), missing(11));
  assert.deepEqual(stage.sent(), [{ a: 1 }]);
  await clock.pass(5_000);
  assert.deepEqual(stage.sent(), [{ a: 1 }], "the second time");
  await stage.hear(roster(11, ["alice"], [], { w: false, n: 300 }), missing(13), roster(13, ["bob"], [], { w: false, n: 300 }));
  await clock.pass(10_000);
  assert.deepEqual([stage.sent(), ids(lobby.state.roster)], [[], ["bob"]]);
});

test("where only their number is told nobody is held for online, and the roster is asked for when names are told again", async () => {
  const { stage, lobby } = await inLobby();
  await stage.hear(roster(7, ["alice", "bob"], [], { w: false, n: 5_001 }), about(6, { rv: 8, n: 5_000 }));
  assert.deepEqual([lobby.state.roster, lobby.state.rosterWhole, lobby.state.online], [[], false, 5_000]);
  const before = lobby.state.roster;
  await stage.hear(about(6, { rv: 11, n: 4_990 }));
  assert.deepEqual([lobby.state.roster, lobby.state.online, stage.sent()], [before, 4_990, []], "of numbers the last one says everything");
  await stage.hear(about(6, { rv: 12, n: 4_989, j: [person("carol")], l: [] }), about(6, { rv: 13, n: 4_988, j: [], l: ["bob"] }));
  assert.deepEqual([lobby.state.roster, stage.sent()], [before, [{ a: 1 }]], "they aren't a list without those before them");
  await stage.hear(roster(13, ["alice", "carol"], [], { w: false, n: 4_988 }), about(6, { rv: 14, n: 4_987, j: [], l: ["carol"] }));
  assert.deepEqual([ids(lobby.state.roster), lobby.state.online], [["alice"], 4_987]);
});

test("a group that grows too large for any names in one step has none", async () => {
  const { stage, lobby } = await inLobby();
  await stage.hear(roster(7, ["alice", "bob"], ["carol"]), about(6, { rv: 8, n: 2 }));
  assert.deepEqual([lobby.state.roster, lobby.state.rosterWhole], [[], false]);
  await stage.hear(roster(9, ["alice"]));
  assert.deepEqual([ids(lobby.state.roster), lobby.state.rosterWhole], [["alice"], true]);
});

test("a group that grows too large for its whole roster isn't held for known by everyone", async () => {
  const { stage, lobby } = await inLobby();
  await stage.hear(roster(7, ["alice", "bob"], ["carol"]));
  const before = lobby.state;
  assert.equal(before.rosterWhole, true);
  await stage.hear(about(6, { rv: 8, n: 2, j: [], l: ["dave"] }));
  assert.deepEqual([lobby.state.rosterWhole, ids(lobby.state.roster)], [false, ["alice", "bob", "carol"]]);
  assert.equal(lobby.state.roster, before.roster, "who was only just added hasn't left");
  await stage.hear(about(6, { rv: 9, n: 1, l: ["bob", "dave"] }));
  assert.deepEqual([ids(lobby.state.roster), lobby.state.online], [["alice", "carol"], 1]);
  await stage.hear(message(1, { user: "erin" }));
  assert.equal(lobby.state.markers.has("erin"), false, "markers of others aren't told in there");
  await stage.hear(roster(10, ["alice"]));
  assert.equal(lobby.state.rosterWhole, true);
});

test("a roster that can't be read changes nothing", async () => {
  const { stage, lobby } = await inLobby();
  await stage.hear(roster(7, ["alice", "bob"]));
  const before = lobby.state.roster;
  const broken = [{ on: [null] }, { n: -1 }, { rv: "x" }, { on: [{ id: "alice", name: "A", rd: 1e300, rc: 0 }] }, { off: 5 }];
  await stage.hear(...broken.map((more) => roster(8, [], [], more)));
  await stage.hear(...[{ j: 5 }, { j: [null] }, { l: "bob" }, { n: 0.5 }].map((more) => about(6, { rv: 8, n: 1, ...more })));
  assert.equal(stage.errors.length, 9);
  assert.deepEqual([lobby.state.roster, lobby.state.rosterWhole, lobby.state.online], [before, true, 2]);
});

test("markers only move forward, and a sender has read what it says", async () => {
  const { stage, lobby } = await inLobby();
  const moved = [];
  lobby.on("marker", (marker) => moved.push(marker));
  await stage.hear(roster(1, ["alice", "bob"]));
  await stage.hear(about(10, { u: "bob", rd: 5, rc: 3 }), about(10, { u: "bob", rd: 4, rc: 5 }), message(1, { user: "alice" }));
  assert.deepEqual(Object.fromEntries(lobby.state.markers), { bob: { read: 5, received: 5 }, alice: { read: 1, received: 1 } });
  assert.deepEqual(moved, [{ user: "bob", read: 5, received: 5 }, { user: "alice", read: 1, received: 1 }]);
});

test("whoever said something has read up to it, in a page and in a replay, too", async () => {
  const { stage, lobby } = await inLobby({}, { seq: 9 });
  const moved = [];
  lobby.on("marker", ({ user, read }) => moved.push([user, read]));
  await stage.hear(roster(1, ["alice", { id: "bob", rd: 8, rc: 8 }, "carol"]));
  moved.length = 0;
  lobby.history();
  await settled();
  const said = [[4, "carol"], [5, "carol"], [6, "bob"], [7, "alice"], [9, ""]];
  await stage.hear({ a: 3, r: stage.asked(3).r, d: { g: "lobby", h: said.map(([seq, user]) => paged(seq, { user })), more: false } });
  assert.deepEqual(moved, [["alice", 7], ["carol", 5]], "once for each, and never back");
  assert.deepEqual(lobby.state.markers.get("bob"), { read: 8, received: 8 });
  stage.sent();
  lobby.read(7);
  assert.deepEqual(stage.sent(), [], "the server knows");
  await stage.lose();
  await stage.accept({ group: "lobby", seq: 10 });
  await stage.hear({ a: 13, d: { g: "lobby", ok: true, n: 1 } }, message(10, { user: "carol" }));
  assert.equal(lobby.state.markers.get("carol").read, 10);
});

test("in a large group a page moves the own marker alone", async () => {
  const { stage, lobby } = await inLobby({}, { seq: 2 });
  await stage.hear(roster(1, ["alice"], [], { w: false, n: 300 }));
  lobby.history();
  await settled();
  await stage.hear({ a: 3, r: stage.asked(3).r, d: { g: "lobby", h: [paged(1, { user: "alice" }), paged(2)], more: false } });
  assert.deepEqual([...lobby.state.markers], [["alice", { read: 1, received: 1 }]]);
});

test("own markers are told seldom, forward, and up to what there is", async () => {
  const { stage, lobby, clock } = await inLobby({}, { seq: 10 });
  lobby.read(3);
  lobby.read(5);
  lobby.received(7);
  lobby.read(2);
  lobby.received(8);
  assert.deepEqual(stage.sent(), [{ a: 10, d: { rd: 3 } }]);
  await clock.pass(250);
  assert.deepEqual(stage.sent(), [{ a: 10, d: { rd: 5, rc: 8 } }]);
  lobby.read(5);
  await clock.pass(1_000);
  assert.deepEqual(stage.sent(), []);
  lobby.read(99);
  assert.deepEqual(stage.sent(), [{ a: 10, d: { rd: 10 } }]);
});

test("a marker that was told in vain is told again, on this connection or the next", async () => {
  const { stage, lobby, clock } = await inLobby({}, { seq: 10 });
  lobby.read();
  await stage.hear({ a: 5, r: stage.asked(10).r, d: { c: "rate_limited", m: "no", tmp: true, ra: 400 } });
  stage.sent();
  await clock.pass(400);
  assert.deepEqual(stage.sent(), [{ a: 10, d: { rd: 10 } }]);
  await stage.lose();
  await stage.accept({ group: "lobby", seq: 10 });
  assert.deepEqual(stage.sent(), [{ a: 13, d: { ep: "e1", s: 10 } }, { a: 10, d: { rd: 10 } }]);
  await stage.hear(about(10, { u: "alice", rd: 10, rc: 10 }));
  await stage.lose();
  await stage.accept({ group: "lobby", seq: 10 });
  assert.deepEqual(stage.sent(), [{ a: 13, d: { ep: "e1", s: 10 } }], "the server knows");
});

test("typing is told with the first key, again while it lasts, and when the keys stop", async () => {
  const { stage, lobby, clock } = await inLobby();
  for (let key = 0; key < 8; key++) {
    lobby.typing();
    await clock.pass(1_000);
  }
  assert.deepEqual(stage.sent(), [true, true, true].map((k) => ({ a: 11, d: { k } })));
  await clock.pass(3_999);
  assert.deepEqual(stage.sent(), [true].map((k) => ({ a: 11, d: { k } })));
  await clock.pass(1);
  assert.deepEqual(stage.sent(), [false].map((k) => ({ a: 11, d: { k } })));
  lobby.typing(true);
  lobby.typing(false);
  lobby.typing(false);
  assert.deepEqual(stage.sent().map(({ d }) => d.k), [true, false]);
  lobby.typing();
  lobby.send("done");
  await clock.pass(3_000);
  assert.deepEqual(stage.sent().map(({ a }) => a), [11, 2], "a message ends it");
});

test("others' typing shows until it ends, they say something, or they go", async () => {
  const { stage, lobby } = await inLobby();
  await stage.hear(roster(1, ["alice", "bob", "carol"]));
  await stage.hear(about(11, { u: "bob", k: true }), about(11, { u: "carol", k: true }));
  assert.deepEqual([lobby.state.typing, lobby.state.typingCount], [["bob", "carol"], 2]);
  await stage.hear(message(1, { user: "bob" }));
  assert.deepEqual(lobby.state.typing, ["carol"]);
  await stage.hear(roster(2, ["alice", "bob"], ["carol"]));
  assert.deepEqual(lobby.state.typing, []);
  await stage.hear(about(11, { u: "bob", k: true }), about(11, { u: "bob", k: false }));
  assert.deepEqual(lobby.state.typing, []);
  await stage.hear(about(11, { n: 130 }));
  assert.deepEqual([lobby.state.typing, lobby.state.typingCount], [[], 130]);
  stage.socket.end(1006);
  assert.equal(lobby.state.typingCount, 0);
});

test("others' typing ends by itself when the word of its end is lost", async () => {
  const { stage, lobby, clock } = await inLobby();
  const told = [];
  lobby.on("typing", (users) => told.push(users.join()));
  await stage.hear(about(11, { u: "bob", k: true }));
  await clock.pass(5_000);
  await stage.hear(about(11, { u: "carol", k: true }), about(11, { u: "bob", k: true }));
  await clock.pass(6_999);
  assert.deepEqual(lobby.state.typing, ["bob", "carol"]);
  await clock.pass(1);
  assert.deepEqual([lobby.state.typing, lobby.state.typingCount], [[], 0]);
  assert.deepEqual(told, ["bob", "bob,carol", "bob", ""], "that it goes on is no news");
});

test("where only their number is told nobody types by name any more, and the other way round", async () => {
  const { stage, lobby, clock } = await inLobby();
  await stage.hear(about(11, { u: "bob", k: true }), about(11, { n: 3 }));
  assert.deepEqual([lobby.state.typing, lobby.state.typingCount], [[], 3]);
  await clock.pass(10_000);
  assert.equal(lobby.state.typingCount, 3);
  await stage.hear(about(11, { u: "carol", k: true }), about(11, { u: "carol", k: false }));
  assert.deepEqual([lobby.state.typing, lobby.state.typingCount], [[], 0]);
});

test("nobody's typing is waited for after the end", async () => {
  const { stage, chat, clock } = await inLobby();
  await stage.hear(about(11, { u: "bob", k: true }), about(16, { s: 1, op: "mute", u: "alice", until: 5_000, by: "" }));
  chat.close();
  assert.equal(clock.waiting, 0);
});

test("a mute until some time ends by itself, when that time has come", async () => {
  const { stage, lobby, clock } = await inLobby({}, { hb: 1e6 });
  await stage.hear(about(16, { s: 1, op: "mute", u: "alice", until: 200_000, by: "mod" }));
  let changes = 0;
  lobby.subscribe(() => changes++);
  await clock.pass(199_999);
  assert.deepEqual([lobby.state.role, lobby.state.mutedUntil, changes], ["muted", 200_000, 0]);
  await clock.pass(1);
  assert.deepEqual([lobby.state.role, lobby.state.mutedUntil, changes], ["member", undefined, 1]);
});

test("who was a moderator before a mute is one after it", async () => {
  const { stage, lobby, clock } = await inLobby();
  await stage.hear(roster(1, [{ id: "alice", ro: "moderator" }]), about(16, { s: 1, op: "mute", u: "alice", until: 1_000, by: "" }));
  assert.equal(lobby.state.role, "muted");
  await clock.pass(1_000);
  assert.equal(lobby.state.role, "moderator");
});

test("a mute of before ends on the next connection, too, and a wall clock that is set is noticed", async () => {
  let wall = 1_000_000;
  const { lobby, clock } = await inLobby({ unixNow: () => wall }, { hb: 1e6, ro: "muted", mu: 9_000_000 });
  assert.deepEqual([lobby.state.role, lobby.state.mutedUntil], ["muted", 9_000_000]);
  await clock.pass(60_000);
  assert.equal(lobby.state.role, "muted");
  wall = 9_000_000;
  await clock.pass(60_000);
  assert.equal(lobby.state.role, "member");
});

test("who is heard isn't muted any more; what was said before a mute proves nothing", async () => {
  const { stage, lobby } = await inLobby();
  const ack = (ci, s) => ({ a: 4, d: { g: "lobby", ci, i: `id${s}`, s, t: 1 } });
  const [before, after] = [lobby.send("before"), lobby.send("after")];
  await stage.hear(message(1, { user: "bob" }), about(16, { s: 2, op: "mute", u: "alice", by: "mod" }), ack("ci-1", 1));
  await before;
  assert.equal(lobby.state.role, "muted");
  await stage.hear(message(3, { user: "alice", ci: "not from here" }));
  assert.equal(lobby.state.role, "muted", "the backend may say it in the user's name");
  await stage.hear(ack("ci-2", 4));
  await after;
  assert.equal(lobby.state.role, "member");
});

test("a mute shows in the role, and ends", async () => {
  const { stage, lobby } = await inLobby();
  const told = [];
  lobby.on("moderation", (event) => told.push(event.op));
  await stage.hear(about(16, { s: 1, op: "mute", u: "alice", until: 5_000, by: "mod" }), about(16, { s: 2, op: "kick", u: "bob", by: "" }));
  assert.deepEqual([lobby.state.role, lobby.state.mutedUntil], ["muted", 5_000]);
  await stage.hear(about(16, { s: 3, op: "unmute", u: "alice", by: "mod" }));
  assert.deepEqual([lobby.state.role, lobby.state.mutedUntil], ["member", undefined]);
  assert.deepEqual(told, ["mute", "kick", "unmute"]);
  await stage.hear(roster(1, [{ id: "alice", ro: "muted" }]));
  assert.equal(lobby.state.role, "muted");
});

test("whispers are heard", async () => {
  const { stage, lobby } = await inLobby();
  const heard = [];
  lobby.on("whisper", (whisper) => heard.push(whisper));
  await stage.hear(about(12, { p: "bob", x: { wave: true } }), about(12, { p: "", x: null }));
  assert.deepEqual(heard, [{ user: "bob", custom: { wave: true } }, { user: "", custom: null }]);
});

test("a state is one object until something changes, and change is told once for what came together", async () => {
  const { stage, lobby } = await inLobby();
  let changes = 0;
  const stop = lobby.subscribe(() => changes++);
  const before = lobby.state;
  assert.equal(lobby.state, before);
  await stage.hear(message(1), message(2), message(3));
  assert.equal(changes, 1);
  assert.notEqual(lobby.state, before);
  assert.deepEqual(before.messages, []);
  assert.equal(lobby.state.messages, lobby.state.messages);
  stop();
  await stage.hear(message(4));
  assert.equal(changes, 1);
});
