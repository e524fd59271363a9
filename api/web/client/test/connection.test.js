import assert from "node:assert/strict";
import { test } from "node:test";
import { connect } from "../kijimuna.js";
import { Stage, codeOf, inLobby, message, settled } from "./support/stage.js";

test("a connection is opened with the token, and is live with the welcome", async () => {
  const stage = new Stage({ token: "a/token" });
  assert.equal(stage.chat.state.status, "connecting");
  await settled();
  assert.equal(stage.socket.url, "ws://server/ws/connects/a%2Ftoken");
  assert.deepEqual(stage.socket.offered, ["kijimuna.v2.json"]);
  await stage.accept({ user: "alice", group: "lobby" });
  assert.deepEqual(stage.statuses, ["connecting", "live"]);
  assert.equal((await stage.chat.ready).user, "alice");
  assert.equal((await stage.chat.group).id, "lobby");
  assert.equal(stage.chat.limits.frame, 65_536);
});

test("the address may be that of the page", async () => {
  const urls = [];
  const WebSocket = class {
    constructor(url) {
      urls.push(url);
    }
    close() {}
  };
  for (const url of ["https://chat.example/", "http://chat.example:3010", "wss://chat.example/base"]) {
    const chat = connect(url, "t", { WebSocket });
    await settled();
    chat.close();
  }
  assert.deepEqual(urls, ["wss://chat.example/ws/connects/t", "ws://chat.example:3010/ws/connects/t", "wss://chat.example/base/ws/connects/t"]);
});

test("below 4500 it comes back, with the ticket, after a random wait that doubles", async () => {
  const { stage, clock } = await inLobby({ backoffBase: 1_000, backoffMax: 6_000 });
  await clock.pass(6_000);
  stage.socket.end(4003, "internal error");
  assert.equal(stage.chat.state.why.closeCode, 4003);
  const waits = [];
  for (let round = 0; round < 5; round++) {
    assert.equal(stage.chat.state.status, "waiting");
    waits.push(stage.chat.state.retryIn);
    await clock.pass(stage.chat.state.retryIn - 1);
    const before = stage.sockets.length;
    await clock.pass(1);
    assert.equal(stage.sockets.length, before + 1);
    assert.equal(stage.socket.token, "tk-1", "a ticket that opened nothing is good for another try");
    stage.socket.end(1006);
  }
  assert.deepEqual(waits, [500, 1_000, 2_000, 3_000, 3_000]);
});

test("a socket that fails without ever closing is come back from at once, as from one that closes", async () => {
  const { stage, chat, clock } = await inLobby({ backoffBase: 1_000 });
  await stage.lose();
  const waits = [];
  for (let round = 0; round < 3; round++) {
    const before = stage.sockets.length;
    stage.socket.fail();
    await clock.pass(0);
    assert.deepEqual([chat.state.status, chat.state.why.code], ["waiting", "disconnected"]);
    waits.push(chat.state.retryIn);
    await clock.pass(chat.state.retryIn);
    assert.equal(stage.sockets.length, before + 1);
  }
  assert.deepEqual(waits, [1_000, 2_000, 4_000]);
  await stage.accept({ group: "lobby" });
  assert.equal(chat.state.status, "live");
});

test("a socket that fails and closes ends once, with the code of its close", async () => {
  const { stage, chat, clock } = await inLobby({ backoffBase: 1_000 });
  const first = stage.socket;
  first.fail();
  first.fail();
  first.end(4000, "server is stopping");
  first.fail();
  await clock.pass(0);
  assert.deepEqual([chat.state.status, chat.state.why.code, chat.state.failures], ["waiting", "close_4000", 1]);
  await clock.pass(500);
  first.fail();
  first.end(1006);
  await stage.accept({ group: "lobby" });
  await clock.pass(1_000);
  assert.deepEqual([chat.state.status, stage.sockets.length], ["live", 2], "an old socket is nobody's business");
  stage.socket.fail();
  stage.socket.end(4503, "removed from the group");
  await clock.pass(100_000);
  assert.deepEqual([chat.state.status, chat.state.why.code, stage.sockets.length], ["closed", "close_4503", 2]);
});

