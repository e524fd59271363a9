/** A server that says what no server should: nothing is thrown, nothing is taken for what it isn't, and the client goes on. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { codeOf, inLobby, message, paged, settled, texts } from "./support/stage.js";

const GOLDEN = JSON.parse(readFileSync(new URL("../../../../engine/tests/wire/v2/server.json", import.meta.url)));
const PROTO = JSON.parse('{"__proto__":{"g":"lobby","s":1,"i":"x"}}');
const ODD = [null, true, -1, 0.5, 2 ** 53, 1e300, "", "x", [], [null], [[]], [PROTO], PROTO, {}, { id: 5 }, { toString: 5, valueOf: 5 }];

/** A frame of the server with each of its fields, and fields within, as something else. */
function* spoilt(frame) {
  for (const [name, value] of Object.entries(frame.d ?? {})) {
    for (const odd of ODD) yield { ...frame, d: { ...frame.d, [name]: odd } };
    const inner = Array.isArray(value) ? value[0] : undefined;
    for (const field of Object.keys(typeof inner === "object" && inner !== null ? inner : {})) {
      for (const odd of ODD) yield { ...frame, d: { ...frame.d, [name]: [{ ...inner, [field]: odd }] } };
    }
  }
  for (const odd of ODD) yield { ...frame, d: odd };
}

for (const { name, json } of GOLDEN) {
  test(`spoilt: ${name}`, async () => {
    for (const frame of spoilt(json)) {
      const { stage, chat } = await inLobby();
      const about = { ...frame.d, ...(typeof frame.d?.g === "string" && { g: "lobby" }) };
      const said = JSON.stringify(frame);
      stage.socket.say(message(1), { ...frame, d: Array.isArray(frame.d) ? frame.d : about });
      await settled();
      for (const error of stage.errors) assert.equal(error.cause instanceof TypeError, false, `${said}: ${error.cause?.stack}`);
      if (chat.state.status === "waiting") await stage.lose();
      if (chat.state.status === "connecting") await stage.accept({ group: "lobby", seq: 1 });
      assert.match(chat.state.status, /live|closed/, said);
      chat.close();
      assert.equal(stage.clock.waiting, 0, said);
    }
  });
}

test("a refusal that says nothing is a refusal", async () => {
  const { stage, lobby } = await inLobby();
  const asked = codeOf(lobby.react("id1", "!"));
  await stage.hear({ a: 5, r: stage.asked(9).r, d: { c: { toString: 5 }, m: null, ra: -1 } });
  assert.equal(await asked, "unknown");
});

test("a ticket that is none isn't used", async () => {
  let asked = 0;
  const { stage } = await inLobby({ token: () => `token-${++asked}` }, { ticket: "" });
  await stage.lose();
  await settled();
  assert.equal(stage.socket.token, "token-2");
});

test("a welcome that can't be read leaves the group as it is", async () => {
  const { stage, lobby } = await inLobby();
  await stage.hear(message(1), stage.welcome({ group: "lobby", epoch: 5 }), stage.welcome({ group: 7 }), stage.welcome({ user: null }), message(2));
  assert.deepEqual([texts(lobby), lobby.state.epoch, stage.chat.user], [["m1", "m2"], "e1", "alice"]);
});

test("names that objects have of themselves are names like others", async () => {
  for (const encoding of ["json", "msgpack"]) {
    const { stage, lobby } = await inLobby({ encoding });
    const k = JSON.parse('{"__proto__":2,"constructor":1}');
    await stage.hear(message(1, { user: "__proto__", ci: "__proto__", x: JSON.parse('{"__proto__":{"polluted":true}}'), k, mk: ["__proto__"] }));
    await stage.hear({ a: 11, d: { g: "lobby", u: "__proto__", k: true } }, { a: 10, d: { g: "lobby", u: "constructor", rd: 1, rc: 1 } });
    const [{ custom, reactions }] = lobby.state.messages;
    assert.deepEqual(Object.keys(custom), ["__proto__"]);
    assert.deepEqual(reactions.map(({ key, count, mine }) => [key, count, mine]), [["__proto__", 2, true], ["constructor", 1, false]]);
    assert.deepEqual([lobby.state.typing, lobby.state.markers.get("constructor")], [["__proto__"], { read: 1, received: 1 }]);
    assert.equal({}.polluted, undefined);
  }
});

test("one message has one place, and one place one message", async () => {
  const { stage, lobby } = await inLobby();
  await stage.hear(message(1), message(2), message(3, { i: "id1", text: "elsewhere" }), message(4));
  assert.deepEqual(texts(lobby), ["m1", "m2", "m4"]);
  lobby.history();
  await settled();
  await stage.hear({ a: 3, r: stage.asked(3).r, d: { g: "lobby", h: [paged(1), paged(2, { i: "other", text: "instead" }), paged(4)], more: false } });
  assert.deepEqual(texts(lobby), ["m1", "m2", "m4"]);
});

