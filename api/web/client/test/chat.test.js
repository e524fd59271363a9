import assert from "node:assert/strict";
import { test } from "node:test";
import { Stage, codeOf, inLobby, message, settled, texts } from "./support/stage.js";

/** A client on a connection of its user, in no group yet. */
async function inHall(options, welcome) {
  const stage = new Stage(options);
  await stage.accept(welcome);
  return { stage, chat: stage.chat, clock: stage.clock };
}

/** The server lets the client into a group. */
async function admit(stage, g, { s = 0, ep = "e1" } = {}) {
  await settled();
  const { r } = stage.socket.sent.findLast(({ a, d }) => a === 14 && d.g === g && d.op === "join");
  await stage.hear({ a: 0, r, d: { v: 2, u: "alice", g, ep, s, ro: "member" } });
}

async function join(stage, g, welcome) {
  const joining = stage.chat.join(g);
  await admit(stage, g, welcome);
  return joining;
}

const inGroup = (g, seq) => ({ a: 2, d: { ...message(seq).d, g } });

test("a user-scoped connection joins groups, and each hears its own", async () => {
  const { stage, chat } = await inHall();
  assert.equal(await codeOf(chat.group), "user_scoped");
  const heard = [];
  chat.on("message", ({ message, group }) => heard.push([group.id, message.text]));
  const [lobby, kitchen] = [await join(stage, "lobby"), await join(stage, "kitchen", { s: 5 })];
  assert.deepEqual(stage.sent(), ["lobby", "kitchen"].map((g) => ({ a: 14, d: { g, op: "join" } })));
  assert.equal(await chat.join("lobby"), lobby);
  await stage.hear(inGroup("kitchen", 6), inGroup("lobby", 1), inGroup("elsewhere", 1));
  assert.deepEqual(heard, [["kitchen", "m6"], ["lobby", "m1"]]);
  lobby.send("x");
  lobby.typing();
  kitchen.react("id6", "!");
  assert.deepEqual(stage.sent().map(({ d }) => d.g), ["lobby", "lobby", "kitchen"]);
  assert.deepEqual([...chat.groups.keys()], ["lobby", "kitchen"]);
});

test("a join waits for the connection, and may be asked for before there is one", async () => {
  const stage = new Stage();
  const joining = [stage.chat.join("lobby"), stage.chat.join("lobby")];
  await stage.accept();
  await admit(stage, "lobby");
  const [one, other] = await Promise.all(joining);
  assert.equal(one, other);
  assert.equal(stage.socket.sent.length, 1);
});

test("all groups are joined again, with what was seen of each", async () => {
  const { stage } = await inHall();
  const lobby = await join(stage, "lobby");
  await join(stage, "kitchen", { s: 5, ep: "e2" });
  await stage.hear(inGroup("lobby", 1));
  await stage.lose();
  await stage.accept();
  assert.deepEqual(stage.socket.sent.map(({ d }) => d), [
    { g: "lobby", op: "join", ep: "e1", s: 1 },
    { g: "kitchen", op: "join", ep: "e2", s: 5 },
  ]);
  await admit(stage, "lobby", { s: 2 });
  await stage.hear({ a: 13, d: { g: "lobby", ok: true, n: 1 } }, inGroup("lobby", 2));
  assert.deepEqual([texts(lobby), lobby.state.status], [["m1", "m2"], "live"]);
});

test("a join that is refused for good rejects, one that is refused for a while is tried again", async () => {
  const { stage, chat, clock } = await inHall();
  const [refused, later] = [codeOf(chat.join("secret")), chat.join("busy")];
  await settled();
  const [one, other] = stage.socket.sent.map(({ r }) => r);
  await stage.hear({ a: 5, r: one, d: { c: "not_attending", m: "no", tmp: false, g: "secret" } });
  await stage.hear({ a: 5, r: other, d: { c: "rate_limited", m: "no", tmp: true, ra: 300, g: "busy" } });
  assert.equal(await refused, "not_attending");
  stage.sent();
  await clock.pass(300);
  await admit(stage, "busy");
  assert.equal((await later).id, "busy");
  assert.deepEqual([...chat.groups.keys()], ["busy"]);
  const again = chat.join("secret");
  await admit(stage, "secret");
  assert.equal((await again).id, "secret", "it may have been invited since");
});

