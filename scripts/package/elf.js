/**
 * What a Linux library says of itself: its name, what it needs, where it looks, which versions of it, which names it gives and wants, and
 * whether it is stripped.
 *
 * Reads 64-bit little-endian ELF files, the only kind that is packaged, and judges nothing.
 */

"use strict";

const fs = require("node:fs");

const HEADER_BYTES = 64;
const SECTION = {
  ...{ symbols: 2, strings: 3, dynamic: 6, dynamicSymbols: 11 },
  ...{ neededVersions: 0x6ffffffe, symbolVersions: 0x6fffffff },
};
const STACK = { type: 0x6474e551, executable: 1 };
const TAG = { needed: 1, soname: 14, rpath: 15, runpath: 29 };
const DYNAMIC_ENTRY_BYTES = 16;
const SYMBOL_BYTES = 24;

/**
 * @typedef {object} ElfFacts
 * @property {string | undefined} soname
 * @property {string[]} needed
 * @property {string | undefined} runpath
 * @property {string[]} versions as `GLIBC_2.34`
 * @property {string[]} exported names of the functions and data that others may use
 * @property {string[]} wanted names that another library has to bring, of no particular version: those of the system have one
 * @property {boolean} hasExecutableStack
 * @property {boolean} isStripped
 */

/** @typedef {{ type: number, offset: number, size: number, link: number, info: number }} Section */

/**
 * @param {string} file
 * @returns {ElfFacts}
 */
function readElf(file) {
  const bytes = fs.readFileSync(file);
  if (bytes.length < HEADER_BYTES || bytes.readUInt32BE(0) !== 0x7f454c46 || bytes[4] !== 2 || bytes[5] !== 1)
    throw new Error(`\`${file}\` is no 64-bit little-endian ELF file`);
  const sections = readSections(bytes);
  const dynamic = dynamicEntries(bytes, sections);
  const last = (/** @type {number} */ tag) => dynamic.filter((entry) => entry.tag === tag).at(-1)?.text;
  return {
    soname: last(TAG.soname),
    needed: dynamic.filter((entry) => entry.tag === TAG.needed).map((entry) => entry.text),
    runpath: last(TAG.runpath) ?? last(TAG.rpath),
    versions: neededVersions(bytes, sections),
    exported: namesOf(bytes, sections, ({ binding, isDefined }) => isDefined && binding !== BINDING.local),
    wanted: namesOf(
      bytes,
      sections,
      ({ binding, isDefined, hasVersion }) => !isDefined && !hasVersion && binding === BINDING.global,
    ),
    hasExecutableStack: hasExecutableStack(bytes),
    isStripped: !sections.some((section) => section.type === SECTION.symbols),
  };
}

/**
 * @param {Buffer} bytes
 * @returns {Section[]}
 */
function readSections(bytes) {
  const start = number(bytes, 0x28);
  const [entrySize, count] = [bytes.readUInt16LE(0x3a), bytes.readUInt16LE(0x3c)];
  return Array.from({ length: count }, (_, index) => {
    const at = start + index * entrySize;
    return {
      type: bytes.readUInt32LE(at + 4),
      offset: number(bytes, at + 24),
      size: number(bytes, at + 32),
      link: bytes.readUInt32LE(at + 40),
      info: bytes.readUInt32LE(at + 44),
    };
  });
}

/**
 * @param {Buffer} bytes
 * @param {Section[]} sections
 */
function dynamicEntries(bytes, sections) {
  const textual = new Set(Object.values(TAG));
  return ofType(sections, SECTION.dynamic).flatMap((section) =>
    Array.from({ length: section.size / DYNAMIC_ENTRY_BYTES }, (_, index) => {
      const at = section.offset + index * DYNAMIC_ENTRY_BYTES;
      return { tag: number(bytes, at), value: number(bytes, at + 8) };
    })
      .filter(({ tag }) => textual.has(tag))
      .map(({ tag, value }) => ({ tag, text: stringAt(bytes, sections[section.link], value) })),
  );
}

/**
 * @param {Buffer} bytes
 * @param {Section[]} sections
 */
function neededVersions(bytes, sections) {
  /** @type {Set<string>} */
  const versions = new Set();
  for (const section of ofType(sections, SECTION.neededVersions)) {
    let library = section.offset;
    for (let left = section.info; left > 0; left -= 1) {
      let version = library + bytes.readUInt32LE(library + 8);
      for (let count = bytes.readUInt16LE(library + 2); count > 0; count -= 1) {
        versions.add(stringAt(bytes, sections[section.link], bytes.readUInt32LE(version + 8)));
        version += bytes.readUInt32LE(version + 12);
      }
      library += bytes.readUInt32LE(library + 12);
    }
  }
  return [...versions].sort();
}

const BINDING = { local: 0, global: 1 };
/** A symbol's version from here on is one of a library's; below it has none. */
const FIRST_VERSION = 2;
const HIDDEN_VERSION = 0x8000;

/** @typedef {{ binding: number, isDefined: boolean, hasVersion: boolean }} SymbolFacts */

/**
 * @param {Buffer} bytes
 * @param {Section[]} sections
 * @param {(symbol: SymbolFacts) => boolean} isSought
 */
function namesOf(bytes, sections, isSought) {
  const [versions] = ofType(sections, SECTION.symbolVersions);
  return ofType(sections, SECTION.dynamicSymbols).flatMap((section) =>
    Array.from({ length: section.size / SYMBOL_BYTES }, (_, index) => ({
      at: section.offset + index * SYMBOL_BYTES,
      version: versions ? bytes.readUInt16LE(versions.offset + 2 * index) & ~HIDDEN_VERSION : 0,
    }))
      .filter(({ at, version }) =>
        isSought({
          binding: bytes[at + 4] >> 4,
          isDefined: bytes.readUInt16LE(at + 6) !== 0,
          hasVersion: version >= FIRST_VERSION,
        }),
      )
      .map(({ at }) => stringAt(bytes, sections[section.link], bytes.readUInt32LE(at))),
  );
}

/**
 * Where nothing is said of it, the stack is executable.
 *
 * @param {Buffer} bytes
 */
function hasExecutableStack(bytes) {
  const start = number(bytes, 0x20);
  const [entrySize, count] = [bytes.readUInt16LE(0x36), bytes.readUInt16LE(0x38)];
  const entries = Array.from({ length: count }, (_, index) => start + index * entrySize);
  const stack = entries.find((at) => bytes.readUInt32LE(at) === STACK.type);
  return stack === undefined || (bytes.readUInt32LE(stack + 4) & STACK.executable) !== 0;
}

/**
 * @param {Section[]} sections
 * @param {number} type
 */
function ofType(sections, type) {
  return sections.filter((section) => section.type === type);
}

/**
 * @param {Buffer} bytes
 * @param {Section} table
 * @param {number} offset
 */
function stringAt(bytes, table, offset) {
  const start = table.offset + offset;
  return bytes.toString("latin1", start, bytes.indexOf(0, start));
}

/**
 * @param {Buffer} bytes
 * @param {number} at
 */
function number(bytes, at) {
  return Number(bytes.readBigUInt64LE(at));
}

module.exports = { readElf };
