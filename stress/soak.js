/**
 * `npm run soak`: days of use in minutes. Generations over many sessions with aborts at random moments, then models loaded and unloaded: memory, handles
 * and threads must not grow, and answers that are known must stay what they are.
 *
 *   node stress/soak.js [--count 10000] [--seed 1] [--seconds …]
 *
 * `--count` generations, and a tenth of it loads; `--seconds` for each of the two.
 */

"use strict";

const fs = require("node:fs");
const { LlamaWorker, builtInModelPath } = require("../js/index");
const { gain, memoryGrowth, memoryInUse, rowOfMemory, runSteadily } = require("./memory");
const { readOptions, row, runStress, timeLimit } = require("./options");
const { Random } = require("./random");

const SESSIONS = 8;
const QUESTIONS = [
  { question: "What is the capital of France?", answer: "The capital of France is Paris." },
  { question: "What is the capital of Japan?", answer: "The capital of Japan is Tokyo." },
];
const LONG = ["Tell me a long story.", "Count from 1 to 30.", "What can you do?"];
/** The largest share of memory by which it may grow after the first fifth. */
const MOST_GROWTH = 0.02;
/** Fewer generations are all warm-up. */
const LONG_COUNT = 2000;
/** How many samples a curve has. */
const SAMPLES = 20;

/** @typedef {{ rss: number, handles: number, threads: number }} Sample */

/** @returns {Promise<Sample>} */
async function sample() {
  return { rss: await memoryInUse(), handles: openFiles(), threads: threadCount() };
}

function openFiles() {
  return process.platform === "linux" ? fs.readdirSync("/proc/self/fd").length : 0;
}

function threadCount() {
  return process.platform === "linux" ? fs.readdirSync("/proc/self/task").length : 0;
}

/**
 * Runs `step` again and again, and samples what the process holds.
 *
 * @param {number} count
 * @param {{ seconds: number }} options
 * @param {(number: number) => Promise<void>} step
 */
async function repeated(count, { seconds }, step) {
  const limit = timeLimit({ seconds });
  /** @type {Sample[]} */
  const samples = [];
  let done = 0;
  for (; done < count && !limit.isOver(); done++) {
    await step(done);
    const isDue = (done + 1) % Math.max(1, Math.floor(count / SAMPLES)) === 0;
    if (isDue) samples.push(await sample());
  }
  if (samples.length === 0) samples.push(await sample());
  return { done, count, samples, seconds: limit.elapsed() };
}

/**
 * What grew after the warm-up.
 *
 * @param {Sample[]} samples
 */
function growth(samples) {
  const curve = (/** @type {keyof Sample} */ name) => samples.map((one) => one[name]);
  return { rss: memoryGrowth(curve("rss")), handles: gain(curve("handles")), threads: gain(curve("threads")) };
}

/**
 * @param {string} name
 * @param {Awaited<ReturnType<typeof repeated>>} run
 * @param {boolean} isLong whether memory has had time to become constant
 * @returns {string[]} what failed
 */
function report(name, { done, count, samples, seconds }, isLong) {
  const grown = growth(samples);
  row(name, `${done} of ${count} in ${seconds.toFixed(0)} s`);
  rowOfMemory(
    samples.map(({ rss }) => rss),
    grown.rss,
  );
  row("  open files", samples.map(({ handles }) => handles).join(" "));
  row("  threads", samples.map(({ threads }) => threads).join(" "));
  const failures = [];
  if (isLong && grown.rss > MOST_GROWTH) failures.push(`${name}: the memory grew by ${(grown.rss * 100).toFixed(1)} %`);
  if (grown.handles > 0) failures.push(`${name}: ${grown.handles} files more are open`);
  if (grown.threads > 0) failures.push(`${name}: ${grown.threads} threads more run`);
  if (done === 0) failures.push(`${name}: nothing was done`);
  return failures;
}

/** @param {any} session @param {Random} random */
async function knownAnswer(session, random) {
  const { question, answer } = random.of(QUESTIONS);
  await session.reset();
  const { text } = await session.generate(question);
  if (text !== answer) throw new Error(`\`${question}\` was answered by \`${text}\`, expected \`${answer}\``);
}

/** @param {any} session @param {Random} random */
async function abortedAnswer(session, random) {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), random.below(30));
  try {
    await session.generate(random.of(LONG), { maxTokens: 1 + random.below(60), temperature: 0.7, signal: stop.signal });
  } catch (error) {
    if (/** @type {any} */ (error)?.name !== "AbortError") throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** @param {{ count: number, seed: number, seconds: number }} options */
async function generations({ count, seed, seconds }) {
  const random = new Random(seed);
  const worker = new LlamaWorker();
  await worker.init({ gpu: false, numThreads: 1 });
  await worker.loadModel(builtInModelPath);
  await worker.createContext({ threads: 1, contextSize: 2048 });
  const sessions = await Promise.all(Array.from({ length: SESSIONS }, () => worker.createSession()));
  try {
    return await repeated(Math.ceil(count / SESSIONS), { seconds }, async () => {
      await Promise.all(sessions.map((session) => (random.once(4) ? knownAnswer : abortedAnswer)(session, random)));
    });
  } finally {
    await worker.cleanup();
  }
}

/** @param {{ count: number, seed: number, seconds: number }} options */
async function loads({ count, seed, seconds }) {
  const random = new Random(seed);
  const worker = new LlamaWorker();
  await worker.init({ gpu: false, numThreads: 1 });
  try {
    return await repeated(count, { seconds }, async (number) => {
      await worker.loadModel(builtInModelPath);
      await worker.createContext({ threads: 1, contextSize: 512 });
      if (number % 10 === 0)
        await knownAnswer(
          { reset: async () => {}, generate: (/** @type {any} */ question) => worker.generate(question) },
          random,
        );
      // Also a worker of its own from beginning to end, which takes a thread and gives it back.
      if (number % 10 === 5) await new LlamaWorker().cleanup();
    });
  } finally {
    await worker.cleanup();
  }
}

/** @param {import("./options").Options} options */
async function soak(options) {
  const isLong = options.count >= LONG_COUNT;
  const talked = await generations(options);
  const failures = report(`rounds of ${SESSIONS} generations`, talked, isLong);
  const loaded = await loads({ ...options, count: Math.ceil(options.count / 10) });
  return [...failures, ...report("loads", loaded, isLong)];
}

if (require.main === module) runSteadily(__filename, () => void runStress(() => soak(readOptions({ count: 10_000 }))));

module.exports = { generations, growth, loads, soak };