test("who is taken out of a group hears why; the others go on", async () => {
  const { stage, chat, clock } = await inHall();
  const [lobby, kitchen] = [await join(stage, "lobby"), await join(stage, "kitchen")];
  const left = [];
  lobby.on("left", ({ why }) => left.push(why.closeCode));
  const [sent, reader] = [lobby.send("x"), lobby.messages()];
  await stage.hear({ a: 14, d: { g: "lobby", op: "leave", c: 4503 } }, inGroup("lobby", 1), inGroup("kitchen", 1));
  assert.deepEqual([left, lobby.state.status], [[4503], "left"]);
  await clock.pass(5_000);
  assert.equal(await codeOf(sent), "close_4503");
  assert.equal((await reader.next()).done, true);
  assert.equal(await codeOf(lobby.send("y")), "left");
  assert.deepEqual([texts(kitchen), [...chat.groups.keys()]], [["m1"], ["kitchen"]]);
});

/** What a promise is rejected with, as its code and whether it may have been done all the same. */
const fateOf = (promise) => promise.then(({ seq }) => seq, ({ code, uncertain }) => [code, uncertain]);
const ackIn = (g, ci, seq) => ({ a: 4, d: { g, ci, i: `id${seq}`, s: seq, t: 1 } });
const takenOut = { a: 14, d: { g: "lobby", op: "leave", c: 4503 } };

test("what was on its way when the user was taken out is what its answer says, or uncertain", async () => {
  const { stage, chat, clock } = await inHall();
  const lobby = await join(stage, "lobby");
  const sent = ["stored", "refused", "unknown"].map((text) => fateOf(lobby.send(text)));
  await stage.hear(takenOut);
  assert.deepEqual(lobby.state.messages.map(({ status }) => status), ["sending", "sending", "sending"]);
  let changes = 0;
  lobby.subscribe(() => changes++);
  const again = await join(stage, "lobby");
  await stage.hear(ackIn("lobby", "ci-1", 1), { a: 5, d: { g: "lobby", ci: "ci-2", c: "not_joined", m: "no", tmp: false } });
  assert.deepEqual([await sent[0], await sent[1], changes], [1, ["close_4503", undefined], 1]);
  await clock.pass(5_000);
  assert.deepEqual(await sent[2], ["close_4503", true]);
  const shown = lobby.state.messages.map(({ text, status, error }) => [text, status, error?.uncertain]);
  assert.deepEqual(shown, [["stored", "stored", undefined], ["refused", "failed", undefined], ["unknown", "failed", true]]);
  assert.deepEqual([texts(again), chat.groups.get("lobby"), stage.errors, lobby.state.status], [[], again, [], "left"]);
});

test("what was on its way when a group was left is uncertain once there is no connection for its answer", async () => {
  const { stage, chat } = await inHall();
  const lobby = await join(stage, "lobby");
  const sent = fateOf(lobby.send("x"));
  lobby.leave().catch(() => {});
  await stage.lose();
  assert.deepEqual(await sent, ["left", true]);
  await stage.accept();
  const kitchen = await join(stage, "kitchen");
  const [first, waiting] = [fateOf(kitchen.send("y")), fateOf(chat.inbox())];
  await settled();
  stage.socket.end(1006);
  const second = fateOf(kitchen.send("z"));
  chat.close();
  assert.deepEqual([await first, await second, await waiting], [["closed", true], ["closed", undefined], ["disconnected", true]]);
});

test("who is taken out for a while comes back", async () => {
  const { stage, clock } = await inHall();
  const lobby = await join(stage, "lobby");
  await stage.hear(inGroup("lobby", 1), { a: 14, d: { g: "lobby", op: "leave", c: 4003 } });
  assert.equal(lobby.state.status, "away");
  stage.sent();
  await clock.pass(500);
  await admit(stage, "lobby", { s: 1 });
  assert.deepEqual(stage.sent(), [{ a: 14, d: { g: "lobby", op: "join", ep: "e1", s: 1 } }]);
  assert.equal(lobby.state.status, "live");
});

test("a group is left", async () => {
  const { stage, chat } = await inHall();
  const lobby = await join(stage, "lobby");
  stage.sent();
  const leaving = lobby.leave();
  await settled();
  await stage.hear({ a: 4, r: stage.asked(14).r, d: { g: "lobby" } });
  await leaving;
  assert.deepEqual(stage.sent(), [{ a: 14, d: { g: "lobby", op: "leave" } }]);
  assert.deepEqual([lobby.state.status, chat.state.status], ["left", "live"]);
  await stage.lose();
  await stage.accept();
  assert.deepEqual(stage.sent(), [], "and not joined again");
});

