/** This addon, used as an application uses it: the public package, one worker, options at their defaults unless a row fixes them. */

"use strict";

const { performance } = require("node:perf_hooks");
const { setTimeout: sleep } = require("node:timers/promises");
const path = require("node:path");
const { keepBusy } = require("./application");
const { coldStart, delay, idleStall, stalls } = require("./commands");
const { median } = require("../statistics");
const { Marks } = require("./marks");
const { serve } = require("./serve");

/** Where the package is imported from when the first request comes: a cold start counts the import. */
const PACKAGE = path.join(__dirname, "..", "..");

/** Pieces of an interrupted stream behind the interruption. */
const AFTERWARDS = 4;

/** @type {import("../../index").LlamaWorker} */
let worker;
let sessions = [];

async function load({ model, contextSize, sequences, threads }) {
  const phases = {};
  let last = performance.now();
  const done = (phase) => {
    const now = performance.now();
    phases[phase] = now - last;
    last = now;
  };
  const { LlamaWorker } = require(PACKAGE);
  done("import");
  if (worker) await worker.cleanup();
  worker = new LlamaWorker();
  sessions = [];
  const { cpuFeatures, llamaCppVersion } = await worker.init({ gpu: false });
  done("init");
  await worker.loadModel(model);
  done("model");
  const context = await worker.createContext({ contextSize, sequences, threads });
  done("context");
  return {
    phases,
    cpuFeatures,
    llamaCppVersion,
    version: require(`${PACKAGE}/package.json`).version,
    threads: context.threads,
  };
}

/** Greedy, and without an early end; `options` of a row come last. */
function generationOptions(count, marks, options) {
  return { maxTokens: count, ignoreEos: true, onToken: (tokens) => marks.add(tokens.length), ...options };
}

/** `continues`: the prompt is the next turn; else a conversation of its own, of which only the same beginning is in memory. */
async function generate({ prompt, count, continues = false, busyMs = 0, options = {} }) {
  const stop = busyMs > 0 ? keepBusy(busyMs) : () => {};
  const marks = new Marks();
  const input = continues ? prompt : [{ role: "user", content: prompt }];
  const { usage, timings } = await worker.generate(input, generationOptions(count, marks, options));
  stop();
  return {
    ...marks.figures(),
    promptTokens: usage.promptTokens,
    evaluatedTokens: usage.promptTokens - usage.cachedTokens,
    timings,
  };
}

/** A session for each prompt, all at once. */
async function together({ prompts, count }) {
  while (sessions.length < prompts.length) sessions.push(await worker.createSession());
  await Promise.all(sessions.map((session) => session.reset()));
  const start = performance.now();
  const marks = prompts.map(() => new Marks());
  const answers = prompts.map((prompt, index) =>
    sessions[index].generate(prompt, generationOptions(count, marks[index], {})),
  );
  const results = await Promise.all(answers);
  const took = performance.now() - start;
  const tokens = marks.reduce((sum, { count: counted }) => sum + counted, 0);
  const cachedTokens = Math.max(...results.map(({ usage }) => usage.cachedTokens));
  return { tokensPerSecond: (tokens * 1000) / took, cachedTokens };
}

/** A stream, and after `before` of its tokens another session's long prompt. */
async function interrupted({ prompt, count, before, interruption, fewestParts }) {
  const [streaming, other] = await Promise.all([worker.createSession(), worker.createSession()]);
  const marks = new Marks();
  let interrupting;
  const end = new AbortController();
  let [from, to] = [Number.NaN, Number.NaN];
  let afterwards = 0;
  const onFirst = () => {
    to = performance.now();
  };
  const onToken = (tokens) => {
    marks.add(tokens.length);
    // What comes later tells nothing.
    if (to > 0 && ++afterwards > AFTERWARDS) end.abort();
    if (interrupting || marks.count < before) return;
    from = performance.now();
    interrupting = other.generate(interruption, { maxTokens: 1, ignoreEos: true, onToken: onFirst });
  };
  const stream = streaming.generate(prompt, { maxTokens: count, ignoreEos: true, onToken, signal: end.signal });
  await stream.catch(unlessAborted(end.signal));
  await interrupting;
  await Promise.all([streaming.dispose(), other.dispose()]);
  const gaps = marks.gapsBetween(from, to);
  const own = marks.gapsBetween(0, from);
  // A part of more than a batch is none: it would excuse any gap.
  const parts = Math.max(gaps.length, fewestParts);
  return {
    ...marks.figures(),
    usualGapMs: median(own),
    isInside: to <= marks.last && gaps.length > 0,
    interruptionMs: to - from,
    parts: gaps.length,
    // The mean: of pieces that arrive merged, because JavaScript was late, most have no gap at all.
    partMs: (to - from) / parts,
  };
}

