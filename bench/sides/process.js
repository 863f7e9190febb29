/** The bench's end of a side: a program of its own, asked by lines of JSON. */

"use strict";

const { spawn } = require("node:child_process");
const readline = require("node:readline");

/** So much of what a side said on stderr is enough to see why it ended. */
const TAIL_LINES = 20;

/** Several times what the longest answer takes, a prompt of 16,384 tokens. Whoever takes longer hangs. */
const LONGEST_ANSWER_MS = 600_000;

class SideProcess {
  #child;
  #next = 1;
  #waiting = new Map();
  #tail = [];
  #ended;

  /**
   * @param {string} name
   * @param {string} program
   * @param {string[]} args
   * @param {Record<string, string>} [environment]
   */
  constructor(name, program, args, environment) {
    this.name = name;
    this.#child = spawn(program, args, { env: { ...process.env, ...environment }, stdio: ["pipe", "pipe", "pipe"] });
    readline.createInterface({ input: this.#child.stdout }).on("line", (line) => this.#take(line));
    readline.createInterface({ input: this.#child.stderr }).on("line", (line) => this.#keep(line));
    // A side that has ended is reported by its exit.
    this.#child.stdin.on("error", () => {});
    this.#ended = new Promise((resolve) => {
      this.#child.once("error", (error) => this.#fail(error.message, resolve));
      this.#child.once("close", (code, signal) => this.#fail(`it ended with ${signal ?? code}`, resolve));
    });
  }

  get pid() {
    return this.#child.pid;
  }

  /** @returns {Promise<any>} */
  ask(command, fields = {}) {
    const id = this.#next++;
    const hang = setTimeout(() => {
      this.#keep(`no answer in ${LONGEST_ANSWER_MS / 1000} s`);
      this.kill();
    }, LONGEST_ANSWER_MS);
    const answer = new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject, command }));
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) this.#fail("it has ended", () => {});
    else this.#child.stdin.write(`${JSON.stringify({ id, do: command, ...fields })}\n`);
    return answer.finally(() => clearTimeout(hang));
  }

  kill() {
    this.#child.kill("SIGKILL");
  }

  /** Waits for its end; one that does not end by itself is ended. */
  async close() {
    this.#child.stdin.end();
    const impatience = setTimeout(() => this.kill(), 5000);
    await this.#ended;
    clearTimeout(impatience);
  }

  #take(line) {
    const reply = parsed(line);
    const waiting = this.#waiting.get(reply?.id);
    if (!waiting) return this.#keep(line);
    this.#waiting.delete(reply.id);
    if (reply.error === undefined) return waiting.resolve(reply.value);
    return waiting.reject(
      Object.assign(new Error(`${this.name}, ${waiting.command}: ${reply.error}`), { code: reply.code }),
    );
  }

  #keep(line) {
    this.#tail.push(line);
    if (this.#tail.length > TAIL_LINES) this.#tail.shift();
  }

  #fail(reason, resolve) {
    for (const { reject, command } of this.#waiting.values())
      reject(new Error([`${this.name}, ${command}: ${reason}`, ...this.#tail].join("\n  ")));
    this.#waiting.clear();
    resolve();
  }
}

function parsed(line) {
  if (!line.startsWith("{")) return undefined;
  try {
    return JSON.parse(line);
  } catch {
    // Not ours: a library printed something.
    return undefined;
  }
}

module.exports = { SideProcess };
