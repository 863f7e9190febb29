/**
 * `npm run soak`: days of use in minutes. Generations over many sessions with aborts at random moments, then models loaded and unloaded: memory, handles
 * and threads must not grow, and answers that are known must stay what they are.
 *
 *   node stress/soak.js [--count 10000] [--seed 1] [--seconds …]
 *
 * `--count` generations, and a tenth of it loads; `--seconds` for each of the two. A long run that `--seconds` cut short fails, and so does one without aborts.
 * Which generations are aborted, and when, and what they would have said is chosen by the seed.
 */

"use strict";

const fs = require("node:fs");
const { LlamaWorker, builtInModelPath } = require("../js/index");
const { gain, memoryGrowth, memoryInUse, rowOfMemory, runSteadily } = require("./memory");
const { cutShort, readOptions, row, runStress, timeLimit } = require("./options");
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
/** The smallest share of the generations to be aborted that really was; the others had said everything by then. */
const LEAST_ABORTED = 0.1;
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
  if (isLong) failures.push(...cutShort({ done, count }, 0).map((failure) => `${name}: ${failure}`));
  return failures;
}

/**
 * Whether aborts struck what they were meant for.
 *
 * @param {{ tried: number, aborted: number }} aborts
 * @returns {string[]} what failed
 */
function missedAborts({ tried, aborted }) {
  const isEnough = aborted > 0 && aborted >= LEAST_ABORTED * tried;
  return isEnough ? [] : [`only ${aborted} of ${tried} generations were aborted before their end`];
}

/** @param {any} session @param {Random} random */
async function knownAnswer(session, random) {
  const { question, answer } = random.of(QUESTIONS);
  await session.reset();
  const { text } = await session.generate(question);
  if (text !== answer) throw new Error(`\`${question}\` was answered by \`${text}\`, expected \`${answer}\``);
}

/**
 * @param {any} session
 * @param {Random} random
 * @returns {Promise<boolean>} whether the abort came before the end of the answer
 */
async function abortedAnswer(session, random) {
  const stop = new AbortController();
  const question = random.of(LONG);
  const options = { maxTokens: 20 + random.below(60), temperature: 0.7, seed: random.below(2 ** 31) };
  const timer = setTimeout(() => stop.abort(), random.below(30));
  try {
    await session.generate(question, { ...options, signal: stop.signal });
    return false;
  } catch (error) {
    if (/** @type {any} */ (error)?.name !== "AbortError") throw error;
    return true;
  } finally {
    clearTimeout(timer);
  }
}

/** @param {{ count: number, seed: number, seconds: number }} options */
async function generations({ count, seed, seconds }) {
  const worker = new LlamaWorker();
  await worker.init({ gpu: false, numThreads: 1 });
  await worker.loadModel(builtInModelPath);
  await worker.createContext({ threads: 1, contextSize: 2048 });
  const made = await Promise.all(Array.from({ length: SESSIONS }, () => worker.createSession()));
  // Each has numbers of its own, which do not hang on which of them is faster.
  const sessions = made.map((session, index) => ({ session, random: new Random(seed, index) }));
  const aborts = { tried: 0, aborted: 0 };
  const step = async (/** @type {any} */ session, /** @type {Random} */ random) => {
    if (random.once(4)) return knownAnswer(session, random);
    aborts.tried += 1;
    if (await abortedAnswer(session, random)) aborts.aborted += 1;
  };
  try {
    const run = await repeated(Math.ceil(count / SESSIONS), { seconds }, async () => {
      await Promise.all(sessions.map(({ session, random }) => step(session, random)));
    });
    return { ...run, aborts };
  } finally {
    await worker.cleanup();
  }
}

/**
 * Workers from their beginning to their end, each with a thread of its own. Every other one loads the model again in place of the first.
 *
 * @param {{ count: number, seed: number, seconds: number }} options
 */
function loads({ count, seed, seconds }) {
  const random = new Random(seed);
  return repeated(count, { seconds }, async (number) => {
    const worker = new LlamaWorker();
    try {
      await worker.init({ gpu: false, numThreads: 1 });
      for (let times = 1 + (number % 2); times > 0; times--) {
        await worker.loadModel(builtInModelPath);
        await worker.createContext({ threads: 1, contextSize: 512 });
      }
      if (number % 10 === 0) await knownAnswer(worker.session, random);
    } finally {
      await worker.cleanup();
    }
  });
}

/** @param {import("./options").Options} options */
async function soak(options) {
  const isLong = options.count >= LONG_COUNT;
  const talked = await generations(options);
  const failures = report(`rounds of ${SESSIONS} generations (seed ${options.seed})`, talked, isLong);
  row("  aborted before their end", `${talked.aborts.aborted} of ${talked.aborts.tried}`);
  const loaded = await loads({ ...options, count: Math.ceil(options.count / 10) });
  return [...failures, ...missedAborts(talked.aborts), ...report("loads", loaded, isLong)];
}

if (require.main === module) runSteadily(__filename, () => void runStress(() => soak(readOptions({ count: 10_000 }))));

module.exports = { generations, growth, loads, missedAborts, soak };