test("who leaves while it joins is told so, and isn't in there in the end", async () => {
  const { stage, chat } = await inHall();
  const joining = codeOf(chat.join("lobby"));
  await settled();
  const { r } = stage.asked(14);
  const group = chat.groups.get("lobby");
  const leaving = group.leave();
  assert.equal(await joining, "left");
  await stage.hear({ a: 0, r, d: { v: 2, u: "alice", g: "lobby", ep: "e1", s: 0, ro: "member" } }, inGroup("lobby", 1));
  await stage.hear({ a: 4, r: stage.asked(14).r, d: { g: "lobby" } });
  await leaving;
  assert.deepEqual([stage.sent().map(({ d }) => d.op), group.state.status, texts(group), chat.groups.size], [["join", "leave"], "left", [], 0]);
});

test("who leaves and joins again while it joins is in there once, in the second", async () => {
  const { stage, chat } = await inHall();
  chat.join("lobby").catch(() => {});
  await settled();
  const first = stage.asked(14).r;
  const left = chat.groups.get("lobby");
  const leaving = left.leave();
  const again = chat.join("lobby");
  await settled();
  const [, leave, second] = stage.socket.sent.map(({ r }) => r);
  const welcome = (r, s) => ({ a: 0, r, d: { v: 2, u: "alice", g: "lobby", ep: "e1", s, ro: "member" } });
  await stage.hear(welcome(first, 3));
  assert.equal(chat.groups.get("lobby").state.status, "joining", "this was said to the one before");
  await stage.hear({ a: 4, r: leave, d: { g: "lobby" } }, welcome(second, 4), inGroup("lobby", 5));
  await leaving;
  const group = await again;
  assert.notEqual(group, left);
  assert.deepEqual([group.state.status, texts(group), left.state.status], ["live", ["m5"], "left"]);
  await left.leave();
  assert.equal(chat.groups.get("lobby"), group, "what is left can't leave for another");
});

test("a refusal of a join that nobody waits for ends nothing", async () => {
  const { stage, chat } = await inHall();
  chat.join("lobby").catch(() => {});
  await settled();
  const { r } = stage.asked(14);
  chat.groups.get("lobby").leave();
  const again = chat.join("lobby");
  await stage.hear({ a: 5, r, d: { c: "not_attending", m: "no", tmp: false, g: "lobby" } });
  await admit(stage, "lobby");
  assert.equal((await again).state.status, "live");
});

test("a join that waits for its turn isn't sent any more once the group is left", async () => {
  const { stage, chat, clock } = await inHall({}, { limits: { request: 1 } });
  for (const id of ["a", "b", "c", "late"]) chat.join(id).catch(() => {});
  await settled();
  const leaving = chat.groups.get("late").leave();
  for (const id of ["a", "b", "c"]) await admit(stage, id);
  await clock.pass(10_000);
  await stage.hear({ a: 5, r: stage.asked(14).r, d: { c: "not_joined", m: "no", tmp: false } });
  await leaving;
  await clock.pass(10_000);
  assert.deepEqual(stage.socket.sent.filter(({ d }) => d.g === "late").map(({ d }) => d.op), ["leave"]);
});

test("leaving keeps to the server's rate, and is asked for again where it is refused for a while", async () => {
  const { stage, clock } = await inHall({}, { limits: { request: 1 } });
  const [lobby, kitchen] = [await join(stage, "lobby"), await join(stage, "kitchen")];
  stage.sent();
  const leaving = [lobby.leave(), kitchen.leave()];
  await settled();
  const { r } = stage.asked(14);
  assert.deepEqual(stage.sent(), [{ a: 14, d: { g: "lobby", op: "leave" } }], "of three at once two were joins");
  await stage.hear({ a: 5, r, d: { c: "rate_limited", m: "no", tmp: true, ra: 300 } });
  await clock.pass(10_000);
  const asked = stage.socket.sent.map(({ r, d }) => [r, d.g]);
  assert.deepEqual(asked.map(([, g]) => g).sort(), ["kitchen", "lobby"]);
  for (const [r, g] of asked) await stage.hear({ a: 4, r, d: { g } });
  await Promise.all(leaving);
});

test("a connection that is lost while a group is left has left it", async () => {
  const { stage, chat } = await inHall();
  const lobby = await join(stage, "lobby");
  const leaving = lobby.leave();
  await stage.lose();
  await leaving;
  await stage.accept();
  assert.deepEqual([stage.sent(), chat.groups.size], [[], 0]);
});

