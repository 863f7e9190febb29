/**
 * What the tests share: a worker that is ready, child processes that must end by themselves, and a few questions to which the
 * built-in model always gives the same answer.
 *
 * Asserts nothing about the package itself.
 */

"use strict";

const { spawn } = require("node:child_process");
const path = require("node:path");
const nodeTest = require("node:test");
const { LlamaWorker, builtInModelPath } = require("../js/index");

/** Far above what any test takes: it ends what hangs and measures nothing. */
const HANG_MS = 60_000;

const CAPITAL = { question: "What is the capital of France?", answer: "The capital of France is Paris." };

/** The longest answer the model can be talked into, about 200 tokens. */
const STORY = "Tell me a long story.";

/**
 * @param {string} name
 * @param {(context: import("node:test").TestContext) => unknown} body
 */
function test(name, body) {
  return nodeTest.test(name, { timeout: HANG_MS }, async (context) => void (await body(context)));
}

/**
 * One thread: on a small shared machine the model is many times slower with more.
 *
 * @param {import("node:test").TestContext} context cleans up when its test has ended
 */
async function loadedWorker(context) {
  const worker = new LlamaWorker();
  context.after(() => worker.cleanup());
  await worker.init({ gpu: false, numThreads: 1 });
  await worker.loadModel(builtInModelPath);
  return worker;
}

/** @param {import("node:test").TestContext} context */
async function readyWorker(context) {
  const worker = await loadedWorker(context);
  await worker.createContext({ threads: 1 });
  return worker;
}

/**
 * Shows that nothing that happened before broke the worker.
 *
 * @param {LlamaWorker} worker
 * @returns {Promise<boolean>}
 */
async function stillAnswers(worker) {
  await worker.createContext({ threads: 1 });
  const { text } = await worker.generate(CAPITAL.question);
  return text === CAPITAL.answer;
}

/**
 * Ends a generation while it writes. The model is fast and its answers end: when it was faster, the next try is another one.
 *
 * @template T
 * @param {() => Promise<T>} attempt
 * @param {(outcome: T) => boolean} wasInTime
 */
async function untilInTime(attempt, wasInTime) {
  for (let tries = 1; ; tries += 1) {
    const outcome = await attempt();
    if (wasInTime(outcome) || tries === 10) return outcome;
  }
}

/**
 * Runs a script of `fixtures/` and waits for its end.
 *
 * @param {string} name
 * @param {{ nodeOptions?: string[], env?: Record<string, string> }} [options]
 */
function runFixture(name, { nodeOptions = [], env = {} } = {}) {
  return runNode([...nodeOptions, path.join(__dirname, "fixtures", name)], { env });
}

/**
 * @param {string[]} args
 * @param {{ env?: Record<string, string>, input?: string }} [options]
 * @returns {Promise<{ code: number | null, signal: string | null, stdout: string, stderr: string }>} `signal` tells a crash
 *   or, as `SIGKILL`, that it did not end by itself
 */
function runNode(args, { env = {}, input = "" } = {}) {
  const child = spawn(process.execPath, args, {
    env: { ...process.env, ...env },
    timeout: HANG_MS,
    killSignal: "SIGKILL",
  });
  const output = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (text) => (output.stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text) => (output.stderr += text));
  child.stdin.end(input);
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => resolve({ code, signal, ...output }));
  });
}

module.exports = {
  CAPITAL,
  HANG_MS,
  STORY,
  loadedWorker,
  readyWorker,
  runFixture,
  runNode,
  stillAnswers,
  test,
  untilInTime,
};
