/**
 * MessagePack, as far as JSON has the same: nil, booleans, numbers, texts, lists and maps with text keys.
 *
 * Numbers are written in the shortest of the integer formats, or as 64-bit floats. Whatever isn't in the protocol is an error: binary data,
 * extensions, other keys, texts that aren't UTF-8, bytes left over. Nothing is allocated on the word of a length alone.
 */

/** How deep lists and maps may lie in each other. */
const LEVELS_MAX = 100;
const TWO_TO_64 = 2 ** 64;

/** Bytes that aren't MessagePack, or a value that can't be written. */
export class MsgpackError extends Error {
  constructor(message) {
    super(message);
    this.name = "MsgpackError";
  }
}

const utf8 = new TextEncoder();

/**
 * Writes a value.
 * @param {unknown} value as for `JSON.stringify`, without its `toJSON`
 * @returns {Uint8Array}
 */
export function encode(value) {
  const writer = new Writer();
  writer.value(value, LEVELS_MAX);
  return writer.written();
}

class Writer {
  #bytes = new Uint8Array(256);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  written() {
    return this.#bytes.slice(0, this.#length);
  }

  value(value, levels) {
    if (value === null) return this.#byte(0xc0);
    switch (typeof value) {
      case "boolean":
        return this.#byte(value ? 0xc3 : 0xc2);
      case "number":
        return this.#number(value);
      case "string":
        return this.#text(value);
      case "object":
        if (levels === 0) throw new MsgpackError(`more than ${LEVELS_MAX} levels`);
        return Array.isArray(value) ? this.#list(value, levels - 1) : this.#map(value, levels - 1);
      default:
        throw new MsgpackError(`a ${typeof value} can't be written`);
    }
  }

  #list(list, levels) {
    this.#head(list.length, 0x90, 16, undefined, 0xdc);
    // JSON has null where a list has a hole, too.
    for (const item of list) this.value(item === undefined ? null : item, levels);
  }

  #map(map, levels) {
    const entries = Object.entries(map).filter(([, value]) => value !== undefined);
    this.#head(entries.length, 0x80, 16, undefined, 0xde);
    for (const [key, value] of entries) {
      this.#text(key);
      this.value(value, levels);
    }
  }

  #text(text) {
    const bytes = utf8.encode(text);
    this.#head(bytes.length, 0xa0, 32, 0xd9, 0xda);
    const at = this.#grow(bytes.length);
    this.#bytes.set(bytes, at);
  }

  /** A length: within the type's byte, or in 8, 16 or 32 bits behind it. The last two types follow each other. */
  #head(length, short, shortMax, byte8, byte16) {
    if (length < shortMax) return this.#byte(short | length);
    if (byte8 !== undefined && length <= 0xff) return this.#scalar(byte8, 1, "setUint8", length);
    if (length <= 0xffff) return this.#scalar(byte16, 2, "setUint16", length);
    this.#scalar(byte16 + 1, 4, "setUint32", length);
  }

  #number(number) {
    if (!Number.isFinite(number)) throw new MsgpackError("NaN and infinities can't be written");
    if (!Number.isInteger(number) || number >= TWO_TO_64 || number < -TWO_TO_64 / 2) {
      return this.#scalar(0xcb, 8, "setFloat64", number);
    }
    if (number >= 0) return this.#whole(number);
    if (number >= -0x20) return this.#byte(0x100 + number);
    if (number >= -0x80) return this.#scalar(0xd0, 1, "setInt8", number);
    if (number >= -0x8000) return this.#scalar(0xd1, 2, "setInt16", number);
    if (number >= -0x80000000) return this.#scalar(0xd2, 4, "setInt32", number);
    this.#scalar(0xd3, 8, "setBigInt64", BigInt(number));
  }

  #whole(number) {
    if (number < 0x80) return this.#byte(number);
    if (number <= 0xff) return this.#scalar(0xcc, 1, "setUint8", number);
    if (number <= 0xffff) return this.#scalar(0xcd, 2, "setUint16", number);
    if (number <= 0xffffffff) return this.#scalar(0xce, 4, "setUint32", number);
    this.#scalar(0xcf, 8, "setBigUint64", BigInt(number));
  }

  #scalar(type, size, setter, number) {
    this.#byte(type);
    const at = this.#grow(size);
    this.#view[setter](at, number);
  }

  #byte(byte) {
    const at = this.#grow(1);
    this.#bytes[at] = byte;
  }

  /** Makes room for so many bytes, and tells where they begin. */
  #grow(size) {
    const at = this.#length;
    this.#length += size;
    if (this.#length > this.#bytes.length) {
      const bytes = new Uint8Array(Math.max(this.#length, this.#bytes.length * 2));
      bytes.set(this.#bytes);
      this.#bytes = bytes;
      this.#view = new DataView(bytes.buffer);
    }
    return at;
  }
}

/**
 * Reads the one value that the bytes hold.
 * @param {ArrayBuffer | Uint8Array} bytes
 * @returns {any} integers beyond 2^53 lose precision, as with `JSON.parse`
 */
export function decode(bytes) {
  const reader = new Reader(bytes instanceof Uint8Array ? bytes : new Uint8Array(bytes));
  const value = reader.value(LEVELS_MAX);
  reader.end();
  return value;
}

class Reader {
  #bytes;
  #view;
  #at = 0;
  // Without `ignoreBOM` a text would lose a U+FEFF at its beginning.
  #utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

  constructor(bytes) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  end() {
    if (this.#at < this.#bytes.length) throw new MsgpackError("something stands behind the value");
  }

  value(levels) {
    const type = this.#bytes[this.#take(1)];
    if (type < 0x80) return type;
    if (type < 0x90) return this.#map(type & 0x0f, levels);
    if (type < 0xa0) return this.#list(type & 0x0f, levels);
    if (type < 0xc0) return this.#text(type & 0x1f);
    if (type >= 0xe0) return type - 0x100;
    return this.#typed(type, levels);
  }

  #typed(type, levels) {
    switch (type) {
      case 0xc0:
        return null;
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xd9:
        return this.#text(this.#scalar(0xcc));
      case 0xda:
      case 0xdb:
        return this.#text(this.#scalar(type - 0xda + 0xcd));
      case 0xdc:
      case 0xdd:
        return this.#list(this.#scalar(type - 0xdc + 0xcd), levels);
      case 0xde:
      case 0xdf:
        return this.#map(this.#scalar(type - 0xde + 0xcd), levels);
      default:
        return this.#scalar(type);
    }
  }

  #scalar(type) {
    switch (type) {
      case 0xca:
        return this.#view.getFloat32(this.#take(4));
      case 0xcb:
        return this.#view.getFloat64(this.#take(8));
      case 0xcc:
        return this.#view.getUint8(this.#take(1));
      case 0xcd:
        return this.#view.getUint16(this.#take(2));
      case 0xce:
        return this.#view.getUint32(this.#take(4));
      case 0xcf:
        return Number(this.#view.getBigUint64(this.#take(8)));
      case 0xd0:
        return this.#view.getInt8(this.#take(1));
      case 0xd1:
        return this.#view.getInt16(this.#take(2));
      case 0xd2:
        return this.#view.getInt32(this.#take(4));
      case 0xd3:
        return Number(this.#view.getBigInt64(this.#take(8)));
      default:
        throw new MsgpackError(`type 0x${type.toString(16)} is none of the protocol`);
    }
  }

  #list(length, levels) {
    this.#within(length, levels);
    const list = [];
    for (let index = 0; index < length; index++) list.push(this.value(levels - 1));
    return list;
  }

  #map(length, levels) {
    this.#within(length * 2, levels);
    const map = {};
    for (let index = 0; index < length; index++) {
      const key = this.value(levels - 1);
      if (typeof key !== "string") throw new MsgpackError("a key is no text");
      // An assignment to this one name would change what the map is, and not what it holds.
      if (key === "__proto__") Object.defineProperty(map, key, asAssigned(this.value(levels - 1)));
      else map[key] = this.value(levels - 1);
    }
    return map;
  }

  /** Each value takes a byte at least: a length that lies is found before anything is done for it. */
  #within(values, levels) {
    if (levels === 0) throw new MsgpackError(`more than ${LEVELS_MAX} levels`);
    if (values > this.#bytes.length - this.#at) throw new MsgpackError("the bytes end too early");
  }

  #text(length) {
    const at = this.#take(length);
    try {
      return this.#utf8.decode(this.#bytes.subarray(at, at + length));
    } catch {
      throw new MsgpackError("a text is not UTF-8");
    }
  }

  #take(size) {
    const at = this.#at;
    if (size > this.#bytes.length - at) throw new MsgpackError("the bytes end too early");
    this.#at += size;
    return at;
  }
}

/** The property that an assignment would make. */
function asAssigned(value) {
  return { value, writable: true, enumerable: true, configurable: true };
}
