/**
 * The command `llama-worker`, as a shell sees it: what it prints, where, and its exit code.
 *
 * Has no terminal, only streams that say they are one: how a real one draws a line is not looked at.
 */

"use strict";

const assert = require("node:assert/strict");
const { spawn } = require("node:child_process");
const { once } = require("node:events");
const path = require("node:path");
const { version } = require("../package.json");
const { CAPITAL, STORY, runNode, test, untilInTime } = require("./support");

const CLI = path.join(__dirname, "..", "js", "cli.js");
const ONE_THREAD = ["--threads", "1"];

/**
 * @param {string[]} args
 * @param {{ input?: string, env?: Record<string, string> }} [options]
 */
const run = (args, options) => runNode([CLI, ...args], options);

test("a prompt is answered on standard output, and nothing else is said", async () => {
  assert.deepEqual(await run([...ONE_THREAD, CAPITAL.question]), {
    code: 0,
    signal: null,
    stdout: `${CAPITAL.answer}\n`,
    stderr: "",
  });
});

test("words of a prompt need no quotes", async () => {
  const { stdout } = await run([...ONE_THREAD, ...CAPITAL.question.split(" ")]);
  assert.equal(stdout, `${CAPITAL.answer}\n`);
});

test("every line of a piped input is a turn of one conversation", async () => {
  const { code, stdout } = await run(ONE_THREAD, { input: "My name is Ana.\n\nWhat is my name?" });
  assert.equal(code, 0);
  assert.match(stdout, /^.*Ana.*\n.*Ana.*\n$/);
});

test("/reset starts over, /exit leaves", async () => {
  const input = "My name is Ana.\n/reset\nWhat is my name?\n/exit\nMy name is Bob.\n";
  const { code, stdout } = await run(ONE_THREAD, { input });
  const [greeting, unknown, ...more] = stdout.trimEnd().split("\n");
  assert.match(greeting, /Ana/);
  assert.doesNotMatch(unknown, /Ana/);
  assert.deepEqual(more, []);
  assert.equal(code, 0);
});

test("an empty input is no failure", async () => {
  assert.deepEqual(await run(ONE_THREAD), { code: 0, signal: null, stdout: "", stderr: "" });
});

test("the options reach the generation", async () => {
  const { stdout } = await run([...ONE_THREAD, "--max-tokens", "3", "--temperature=0", CAPITAL.question]);
  assert.equal(stdout, "The capital of\n");
});

test("--help and --version need no model", async () => {
  const nowhere = { env: { LLAMA_WORKER_NATIVE_DIR: path.join(__dirname, "nowhere") } };
  const help = await run(["--help"], nowhere);
  assert.match(help.stdout, /^Usage: llama-worker .*--context-size.*\n$/s);
  assert.equal(help.code, 0);
  const asked = await run(["--version"], nowhere);
  assert.deepEqual([asked.stdout, asked.code], [`${version}\n`, 0]);
});

const misuse = {
  "an unknown option": [["--modle", "x"], /unknown option '--modle', see llama-worker --help/],
  "an option without its value": [["--model"], /--model.*see llama-worker --help/],
  "a value that begins with a dash": [
    ["--context-size", "-5", "x"],
    /option `--context-size` has no value; one that begins with a dash is written `--context-size=-…`, see/,
  ],
  "an option in the place of a value": [["--model", "--threads", "1"], /option `--model` has no value/],
  "an empty prompt": [[""], /the prompt is empty/],
  "a prompt of blanks": [[" ", ""], /the prompt is empty/],
  "a number in words": [["--threads", "two", "x"], /option `--threads` is `two`, expected a number/],
};
for (const [what, [args, sentence]] of Object.entries(misuse)) {
  test(`${what}: one sentence, exit code 2`, async () => {
    const { code, stdout, stderr } = await run(/** @type {string[]} */ (args));
    assert.equal(code, 2);
    assert.equal(stdout, "");
    assert.match(stderr, /^llama-worker: [^\n]+\n$/);
    assert.match(stderr, /** @type {RegExp} */ (sentence));
  });
}

