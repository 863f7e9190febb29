/** All rows, in the order of the table. */

"use strict";

const { abort, busy, cpu, stall } = require("./application");
const { lookup } = require("./lookup");
const { memory } = require("./memory");
const { gap, sessions } = require("./sharing");
const { decode, depth, prompt } = require("./speed");
const { cold, turn } = require("./start");
const { contended, threads } = require("./threads");

/**
 * @typedef {object} Row
 * @property {string} name
 * @property {string[]} models
 * @property {(bench: import("../bench").Bench, model: any) => Promise<Omit<import("../verdicts").Entry, "model">[]>} run
 */

/** @type {Row[]} */
const ROWS = [
  decode,
  depth,
  prompt,
  cold,
  turn,
  sessions,
  gap,
  busy,
  threads,
  contended,
  abort,
  stall,
  cpu,
  memory,
  lookup,
];

module.exports = { ROWS };
