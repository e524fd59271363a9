/** The golden frames, which the server's tests share: this client reads the server's and writes the clients' to the byte. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { ENCODINGS, readFrame } from "../frames.js";
import { decode, encode } from "../msgpack.js";
import { Stage, settled } from "./support/stage.js";

const golden = (side) => JSON.parse(readFileSync(new URL(`../../../../engine/tests/wire/v2/${side}.json`, import.meta.url)));
const hex = (bytes) => Buffer.from(bytes).toString("hex");
const bytes = (text) => Uint8Array.from(Buffer.from(text, "hex"));

for (const side of ["client", "server"]) {
  for (const { name, json, text, msgpack } of golden(side)) {
    test(`${side}: ${name}`, () => {
      assert.deepEqual(decode(bytes(msgpack)), json);
      assert.equal(hex(encode(json)), msgpack);
      if (side === "client") return;
      assert.deepEqual(readFrame(ENCODINGS.msgpack, bytes(msgpack).buffer), readFrame(ENCODINGS.json, text));
    });
  }
}

const CUSTOM = golden("client").find(({ name }) => name === "message with everything").json.d.x;
const ID = "5c73fc6510629c18000000000000002a";

/** How a client comes to send a golden frame. */
const DOINGS = {
  "history without anything": (group) => group.history(),
  "history of so many": (group) => group.history({ limit: 100 }),
  "history before a sequence": (group) => group.history({ before: 70_000, limit: 10 }),
  "edit of the text": (group) => group.edit(ID, "mended 🌺"),
  "edit of the custom data": (group) => group.edit(ID, undefined, { custom: CUSTOM }),
  "edit that takes the custom data away": (group) => group.edit(ID, undefined, { custom: null }),
  "edit of both": (group) => group.edit(ID, "x", { custom: 0 }),
  "deletion": (group) => group.remove(ID),
  "reaction": (group) => group.react(ID, "👍🏽"),
  "reaction that is taken back": (group) => group.unreact(ID, "ok"),
  "marker of what was read": (group) => group.read(42),
  "marker of what was received": (group) => group.received(70_000),
  "typing": (group) => group.typing(true),
  "ephemeral": (group) => group.whisper(CUSTOM),
  "ephemeral to a user": (group) => group.whisper(-33, "ユーザー"),
  "ephemeral null": (group) => group.whisper(null),
  "mute": (group) => group.mute("dave", { until: new Date(1551105125856) }),
  "mute until further notice": (group) => group.mute("dave"),
  "unmute": (group) => group.unmute("dave"),
  "kick": (group) => group.kick("dave"),
  "ban": (group) => group.ban("dave", { until: 1551105125856 }),
  "unban": (group) => group.unban("dave"),
  "inbox": (group, chat) => chat.inbox(),
  "inbox of so many": (group, chat) => chat.inbox(20),
};

/** A frame without what depends on the connection: the number of the request, and the group's name. */
function essence({ a, d: { g, ...d } = {} }) {
  return { a, d };
}

for (const encoding of ["json", "msgpack"]) {
  for (const [name, doing] of Object.entries(DOINGS)) {
    test(`the client sends in ${encoding}: ${name}`, async () => {
      const stage = new Stage({ encoding });
      const group = await stage.inLobby({ seq: 70_000 });
      Promise.resolve(doing(group, stage.chat)).catch(() => {});
      await settled();
      const { json } = golden("client").find((frame) => frame.name === name);
      assert.deepEqual(stage.sent().map(essence), [essence(json)].map((frame) => JSON.parse(JSON.stringify(frame))));
      stage.chat.close();
    });
  }
}

test("a message is sent as the golden one with everything, and every text as UTF-8", async () => {
  const stage = new Stage();
  const group = await stage.inLobby();
  const { json } = golden("client").find(({ name }) => name === "message with everything");
  group.send(json.d.m, { clientId: "c-1", replyTo: ID, custom: CUSTOM, again: true });
  assert.deepEqual(stage.sent().map(essence), [essence(json)]);
  group.send("half a pair \ud83c, a backslash \\ud83c");
  assert.equal(stage.sent()[0].d.m, "half a pair \ufffd, a backslash \\ud83c");
});