const failures = {
  "a model that does not exist": [["--model", "nowhere.gguf", "x"], /nowhere\.gguf/],
  "a model that is none": [["--model", __filename, "x"], /cli\.test\.js/],
  "an option out of its range": [["--max-tokens", "1.5", "x"], /maxTokens.*1\.5/],
  "a negative size": [["--context-size=-5", "x"], /contextSize.*-5/],
};
for (const [what, [args, sentence]] of Object.entries(failures)) {
  test(`${what}: one sentence, exit code 1`, async () => {
    const { code, stdout, stderr } = await run([...ONE_THREAD, .../** @type {string[]} */ (args)]);
    assert.equal(code, 1);
    assert.equal(stdout, "");
    assert.match(stderr, /^llama-worker: [^\n]+\n$/);
    assert.match(stderr, /** @type {RegExp} */ (sentence));
  });
}

test("a missing addon is one sentence too, and a stack only on request", async () => {
  const env = { LLAMA_WORKER_NATIVE_DIR: path.join(__dirname, "nowhere") };
  const plain = await run(["x"], { env });
  assert.equal(plain.code, 1);
  assert.match(plain.stderr, /^llama-worker: the native addon [^\n]+\n$/);
  const debug = await run(["x"], { env: { ...env, LLAMA_WORKER_DEBUG: "1" } });
  assert.match(debug.stderr, /\n\s+at /);
});

test("one failure among piped lines: the others are answered, the exit code tells", async () => {
  const input = `${"hello ".repeat(400)}\n${CAPITAL.question}\n`;
  const { code, stdout, stderr } = await run([...ONE_THREAD, "--context-size", "256"], { input });
  assert.equal(stdout, `${CAPITAL.answer}\n`);
  assert.match(stderr, /^llama-worker: [^\n]*256[^\n]*\/reset starts a new conversation\n$/);
  assert.equal(code, 1);
});

const TERMINAL = path.join(__dirname, "fixtures", "terminal.js");
const PROMPT = "> ";
const [CTRL_C, CTRL_D] = ["\x03", "\x04"];
const PALE = "\x1b[2m";

/** A chat in what it takes for a terminal. */
class Terminal {
  screen = "";
  errors = "";
  #child;
  #seen = 0;

