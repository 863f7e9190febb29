/**
 * Remembers from what a folder was made, so that a second run skips what is done.
 *
 * A stamp is a small JSON file beside the result. It holds hashes, never times: a fresh clone and a switched branch have new times.
 */

"use strict";

const { createHash } = require("node:crypto");
const fs = require("node:fs");
const path = require("node:path");

/**
 * @param {string} root
 * @param {string[]} names files and folders below the root; a missing one counts as empty
 * @param {string[]} [facts] whatever else the result depends on
 */
function hashInputs(root, names, facts = []) {
  const hash = createHash("sha256");
  for (const fact of facts) hash.update(`${fact}\0`);
  for (const file of names.flatMap((name) => filesBelow(root, name))) {
    const content = fs.readFileSync(path.join(root, file));
    hash.update(`${file}\0${content.length}\0`).update(content);
  }
  return hash.digest("hex");
}

/**
 * @param {string} root
 * @param {string} name
 * @returns {string[]} relative to the root, with forward slashes, in an order that is the same everywhere
 */
function filesBelow(root, name) {
  const entry = fs.statSync(path.join(root, name), { throwIfNoEntry: false });
  if (!entry) return [];
  if (!entry.isDirectory()) return [name];
  const children = fs.readdirSync(path.join(root, name)).sort();
  return children.flatMap((child) => filesBelow(root, `${name}/${child}`));
}

/**
 * @param {string} file
 * @returns {Record<string, any>} empty when there is none or it cannot be read: the work is then done again
 */
function readStamp(file) {
  try {
    return JSON.parse(fs.readFileSync(file, "utf8"));
  } catch {
    return {};
  }
}

/**
 * @param {string} file
 * @param {Record<string, unknown>} stamp
 */
function writeStamp(file, stamp) {
  fs.writeFileSync(file, `${JSON.stringify(stamp, null, 2)}\n`);
}

module.exports = { hashInputs, readStamp, writeStamp };