test("a group's id is a text", async () => {
  const { stage, chat } = await inHall();
  for (const id of [undefined, null, 5, ""]) assert.equal(await codeOf(chat.join(id)), "invalid");
  const proto = await join(stage, "__proto__");
  await stage.hear(inGroup("__proto__", 1), inGroup("constructor", 1));
  assert.deepEqual(texts(proto), ["m1"]);
});

test("a connection for one group is that group's alone, and ends with it", async () => {
  const { stage, chat, lobby } = await inLobby();
  assert.equal(await chat.join("lobby"), lobby);
  assert.equal(await codeOf(chat.join("kitchen")), "group_scoped");
  await lobby.leave();
  assert.deepEqual(stage.sent(), [{ a: 14, d: { op: "leave" } }]);
  assert.equal(chat.state.status, "closed");
});

test("joins keep to the server's rate", async () => {
  const { stage, chat, clock } = await inHall({}, { limits: { request: 1 } });
  for (const id of ["a", "b", "c", "d", "e"]) chat.join(id);
  await settled();
  for (const id of ["a", "b", "c"]) await admit(stage, id);
  assert.equal(stage.sent().length, 3);
  await clock.pass(2_000);
  assert.equal(stage.sent().length, 2);
});

test("the inbox is asked for, and tells of what happens elsewhere", async () => {
  const { stage, chat } = await inHall();
  const told = [];
  chat.on("inbox", (entries) => told.push(entries));
  const asked = chat.inbox(3);
  await settled();
  const entry = { g: "lobby", s: 9, rd: 7, n: 2 };
  await stage.hear({ a: 15, d: [{ ...entry, n: 1 }] }, { a: 15, r: stage.asked(15).r, d: [entry] });
  assert.deepEqual(await asked, [{ group: "lobby", seq: 9, read: 7, unread: 2 }]);
  assert.deepEqual(told, [[{ group: "lobby", seq: 9, read: 7, unread: 1 }]]);
});

test("each request is answered by its own answer", async () => {
  const { stage, lobby } = await inLobby();
  const [edit, remove, react] = [lobby.edit("id1", "x"), codeOf(lobby.remove("id2")), lobby.react("id3", "!")];
  const [one, two, three] = stage.socket.sent.map(({ r }) => r);
  await stage.hear({ a: 4, r: three, d: { g: "lobby", i: "id3", dup: true } }, { a: 5, r: two, d: { c: "forbidden", m: "no", tmp: false } });
  await stage.hear({ a: 4, r: one, d: { g: "lobby", i: "id1", s: 4, t: 9 } });
  assert.deepEqual(await react, { id: "id3", duplicate: true });
  assert.equal(await remove, "forbidden");
  assert.deepEqual(await edit, { id: "id1", seq: 4, time: 9, duplicate: false });
});

test("a request waits for the connection, though not for ever; one that was lost with it is told of", async () => {
  const { stage, lobby, clock } = await inLobby({ requestTimeout: 4_000 });
  const lost = lobby.react("id1", "!");
  stage.socket.end(1006);
  assert.equal(await codeOf(lost), "disconnected");
  const waiting = lobby.react("id1", "!");
  await clock.pass(stage.chat.state.retryIn);
  await stage.accept({ group: "lobby" });
  await stage.hear({ a: 4, r: stage.asked(9).r, d: { i: "id1", s: 1, t: 1 } });
  assert.equal((await waiting).seq, 1);
  stage.socket.end(1006);
  const late = codeOf(lobby.react("id1", "!"));
  await clock.pass(4_000);
  assert.equal(await late, "timeout");
});

test("an error that nobody waits for is told of", async () => {
  const { stage } = await inLobby();
  await stage.hear({ a: 5, d: { c: "malformed", m: "the frame is not a map", tmp: false } });
  assert.deepEqual(stage.errors.map(({ code, message }) => [code, message]), [["malformed", "the frame is not a map"]]);
});

test("messages are read one after the other", async () => {
  const { stage, lobby } = await inLobby();
  const read = [];
  const reading = (async () => {
    for await (const { text } of lobby.messages()) {
      read.push(text);
      if (text === "m3") break;
    }
  })();
  await stage.hear(message(1), message(2));
  await stage.hear(message(3), message(4));
  await reading;
  assert.deepEqual(read, ["m1", "m2", "m3"]);
});