  /**
   * @param {string[]} args
   * @param {Record<string, string>} [env]
   */
  constructor(args = [], env = {}) {
    this.#child = spawn(process.execPath, [TERMINAL, ...ONE_THREAD, ...args], { env: { ...process.env, ...env } });
    this.ended = new Promise((resolve) => this.#child.once("close", (...end) => resolve(end)));
    this.#child.stdout.setEncoding("utf8").on("data", (text) => (this.screen += text));
    this.#child.stderr.setEncoding("utf8").on("data", (text) => (this.errors += text));
  }

  /** @param {string} keys */
  type(keys) {
    this.#child.stdin.write(keys);
  }

  /**
   * Waits until the screen shows it, behind what was waited for before.
   *
   * @param {string} text
   * @returns {Promise<string>} what came before it
   */
  async until(text) {
    const start = this.#seen;
    for (let place = -1; place < 0; ) {
      place = this.screen.indexOf(text, start);
      if (place >= 0) this.#seen = place + text.length;
      else await Promise.race([once(this.#child.stdout, "data"), this.#failAtEnd(text)]);
    }
    return this.screen.slice(start, this.#seen - text.length);
  }

  /** @param {string} text */
  async #failAtEnd(text) {
    const [code] = await this.ended;
    throw new Error(`the chat ended with ${code} before it showed \`${text}\`: ${this.screen}${this.errors}`);
  }

  /** @returns {Promise<string>} what is said on the stream for errors, which may come later than what follows on the screen */
  async complaint() {
    while (!this.errors.includes("\n")) await once(this.#child.stderr, "data");
    return this.errors;
  }

  end() {
    this.#child.kill("SIGKILL");
  }
}

/**
 * @param {import("node:test").TestContext} context
 * @param {string[]} [args]
 * @param {Record<string, string>} [env]
 */
async function chat(context, args, env) {
  const terminal = new Terminal(args, env);
  context.after(() => terminal.end());
  const greeting = await terminal.until(PROMPT);
  assert.match(greeting, /tiny-chat\.gguf: \/reset .* \/exit or Ctrl-D .* Ctrl-C stops an answer\n/);
  return terminal;
}

test("a chat in a terminal: answers, a new conversation, Ctrl-D and a line end", async (context) => {
  const terminal = await chat(context);
  terminal.type("My name is Ana.\r");
  await terminal.until(PROMPT);
  terminal.type("What is my name?\r");
  assert.match(await terminal.until(PROMPT), /Ana/);
  terminal.type("/reset\r");
  assert.match(await terminal.until(PROMPT), /a new conversation begins\n/);
  terminal.type("What is my name?\r");
  assert.doesNotMatch(await terminal.until(PROMPT), /Ana/);
  terminal.type(CTRL_D);
  assert.deepEqual(await terminal.ended, [0, null]);
  assert.ok(terminal.screen.endsWith("\n"));
});

test("Ctrl-C stops an answer, and leaves where none is written", async (context) => {
  const terminal = await chat(context);
  const story = await run([...ONE_THREAD, STORY]);
  const attempt = async () => {
    terminal.type("/reset\r");
    await terminal.until(PROMPT);
    terminal.type(`${STORY}\r`);
    await terminal.until("Once");
    terminal.type(CTRL_C);
    return `Once${await terminal.until(PROMPT)}`;
  };
  const told = await untilInTime(attempt, (text) => !text.includes(story.stdout.trimEnd().slice(-40)));
  assert.ok(!told.includes(story.stdout.trimEnd().slice(-40)), told);
  terminal.type(`${CAPITAL.question}\r`);
  assert.match(await terminal.until(PROMPT), /Paris/);
  terminal.type(CTRL_C);
  assert.deepEqual(await terminal.ended, [0, null]);
  assert.ok(terminal.screen.endsWith("\n"));
  assert.equal(terminal.errors, "");
});

test("an answer that fails does not end the chat, and whoever went on ends it without a failure", async (context) => {
  const terminal = await chat(context, ["--context-size", "256"]);
  terminal.type(`${"hello ".repeat(400)}\r`);
  await terminal.until(PROMPT);
  assert.match(await terminal.complaint(), /256.*\/reset starts a new conversation/);
  terminal.type(`${CAPITAL.question}\r`);
  assert.match(await terminal.until(PROMPT), /Paris/);
  terminal.type("/exit\r");
  assert.deepEqual(await terminal.ended, [0, null]);
});

test("a /reset that fails does not end the chat", async (context) => {
  const terminal = await chat(context, [], { FAILING_RESET: "1" });
  terminal.type("My name is Ana.\r");
  await terminal.until(PROMPT);
  terminal.type("/reset\r");
  assert.doesNotMatch(await terminal.until(PROMPT), /a new conversation/);
  assert.match(await terminal.complaint(), /llama-worker: [^\n]*contextSize/);
  terminal.type("What is my name?\r");
  assert.match(await terminal.until(PROMPT), /Ana/);
});

test("thoughts are pale in a terminal, and not part of what is piped on", async (context) => {
  const question = "What is 9 minus 6? Think before you answer.";
  const piped = await run([...ONE_THREAD, question]);
  assert.ok(!piped.stdout.includes(PALE) && !piped.stdout.includes("think"), piped.stdout);
  const terminal = await chat(context);
  terminal.type(`${question}\r`);
  const shown = await terminal.until(PROMPT);
  assert.ok(shown.includes(`\n${piped.stdout}`), shown);
  const [, thought] = shown.split(PALE);
  assert.match(thought, /\S/);
});

test("a reader that has seen enough is no failure", async () => {
  const child = spawn(process.execPath, [CLI, ...ONE_THREAD, "Tell me a long story."], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text) => (stderr += text));
  child.stdout.once("data", () => child.stdout.destroy());
  const [code, signal] = await new Promise((resolve) => child.once("close", (...end) => resolve(end)));
  assert.deepEqual({ code, signal, stderr }, { code: 0, signal: null, stderr: "" });
});
