/**
 * What was measured already, so that a run that was stopped goes on where it was, and one row can be measured anew.
 *
 * Results of another build, machine or profile are not mixed in.
 */

"use strict";

const crypto = require("node:crypto");
const fs = require("node:fs");
const path = require("node:path");

class Store {
  #file;
  /** @type {Record<string, { at: string, busyShare: number, entries: import("./verdicts").Entry[] }>} */
  #measured = {};

  constructor(folder, fingerprint) {
    this.#file = path.join(folder, `${fingerprint}.json`);
    if (fs.existsSync(this.#file)) this.#measured = JSON.parse(fs.readFileSync(this.#file, "utf8"));
  }

  has(row, model) {
    return key(row, model) in this.#measured;
  }

  get(row, model) {
    return this.#measured[key(row, model)];
  }

  set(row, model, measured) {
    this.#measured[key(row, model)] = measured;
    // Renamed into place, so that a bench that is stopped here does not lose what it had.
    fs.writeFileSync(`${this.#file}.part`, JSON.stringify(this.#measured));
    fs.renameSync(`${this.#file}.part`, this.#file);
  }
}

const key = (row, model) => `${row} ${model}`;

/** Of everything that what was measured depends on. */
function fingerprintOf(files, ...words) {
  const hash = crypto.createHash("sha256");
  for (const file of files) hash.update(fs.readFileSync(file));
  hash.update(JSON.stringify(words));
  return hash.digest("hex").slice(0, 16);
}

module.exports = { Store, fingerprintOf };
