/**
 * Runs other programs for the scripts.
 *
 * No shell in between except for npm on Windows, no time limits, no signal handling: Ctrl-C reaches a child as it reaches the script.
 */

"use strict";

const { spawn } = require("node:child_process");
const path = require("node:path");
const readline = require("node:readline");
const { StepFailed } = require("./step-failed");

/** So much of a failed command's output is enough to see why. */
const TAIL_LINES = 60;

/**
 * @typedef {object} CommandOptions
 * @property {string} [cwd]
 * @property {Record<string, string | undefined>} [environment] added to the script's own
 * @property {string} [failure] what to say when it fails, instead of naming the command
 * @property {(line: string) => void} [onOutputLine] sees every line of stdout
 * @property {(line: string) => void} [onErrorLine] sees every line of stderr
 */

/**
 * Shows what the command prints. Fails unless it exits with 0.
 *
 * @param {string} command
 * @param {string[]} args
 * @param {CommandOptions} [options]
 */
async function runVisibly(command, args, options = {}) {
  const ended = await endOf(start(command, args, options, "inherit"), command);
  if (ended.code !== 0) throw new StepFailed(describeFailure(command, args, options, ended));
}

/**
 * Keeps quiet unless the command fails; then the end of its output is part of the failure.
 *
 * @param {string} command
 * @param {string[]} args
 * @param {CommandOptions} [options]
 */
async function runQuietly(command, args, options = {}) {
  /** @type {string[]} */
  const tail = [];
  const keep = (/** @type {string} */ line) => {
    tail.push(line);
    if (tail.length > TAIL_LINES) tail.shift();
  };
  const child = start(command, args, options, "pipe");
  readLines(child.stdout, options.onOutputLine ?? keep);
  readLines(child.stderr, (line) => {
    keep(line);
    options.onErrorLine?.(line);
  });
  const ended = await endOf(child, command);
  if (ended.code !== 0) throw new StepFailed(describeFailure(command, args, options, ended), tail.join("\n"));
}

/**
 * @param {string} command
 * @param {string[]} args
 * @param {CommandOptions} [options]
 * @returns {Promise<string>} everything it printed on stdout
 */
async function outputOf(command, args, options = {}) {
  /** @type {string[]} */
  const lines = [];
  await runQuietly(command, args, { ...options, onOutputLine: (line) => lines.push(line) });
  return lines.join("\n");
}

/**
 * Standard input stays the person's own: `sudo` may have to ask for a password.
 *
 * @param {string} command
 * @param {string[]} args
 * @param {CommandOptions} options
 * @param {"inherit" | "pipe"} output
 */
function start(command, args, options, output) {
  return spawn(command, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.environment },
    stdio: ["inherit", output, output],
    shell: process.platform === "win32" && command === "npm",
  });
}

/**
 * @param {import("node:stream").Readable | null} stream
 * @param {(line: string) => void} onLine
 */
function readLines(stream, onLine) {
  if (stream) readline.createInterface({ input: stream }).on("line", onLine);
}

/** @typedef {{ code: number | null, signal: NodeJS.Signals | null }} Ended */

/**
 * @param {import("node:child_process").ChildProcess} child
 * @param {string} command
 * @returns {Promise<Ended>}
 */
function endOf(child, command) {
  return new Promise((resolve, reject) => {
    child.once("error", (error) => reject(new StepFailed(`\`${command}\` could not be started: ${error.message}`)));
    child.once("close", (code, signal) => resolve({ code, signal }));
  });
}

/**
 * @param {string} command
 * @param {string[]} args
 * @param {CommandOptions} options
 * @param {Ended} ended
 */
function describeFailure(command, args, { failure }, { code, signal }) {
  const what = failure ?? `\`${[path.basename(command), ...args].join(" ")}\` failed`;
  return `${what} (${signal ? `ended by ${signal}` : `exit code ${code}`})`;
}

/**
 * npm, the one that runs this script where there is one.
 *
 * @param {string[]} args
 * @returns {[command: string, args: string[]]}
 */
function npmCommand(args) {
  const running = process.env.npm_execpath;
  return running?.endsWith(".js") ? [process.execPath, [running, ...args]] : ["npm", args];
}

module.exports = { npmCommand, outputOf, runQuietly, runVisibly };