test("a socket that fails after it was open is an end, too", async () => {
  const { stage, chat, clock } = await inLobby();
  stage.socket.fail();
  await clock.pass(0);
  await clock.pass(chat.state.retryIn);
  await stage.accept({ group: "lobby" });
  assert.deepEqual([chat.state.status, stage.sockets.length], ["live", 2]);
});

test("who closes while it hears of the connection has closed it", async () => {
  for (const status of ["connecting", "live", "waiting"]) {
    const { stage, chat, clock } = await inLobby();
    chat.on("state", (state) => state.status === status && chat.close());
    await stage.lose();
    if (chat.state.status !== "closed") await stage.accept({ group: "lobby" });
    await clock.pass(100_000);
    assert.deepEqual([chat.state.status, stage.statuses.at(-1), clock.waiting], ["closed", "closed", 0], status);
    assert.ok(stage.sockets.length <= 2, "nothing brings it back");
  }
});

test("who closes because a group is over closes once, and the reason stays", async () => {
  const { stage, chat, lobby } = await inLobby();
  lobby.on("left", () => chat.close({ leave: true }));
  stage.socket.end(4504, "group deleted");
  assert.deepEqual(stage.statuses, ["connecting", "live", "closed"]);
  assert.equal(chat.state.why.code, "close_4504");
});

test("a token function that closes the connection is the end of it", async () => {
  let mayGo = false;
  const { stage, chat, clock } = await inLobby({ token: () => (mayGo && chat.close(), "token") });
  mayGo = true;
  await stage.lose();
  stage.socket.open();
  stage.socket.end(4501, "token invalid");
  await clock.pass(100_000);
  assert.deepEqual([chat.state.status, stage.sockets.length, clock.waiting], ["closed", 2, 0]);
});

test("waits begin again with the first only after the connection has lasted", async () => {
  const { stage, clock } = await inLobby({ backoffBase: 1_000, stableAfter: 5_000 });
  stage.socket.end(4000);
  await clock.pass(500);
  await stage.accept({ group: "lobby" });
  await clock.pass(4_999);
  stage.socket.end(4000);
  assert.equal(stage.chat.state.retryIn, 1_000);
  await clock.pass(1_000);
  await stage.accept({ group: "lobby" });
  await clock.pass(5_000);
  stage.socket.end(4000);
  assert.equal(stage.chat.state.retryIn, 500);
});

test("from 4500 on it doesn't come back, and says why", async () => {
  for (const code of [4500, 4502, 4503, 4504, 4505, 4506, 4507]) {
    const { stage, lobby, chat, clock } = await inLobby({ token: async () => "token" });
    const sent = lobby.send("never");
    stage.socket.end(code, "a reason");
    assert.equal(chat.state.status, "closed");
    assert.equal(chat.state.why.message, "a reason");
    assert.equal(await codeOf(sent), `close_${code}`);
    assert.equal(lobby.state.status, "left");
    assert.equal(lobby.state.messages[0].status, "failed");
    await clock.pass(100_000);
    assert.equal(stage.sockets.length, 1);
    assert.equal(clock.waiting, 0, "nothing is left to wait for");
  }
});

test("a ticket that is refused is made up for with a fresh token, at once", async () => {
  let asked = 0;
  const { stage } = await inLobby({ token: () => `token-${++asked}` });
  await stage.lose(4000);
  assert.equal(stage.socket.token, "tk-1");
  stage.socket.open();
  stage.socket.end(4501, "token invalid");
  await settled();
  assert.equal(stage.socket.token, "token-2");
  stage.socket.open();
  stage.socket.end(4501, "token invalid");
  assert.equal(stage.chat.state.status, "closed", "a fresh token that is refused is no accident");
});

test("a ticket that is refused is the end without a function that gets tokens", async () => {
  const { stage } = await inLobby({ token: "token" });
  await stage.lose(4000);
  stage.socket.open();
  stage.socket.end(4501, "token invalid");
  assert.deepEqual([stage.chat.state.status, stage.chat.state.why.closeCode], ["closed", 4501]);
});

test("a ticket is used once, and the newest counts", async () => {
  let asked = 0;
  const { stage } = await inLobby({ token: () => `token-${++asked}` });
  await stage.hear({ a: 30, d: { tk: "newer", exp: 1 } });
  await stage.lose();
  assert.equal(stage.socket.token, "newer");
  stage.socket.open();
  await stage.lose(1006);
  assert.equal(stage.socket.token, "token-2", "the ticket opened a socket, so it is used up");
});