test("numbers beyond all measure are put right by the server, once", async () => {
  const { stage, lobby } = await inLobby();
  await stage.hear(message(1), message(2 ** 53 - 2));
  await stage.clock.pass(stage.chat.state.retryIn);
  stage.socket.open();
  await stage.hear(stage.welcome({ group: "lobby", seq: 1 }), { a: 13, d: { g: "lobby", ok: true, n: 0 } }, message(2));
  assert.deepEqual([texts(lobby), lobby.state.seq, lobby.state.gaps], [["m1", "m2"], 2, []]);
  await stage.hear({ a: 4, d: { g: "lobby", ci: "ci-1", i: "x", s: 1e300, t: 1 } });
  lobby.send("mine");
  await stage.hear({ a: 4, d: { g: "lobby", ci: "ci-1", i: "x", s: 1e300, t: 1 } });
  assert.equal(lobby.state.messages.at(-1).status, "sending", "that is no place for it");
});

test("a listener that ends the connection in the midst of a replay hears no more of it", async () => {
  const { stage, lobby, chat } = await inLobby();
  await stage.hear(message(1));
  await stage.lose();
  stage.socket.open();
  const heard = [];
  lobby.on("message", ({ seq }) => {
    heard.push(seq);
    chat.close();
  });
  await stage.hear(stage.welcome({ group: "lobby", seq: 1 }), message(2), message(3), message(4), { a: 13, d: { g: "lobby", ok: true, n: 0 } });
  assert.deepEqual([heard, lobby.state.status], [[2], "left"]);
});

test("a hole in what waited for a resume restarts once, and is resumed", async () => {
  const { stage, lobby } = await inLobby();
  const gaps = [];
  lobby.on("gap", (gap) => gaps.push(gap));
  await stage.hear(message(1));
  await stage.lose();
  stage.socket.open();
  await stage.hear(stage.welcome({ group: "lobby", seq: 1 }), message(3), message(4), { a: 13, d: { g: "lobby", ok: true, n: 0 } });
  assert.deepEqual([stage.chat.state.status, gaps, texts(lobby)], ["waiting", [], ["m1"]]);
});

test("a listener that throws harms nobody but its page", async (t) => {
  const { stage, lobby } = await inLobby();
  const thrown = [];
  t.mock.method(globalThis, "queueMicrotask", (task) => {
    Promise.resolve().then(task).catch((error) => thrown.push(error.message));
  });
  const heard = [];
  for (const name of ["message", "change"]) {
    lobby.on(name, () => {
      throw new Error(`in ${name}`);
    });
    lobby.on(name, () => heard.push(name));
  }
  await stage.hear(message(1), message(2));
  assert.deepEqual([heard, thrown.sort()], [["message", "message", "change"], ["in change", "in message", "in message"]]);
  assert.deepEqual([texts(lobby), stage.errors], [["m1", "m2"], []]);
});

test("a server that suddenly allows smaller frames fails the message that is too large, and no other", async () => {
  const { stage, lobby } = await inLobby();
  stage.socket.end(1006);
  const [large, small] = [codeOf(lobby.send("x".repeat(5_000))), lobby.send("fits")];
  await stage.clock.pass(stage.chat.state.retryIn);
  await stage.accept({ group: "lobby", limits: { frame: 2_000 } });
  assert.equal(await large, "frame_too_large");
  assert.deepEqual(stage.sent().map(({ a, d }) => [a, d.m]).at(-1), [2, "fits"]);
  await stage.hear({ a: 4, d: { g: "lobby", ci: "ci-2", i: "id1", s: 1, t: 1 } });
  assert.equal((await small).seq, 1);
  assert.equal(lobby.state.status, "live");
});

test("a time that is none doesn't become a ban for ever, nor a sequence that is none a marker", async () => {
  const { stage, lobby } = await inLobby({}, { seq: 9 });
  for (const until of [new Date("nonsense"), NaN, "2030-01-01", -1, 1.5]) {
    assert.equal(await codeOf(lobby.ban("bob", { until })), "invalid");
    assert.equal(await codeOf(lobby.mute("bob", { until })), "invalid");
  }
  for (const seq of [NaN, -1, 1.5, "3", null]) assert.throws(() => lobby.read(seq), { code: "invalid" });
  assert.deepEqual(stage.sent(), []);
  lobby.read();
  assert.deepEqual(stage.sent(), [{ a: 10, d: { rd: 9 } }]);
});

test("a clock that goes back holds nothing up", async () => {
  const { stage, lobby, clock } = await inLobby({}, { limits: { send: 1 } });
  clock.ms -= 3_600_000;
  for (const text of ["one", "two", "three", "four"]) lobby.send(text);
  assert.equal(stage.sent().length, 3);
  await stage.hear({ a: 4, d: { g: "lobby", ci: "ci-1", i: "id1", s: 1, t: 1 } });
  await clock.pass(1_000);
  assert.deepEqual(stage.sent().map(({ d }) => d.m), ["four"]);
});
