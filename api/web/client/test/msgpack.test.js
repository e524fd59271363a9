import assert from "node:assert/strict";
import { test } from "node:test";
import { MsgpackError, decode, encode } from "../msgpack.js";
import { random } from "./support/random.js";

const hex = (bytes) => Buffer.from(bytes).toString("hex");
const bytes = (text) => Uint8Array.from(Buffer.from(text, "hex"));

test("every kind of value has its shortest form, at the edges of each", () => {
  const forms = [
    [null, "c0"], [false, "c2"], [true, "c3"],
    [0, "00"], [-0, "00"], [127, "7f"], [128, "cc80"], [255, "ccff"], [256, "cd0100"], [65_535, "cdffff"], [65_536, "ce00010000"],
    [2 ** 32 - 1, "ceffffffff"], [2 ** 32, "cf0000000100000000"], [Number.MAX_SAFE_INTEGER, "cf001fffffffffffff"],
    [-1, "ff"], [-32, "e0"], [-33, "d0df"], [-128, "d080"], [-129, "d1ff7f"], [-32_768, "d18000"], [-32_769, "d2ffff7fff"],
    [-(2 ** 31), "d280000000"], [-(2 ** 31) - 1, "d3ffffffff7fffffff"],
    [1.5, "cb3ff8000000000000"], [1e300, "cb7e37e43c8800759c"],
    ["", "a0"], ["é", "a2c3a9"], ["\ufeffx", "a4efbbbf78"], [[], "90"], [{}, "80"], [{ a: [1] }, "81a1619101"],
  ];
  for (const [value, form] of forms) {
    assert.equal(hex(encode(value)), form);
    assert.deepEqual(decode(bytes(form)), value === 0 ? 0 : value);
  }
});

test("lengths go from one form to the next", () => {
  for (const length of [31, 32, 255, 256, 65_535, 65_536]) {
    assert.equal(decode(encode("x".repeat(length))).length, length);
  }
  for (const length of [15, 16, 65_535, 65_536]) {
    const list = Array.from({ length }, (_, index) => index);
    assert.deepEqual(decode(encode(list)), list);
    assert.deepEqual(decode(encode({ ...list })), { ...list });
  }
});

test("what JSON leaves out is left out, and a lone half of a pair is replaced", () => {
  assert.equal(hex(encode({ a: undefined, b: [undefined] })), "81a16291c0");
  assert.equal(decode(encode("a\ud800b")), "a\ufffdb");
});

test("a key named __proto__ is a key like any other", () => {
  const map = decode(bytes("81a95f5f70726f746f5f5f81a16101"));
  assert.deepEqual(Object.keys(map), ["__proto__"]);
  assert.equal(map.a, undefined);
});

test("what isn't in the protocol is an error of its own", () => {
  const wrong = {
    "nothing": "", "binary": "c40100", "an extension": "d40100", "a key that is no text": "810101", "the byte that is never used": "c1",
    "bytes left over": "c0c0", "a text that ends early": "a361", "a text that is not UTF-8": "a1ff", "a list that lies": "ddffffffff",
    "a map that lies": "dfffffffff", "a text that lies": "dbffffffff61", "a number that ends early": "cf00",
  };
  for (const [name, form] of Object.entries(wrong)) assert.throws(() => decode(bytes(form)), MsgpackError, name);
  assert.throws(() => decode(bytes("91".repeat(10_000) + "c0")), MsgpackError, "too deep");
  for (const value of [NaN, Infinity, () => {}, 1n, undefined]) assert.throws(() => encode(value), MsgpackError);
  const circle = [];
  circle.push(circle);
  assert.throws(() => encode(circle), MsgpackError);
});

test("random bytes are read or refused, and what is read is written as something that reads the same", () => {
  const { chance, whole, seed } = random();
  for (let round = 0; round < 50_000; round++) {
    const noise = Uint8Array.from({ length: whole(24) }, () => (chance(0.3) ? 0x80 + whole(128) : whole(256)));
    try {
      const value = decode(noise);
      if (Number.isNaN(value) || /null/.test(JSON.stringify(value))) continue;
      assert.deepEqual(decode(encode(value)), value, `seed ${seed}, ${hex(noise)}`);
    } catch (error) {
      assert.ok(error instanceof MsgpackError, `seed ${seed}, ${hex(noise)}: ${error.stack}`);
    }
  }
});