test("a token that can't be had now is asked for again; one that won't be isn't", async () => {
  let answers = [() => Promise.reject(new Error("no network")), () => ""];
  const stage = new Stage({ token: () => (answers.shift() ?? (() => "token"))() });
  await settled();
  assert.equal(stage.chat.state.why.code, "token_failed");
  await stage.clock.pass(30_000);
  await stage.accept();
  assert.equal(stage.socket.token, "token");
  const refused = new Stage({ token: () => Promise.reject(Object.assign(new Error("logged out"), { temporary: false })) });
  assert.equal(await codeOf(refused.chat.ready), "token_failed");
  assert.equal(refused.chat.state.status, "closed");
});

test("a drain's wait is honoured, to the millisecond", async () => {
  const { stage, chat, clock } = await inLobby();
  const told = [];
  chat.on("drain", (event) => told.push(event));
  await stage.hear({ a: 31, d: { w: 1_234, tk: "drained" } });
  stage.socket.end(4000, "server is stopping");
  assert.deepEqual(told, [{ wait: 1_234 }]);
  assert.equal(chat.state.retryIn, 1_234);
  await clock.pass(1_233);
  assert.equal(stage.sockets.length, 1);
  await clock.pass(1);
  assert.equal(stage.socket.token, "drained");
  stage.socket.end(1006);
  assert.equal(chat.state.retryIn, 500, "it was for once: base 500, doubled once, halved by chance");
});

test("a drain's wait is for the next time alone, and not for weeks", async () => {
  const { stage, chat, clock } = await inLobby();
  for (const [told, waited] of [[1e300, 600_000], [-5, 0], [NaN, 0], ["long", 0]]) {
    stage.socket.say({ a: 31, d: { w: told, tk: "drained" } });
    stage.socket.end(4000);
    assert.equal(chat.state.retryIn, waited);
    await clock.pass(waited);
    await stage.accept({ group: "lobby" });
  }
  await clock.pass(5_000);
  await stage.hear({ a: 31, d: { w: 90_000, tk: "drained" } });
  await stage.hear(stage.welcome({ group: "lobby" }));
  stage.socket.end(1006);
  assert.equal(chat.state.retryIn, 250, "another welcome has come since");
});

test("a server's terms that can't be meant are not taken at their word", async () => {
  const { stage, lobby, clock } = await inLobby({}, { hb: 1e-9, limits: { frame: 1, send: -1, request: "x" } });
  lobby.send("it fits");
  assert.equal(stage.sent().length, 1);
  await stage.hear({ a: 4, d: { ci: "ci-1", g: "lobby", i: "id1", s: 1, t: 1 } });
  await clock.pass(999);
  assert.deepEqual(stage.sent(), [], "nothing is asked for all the time");
});

test("a server that is silent is asked for a sign of life, and left if none comes", async () => {
  const { stage, clock } = await inLobby({ pongTimeout: 10_000 });
  await clock.pass(25_000);
  assert.deepEqual(stage.sent(), [{ a: 10, d: { rc: 0 } }], "a marker that moves nothing");
  await stage.hear({ a: 4, d: {} });
  await clock.pass(24_999);
  assert.deepEqual(stage.sent(), []);
  await clock.pass(1);
  assert.equal(stage.sent().length, 1);
  await clock.pass(9_999);
  assert.equal(stage.chat.state.status, "live");
  await clock.pass(1);
  assert.equal(stage.chat.state.status, "waiting");
});

test("on a connection without groups the inbox is the sign of life", async () => {
  const stage = new Stage();
  await stage.accept();
  await stage.clock.pass(25_000);
  assert.deepEqual(stage.sent(), [{ a: 15, d: { l: 1 } }]);
});

test("a connection that is never welcomed is given up", async () => {
  const stage = new Stage({ connectTimeout: 15_000 });
  await settled();
  stage.socket.open();
  await stage.clock.pass(15_000);
  assert.deepEqual([stage.chat.state.status, stage.chat.state.why.code], ["waiting", "disconnected"]);
  const late = stage.sockets[0];
  await stage.clock.pass(30_000);
  late.say(stage.welcome({ group: "lobby" }));
  assert.notEqual(stage.chat.state.status, "live", "what an old socket says is nobody's business");
});