test("a reader that reads nothing is told so in the end", async () => {
  const { stage, lobby } = await inLobby();
  const reader = lobby.messages();
  for (let seq = 1; seq <= 10_001; seq++) stage.socket.say(message(seq));
  assert.equal(await codeOf(reader.next()), "overflow");
  assert.equal((await reader.next()).done, true);
});

/** Reads everything there is of something, until it ends. */
function reading(source) {
  const read = [];
  const done = (async () => {
    for await (const { group, ...event } of source) read.push(group ? { ...event, of: group.id } : event);
  })();
  return { read, done };
}

test("a connection is read whole: its own events, and those of its groups, each with its group", async () => {
  const { stage, chat } = await inHall();
  const all = reading(chat);
  const lobby = await join(stage, "lobby");
  const ofLobby = reading(lobby);
  await stage.hear(inGroup("lobby", 1), { a: 7, d: { g: "lobby", s: 2, i: "id1", m: "better", ed: 5, by: "bob" } });
  await stage.hear({ a: 11, d: { g: "lobby", u: "bob", k: true } }, { a: 12, d: { g: "lobby", p: "bob", x: 1 } });
  await stage.hear({ a: 15, d: [{ g: "kitchen", s: 2, rd: 1, n: 1 }] }, { a: 31, d: { w: 7, tk: "t" } }, { a: 5, d: { c: "malformed", m: "no", tmp: false } });
  chat.close();
  await Promise.all([all.done, ofLobby.done]);
  const types = ({ read }) => read.map(({ type, of }) => (of ? `${type} of ${of}` : type));
  const inside = ["message", "edit", "change", "typing", "whisper", "change", "change", "left"].map((type) => `${type} of lobby`);
  assert.deepEqual(types(ofLobby), inside);
  assert.deepEqual(types(all).filter((type) => type.includes(" of ")).slice(-inside.length), inside);
  assert.deepEqual(types(all).filter((type) => !type.includes(" of ")), ["inbox", "drain", "error", "state"]);
  const [said, edit] = ofLobby.read;
  assert.deepEqual([said.message.text, edit.seq, edit.by, edit.message.text], ["m1", 2, "bob", "better"]);
  const find = (type) => all.read.find((event) => event.type === type);
  assert.deepEqual([find("typing").typing, find("whisper").custom, find("drain").wait], [["bob"], 1, 7]);
  assert.deepEqual([find("inbox").entries[0].group, find("error").error.code, find("state").state.status], ["kitchen", "malformed", "closed"]);
  assert.equal(all.read.filter(({ type }) => type === "message").length, 1, "once, though the connection tells of it, too");
  assert.equal(all.read.findLast(({ type }) => type === "change").state.status, "left");
});

test("who stops reading hears no more, and others go on", async () => {
  const { stage, lobby } = await inLobby();
  const other = reading(lobby);
  for await (const { type } of (queueMicrotask(() => stage.socket.say(message(1))), lobby)) {
    assert.equal(type, "message");
    break;
  }
  await stage.hear(message(2));
  assert.deepEqual(other.read.filter(({ type }) => type === "message").map(({ message }) => message.seq), [1, 2]);
});

test("what is over gives nothing to read", async () => {
  const { chat, lobby } = await inLobby();
  chat.close();
  await Promise.all([reading(chat).done, reading(lobby).done]);
});

test("a listener hears once what it asked for once, and nothing after it was stopped", async () => {
  const { stage, lobby } = await inLobby();
  const heard = [];
  const never = () => heard.push("never");
  lobby.once("message", never);
  lobby.off("message", never);
  lobby.once("message", ({ seq }) => heard.push(seq));
  lobby.on("message", () => stop());
  const stop = lobby.on("message", never);
  await stage.hear(message(1), message(2));
  assert.deepEqual(heard, [1]);
});

test("the state of a group that is over is told once", async () => {
  const { stage, chat, lobby } = await inLobby();
  const told = [];
  lobby.on("change", ({ status }) => told.push(status));
  lobby.on("left", () => told.push("over"));
  chat.close();
  await settled();
  assert.deepEqual(told, ["left", "over"]);
  assert.equal(stage.chat.groups.size, 0);
});

test("readers end with the connection", async () => {
  const { stage, lobby, chat } = await inLobby();
  const readers = [lobby.messages(), chat.events("inbox")];
  const reads = readers.map((reader) => reader.next());
  await stage.hear(message(1));
  chat.close();
  assert.deepEqual([(await reads[0]).value.text, (await reads[1]).done, (await readers[0].next()).done], ["m1", true, true]);
  assert.equal((await lobby.messages().next()).done, true);
});
