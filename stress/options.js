/**
 * What every long run takes on its command line, and how it says how it went.
 */

"use strict";

const os = require("node:os");
const { parseArgs } = require("node:util");

/**
 * @typedef {{ count: number, seed: number, seconds: number, from: number, jobs: number, only?: string }} Options
 *   `seconds`: the run ends after this time even when the count is not reached; `from`: the first number, to repeat a failure or to go on; `jobs`: how
 *   many processes run at a time, in runs of many processes; `only`: the one part of a run that has several
 */

/**
 * @param {{ count: number }} defaults
 * @returns {Options}
 */
function readOptions(defaults) {
  const { values } = parseArgs({
    options: {
      count: { type: "string" },
      seed: { type: "string" },
      seconds: { type: "string" },
      from: { type: "string" },
      jobs: { type: "string" },
      only: { type: "string" },
    },
  });
  const number = (
    /** @type {"count" | "seed" | "seconds" | "from" | "jobs"} */ name,
    /** @type {number} */ otherwise,
  ) => {
    const value = Number(values[name] ?? otherwise);
    if (!(value >= 0) || (name !== "seconds" && !Number.isInteger(value)))
      throw new Error(`option \`--${name}\` is \`${values[name]}\`, expected a number from 0`);
    return value;
  };
  return {
    count: number("count", defaults.count),
    seed: number("seed", 1),
    seconds: number("seconds", Number.POSITIVE_INFINITY),
    from: number("from", 0),
    jobs: Math.max(1, number("jobs", os.availableParallelism())),
    only: values.only,
  };
}

/**
 * A clock that says when a run has taken long enough.
 *
 * @param {Pick<Options, "seconds">} options
 */
function timeLimit({ seconds }) {
  const start = performance.now();
  return {
    isOver: () => performance.now() - start > seconds * 1000,
    elapsed: () => (performance.now() - start) / 1000,
  };
}

/**
 * @param {string} name
 * @param {unknown} value
 */
function row(name, value) {
  process.stdout.write(`${name.padEnd(43)} ${value}\n`);
}

/**
 * A long run that its time limit ended has not shown what it is for. A short one is the part that fits into `npm test`.
 *
 * @param {{ done: number, count: number }} run
 * @param {number} longCount from so many on a run is a long one
 * @returns {string[]} what failed
 */
function cutShort({ done, count }, longCount) {
  return count >= longCount && done < count ? [`it was cut short: ${done} of ${count} were done`] : [];
}

/**
 * Runs a whole program: prints what is wrong and makes the exit code tell it.
 *
 * @param {() => Promise<string[]>} program gives what failed, in sentences
 */
async function runStress(program) {
  try {
    const failures = await program();
    for (const failure of failures) process.stdout.write(`FAILED: ${failure}\n`);
    if (failures.length > 0) process.exitCode = 1;
    else process.stdout.write("passed\n");
  } catch (error) {
    process.stderr.write(`${/** @type {any} */ (error)?.stack ?? error}\n`);
    process.exitCode = 1;
  }
}

module.exports = { cutShort, readOptions, row, runStress, timeLimit };