test("a token function that never answers is given up, and its late answer is no use", async () => {
  let answer;
  const stage = new Stage({ token: () => new Promise((resolve) => (answer ??= resolve)) });
  await stage.clock.pass(15_000);
  assert.equal(stage.chat.state.status, "waiting");
  answer("late");
  await settled();
  assert.equal(stage.sockets.length, 0);
});

test("a server that doesn't speak version 2 is no use", async () => {
  const stage = new Stage();
  await settled();
  stage.socket.open("");
  assert.equal(stage.chat.state.why.code, "not_version_2");
  assert.equal(await codeOf(stage.chat.ready), "not_version_2");
});

test("frames that can't be read are told of, and kill nothing", async () => {
  for (const encoding of ["json", "msgpack"]) {
    const { stage, lobby } = await inLobby({ encoding });
    for (const noise of ["{", "null", "[]", '{"a":"x"}', '{"a":2,"d":7}', '{"a":15,"d":{}}', Uint8Array.of(0xc1), new Uint8Array(0)]) {
      stage.socket.sayRaw(noise);
    }
    assert.equal(stage.errors.length, 8);
    await stage.hear({ a: 2, d: { g: "lobby", s: "x" } }, { a: 2, d: { g: "lobby", s: 1 } }, { a: 1, d: { g: "lobby", on: 5 } }, { a: 99, d: {} });
    assert.deepEqual([...new Set(stage.errors.map(({ code }) => code))], ["malformed_frame"]);
    await stage.hear(message(1));
    assert.equal(lobby.state.messages.length, 1);
  }
});

test("the network's return ends the wait", async () => {
  const { stage, chat } = await inLobby();
  stage.socket.end(1006);
  chat.wake();
  await settled();
  assert.equal(stage.sockets.length, 2);
  chat.wake();
  await settled();
  assert.equal(stage.sockets.length, 2, "nothing waits");
});

test("a closed connection stays closed, and says so to whoever waits", async () => {
  const { stage, lobby, chat, clock } = await inLobby();
  const waiting = [lobby.send("never"), lobby.history(), chat.inbox()];
  chat.close();
  for (const promise of waiting) assert.equal(await codeOf(promise), "closed");
  assert.equal(stage.socket.closedWith, 1000);
  for (const late of [lobby.send("x"), lobby.history(), chat.inbox(), chat.join("lobby"), lobby.react("id1", "x")]) {
    assert.match(await codeOf(late), /closed|left/);
  }
  await clock.pass(100_000);
  assert.equal(stage.sockets.length, 1);
  assert.equal(clock.waiting, 0);
});

test("who means to go says so", async () => {
  const { stage, chat } = await inLobby();
  chat.close({ leave: true });
  assert.deepEqual(stage.sent(), [{ a: 14, d: { op: "leave" } }]);
});

test("a token of somebody else isn't gone on with: what waits would be said in another name", async () => {
  const { stage, lobby, chat } = await inLobby({ token: () => "token" });
  const sent = lobby.send("in my name");
  await stage.lose();
  stage.socket.open();
  stage.sent();
  stage.socket.say(stage.welcome({ user: "mallory", group: "lobby" }));
  assert.equal(chat.state.status, "closed");
  assert.equal(await codeOf(sent), "invalid");
  assert.deepEqual(stage.socket.sent.filter(({ a }) => a === 2), []);
});

test("options that can't be are refused at once", () => {
  assert.throws(() => connect("ws://server", "t", { encoding: "xml" }), { code: "invalid" });
  assert.throws(() => connect("ws://server", "t", { WebSocket: 5 }), { code: "invalid" });
  for (const options of [{ keep: 0 }, { keep: NaN }, { ackTimeout: -1 }, { backoffMax: "long" }, { history: null }]) {
    assert.throws(() => connect("ws://server", "t", { WebSocket: class {}, ...options }), { code: "invalid" }, JSON.stringify(options));
  }
});

test("an address that can't be is the end", async () => {
  const WebSocket = class {
    constructor() {
      throw new SyntaxError("bad URL");
    }
  };
  const chat = connect("nonsense", "t", { WebSocket });
  assert.equal(await codeOf(chat.ready), "invalid");
});
