/**
 * Takes a GGUF file apart and puts it together again, also wrongly.
 *
 * For files that are right to begin with: it checks nothing.
 */

"use strict";

const DEFAULT_ALIGNMENT = 32;
const TEXT = 8;
const LIST = 9;
/** Bytes of a value, by the number of its type. */
const VALUE_BYTES = [1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8];
/** ggml's number formats by their number: how many numbers are stored together, in how many bytes. */
const FORMATS = /** @type {Record<number, [number, number]>} */ ({
  0: [1, 4],
  1: [1, 2],
  2: [32, 18],
  3: [32, 20],
  6: [32, 22],
  7: [32, 24],
  8: [32, 34],
  9: [32, 36],
  10: [256, 84],
  12: [256, 144],
  14: [256, 210],
  15: [256, 292],
  20: [32, 18],
  24: [1, 1],
  25: [1, 2],
  26: [1, 4],
  27: [1, 8],
  28: [1, 8],
  30: [1, 2],
  39: [32, 17],
});

/**
 * @typedef {{ key: string, type: number, value: Buffer }} Entry `value`: as it stands in the file, behind its type
 * @typedef {{ name: string, dimensions: bigint[], format: number, data: Buffer, offset?: bigint }} Tensor
 *   `offset`: written in place of the right one
 * @typedef {{ entries: Entry[], tensors: Tensor[], metadataEnd: number, dataStart: number }} Parts
 */

/**
 * @param {Buffer} file
 * @returns {Parts}
 */
function takeApart(file) {
  let at = 24;
  const take = (/** @type {number} */ length) => {
    at += length;
    return file.subarray(at - length, at);
  };
  const u32 = () => take(4).readUInt32LE();
  const u64 = () => take(8).readBigUInt64LE();
  const text = () => take(Number(u64())).toString("latin1");
  const value = (/** @type {number} */ type) => {
    if (type === TEXT) text();
    else if (type !== LIST) take(VALUE_BYTES[type]);
    else {
      const [kind, length] = [u32(), Number(u64())];
      for (let index = 0; index < length; index++) value(kind);
    }
  };
  const entries = [];
  for (let index = Number(file.readBigUInt64LE(16)); index > 0; index--) {
    const [key, type, start] = [text(), u32(), at];
    value(type);
    entries.push({ key, type, value: file.subarray(start, at) });
  }
  const metadataEnd = at;
  const heads = [];
  for (let index = Number(file.readBigUInt64LE(8)); index > 0; index--) {
    const name = text();
    const dimensions = Array.from({ length: u32() }, u64);
    heads.push({ name, dimensions, format: u32(), start: Number(u64()) });
  }
  const dataStart = padded(at);
  const tensors = heads.map(({ start, ...head }) => {
    const from = dataStart + start;
    return { ...head, data: file.subarray(from, from + tensorBytes(head)) };
  });
  return { entries, tensors, metadataEnd, dataStart };
}

/**
 * @param {Pick<Parts, "entries" | "tensors">} parts
 * @returns {Buffer}
 */
function putTogether({ entries, tensors }) {
  /** @type {Buffer[]} */
  const pieces = [Buffer.from("GGUF"), u32Bytes(3), u64Bytes(tensors.length), u64Bytes(entries.length)];
  for (const { key, type, value } of entries) pieces.push(textBytes(key), u32Bytes(type), value);
  let offset = 0;
  for (const tensor of tensors) {
    pieces.push(textBytes(tensor.name), u32Bytes(tensor.dimensions.length), ...tensor.dimensions.map(u64Bytes));
    pieces.push(u32Bytes(tensor.format), u64Bytes(tensor.offset ?? offset));
    offset += padded(tensor.data.length);
  }
  const head = Buffer.concat(pieces);
  const data = tensors.map((tensor) => toLength(tensor.data, padded(tensor.data.length)));
  return Buffer.concat([toLength(head, padded(head.length)), ...data]);
}

/** @param {{ dimensions: bigint[], format: number }} tensor */
function tensorBytes({ dimensions, format }) {
  const [numbers, bytes] = FORMATS[format];
  return Number((dimensions.reduce((product, length) => product * length, 1n) / BigInt(numbers)) * BigInt(bytes));
}

/** @param {number} length */
function padded(length) {
  return Math.ceil(length / DEFAULT_ALIGNMENT) * DEFAULT_ALIGNMENT;
}

/**
 * @param {Buffer} bytes
 * @param {number} length
 */
function toLength(bytes, length) {
  return Buffer.concat([bytes, Buffer.alloc(Math.max(0, length - bytes.length))], length);
}

/** @param {number} number */
function u32Bytes(number) {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(number >>> 0);
  return bytes;
}

/** @param {number | bigint} number */
function u64Bytes(number) {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt.asUintN(64, BigInt(number)));
  return bytes;
}

/** @param {string} text each character a byte */
function textBytes(text) {
  return Buffer.concat([u64Bytes(text.length), Buffer.from(text, "latin1")]);
}

module.exports = { FORMATS, LIST, TEXT, putTogether, takeApart, tensorBytes, textBytes, toLength, u32Bytes, u64Bytes };