/** As `abort`, of one session beside another that streams all the while: only the one is aborted. */
async function abortBeside({ prompt, rounds, longestDelayMs, seed, streamPrompt }) {
  const [streaming, other] = await Promise.all([worker.createSession(), worker.createSession()]);
  const latencies = [];
  const end = new AbortController();
  let streamed = 0;
  const onToken = (tokens) => {
    streamed += tokens.length;
  };
  const isOver = () => end.signal.aborted;
  const stream = (async () => {
    while (!isOver()) {
      await streaming.reset();
      await streaming.generate(streamPrompt, { maxTokens: 256, ignoreEos: true, onToken, signal: end.signal });
    }
  })().catch(unlessAborted(end.signal));
  for (let round = 0, text = 0; latencies.length < rounds; round++) {
    const controller = new AbortController();
    const generation = other.generate(`${text} ${prompt}`, { maxTokens: 1, signal: controller.signal });
    const wasAborted = generation.then(() => false, unlessAborted(controller.signal));
    await sleep(delay(round, seed, longestDelayMs));
    const start = performance.now();
    controller.abort();
    if (await wasAborted) latencies.push(performance.now() - start);
    // The prompt was done already: on to one that is not in memory.
    else {
      text++;
      await other.reset();
    }
  }
  end.abort();
  await stream;
  await Promise.all([streaming.dispose(), other.dispose()]);
  return { latencies, streamed };
}

/** What rejects with the reason of an aborted signal was aborted; anything else is a failure. */
function unlessAborted(signal) {
  return (error) => {
    if (error === signal.reason) return true;
    throw error;
  };
}

/** Aborts a prompt again and again, each time further inside: what was evaluated stays in memory. Returns milliseconds to the settled promise. */
async function abort({ prompt, rounds, longestDelayMs, seed }) {
  const latencies = [];
  for (let round = 0, text = 0; latencies.length < rounds; round++) {
    const generation = worker.generate([{ role: "user", content: `${text} ${prompt}` }], { maxTokens: 1 });
    await sleep(delay(round, seed, longestDelayMs));
    const start = performance.now();
    // The prompt was done already: on to one that is not in memory.
    if (!worker.abort()) text++;
    const { stopReason } = await generation;
    if (stopReason === "abort") latencies.push(performance.now() - start);
    else text++;
  }
  return { latencies };
}

/** A stream of text, as an application shows it. */
async function stream({ prompt, count }) {
  await worker.generate(prompt, { maxTokens: count, ignoreEos: true }, () => {});
}

async function cleanup() {
  await worker.cleanup();
  worker = undefined;
}

async function tokens({ prompt }) {
  return (await worker.applyChatTemplate([{ role: "user", content: prompt }])).tokens;
}

/** Whether `generate` knows an option: unknown ones are ignored, known ones refuse what they do not mean. */
async function knowsOption({ name }) {
  try {
    await worker.generate("", { maxTokens: 1, [name]: "no such value" });
    return false;
  } catch (error) {
    if (error.code === "INVALID_OPTION") return true;
    throw error;
  }
}

/** Turns of the event loop in which nothing happens. */
async function turns({ count, everyMs }) {
  for (let turn = 0; turn < count; turn++) await sleep(everyMs);
}

const cold = coldStart(load, generate);
const stall = stalls({ importLibrary: () => require(PACKAGE), load, stream, cleanup });
serve({
  load,
  generate,
  together,
  interrupted,
  abort,
  abortBeside,
  cold,
  stall,
  idleStall,
  tokens,
  turns,
  knowsOption,
});
