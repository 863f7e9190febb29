/**
 * The command `llama-worker`, as a shell sees it: what it prints, where, and its exit code.
 *
 * Has no terminal: colours of a chat, Ctrl-C and the prompt sign are not looked at.
 */

"use strict";

const assert = require("node:assert/strict");
const { spawn } = require("node:child_process");
const path = require("node:path");
const { version } = require("../package.json");
const { CAPITAL, runNode, test } = require("./support");

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
