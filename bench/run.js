"use strict";
// Measures how the addon treats the application: how long it keeps the event loop from turning, and how soon an abort ends a long prompt.
// Prints figures and asserts nothing: a time that fails on a busy machine says nothing about the code.
//
//   node bench/run.js [--model path.gguf] [--rounds 50]

const { monitorEventLoopDelay, performance } = require("node:perf_hooks");
const { parseArgs } = require("node:util");
const { setTimeout: sleep } = require("node:timers/promises");
const { LlamaWorker, builtInModelPath } = require("../js/index.js");

const SENTENCE = "The quick brown fox jumps over the lazy dog. ";
const LONG_PROMPT_TOKENS = 1500;
const DEFAULT_ROUNDS = 50;

/** Runs `work` and returns the longest time, in milliseconds, in which the event loop did not turn. */
async function longestStall(work) {
  const delays = monitorEventLoopDelay({ resolution: 1 });
  // The first sample counts from `enable`; without a turn in between it would show this function's own start.
  delays.enable();
  await sleep(20);
  delays.reset();
  await work();
  await sleep(5);
  delays.disable();
  return delays.max / 1e6;
}

/** A prompt of at least `LONG_PROMPT_TOKENS`, whatever the vocabulary. */
async function longPrompt(worker) {
  const count = async (sentences) => {
    const messages = [{ role: "user", content: SENTENCE.repeat(sentences) }];
    return (await worker.generate(messages, { maxTokens: 1 })).usage.promptTokens;
  };
  const perSentence = ((await count(11)) - (await count(1))) / 10;
  return SENTENCE.repeat(Math.ceil(LONG_PROMPT_TOKENS / perSentence));
}

/** Aborts long prompts at random moments of their evaluation; returns the milliseconds from each abort to the settled promise. */
async function abortLatencies(worker, { rounds, prompt, promptMs }) {
  const latencies = [];
  for (let round = 0; round < rounds; round++) {
    const generation = worker.generate([{ role: "user", content: `${round} ${prompt}` }], { maxTokens: 1 });
    await sleep(Math.random() * promptMs * 0.9);
    const start = performance.now();
    if (!worker.abort()) continue;
    await generation;
    latencies.push(performance.now() - start);
  }
  return latencies.sort((a, b) => a - b);
}

const at = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
const row = (name, value) => console.log(`${name.padEnd(52)}${value}`);
const ms = (value) => `${value.toFixed(1)} ms`;

function parseOptions() {
  const { values } = parseArgs({ options: { model: { type: "string" }, rounds: { type: "string" } } });
  const rounds = Number(values.rounds ?? DEFAULT_ROUNDS);
  if (!Number.isInteger(rounds) || rounds < 1)
    throw new Error(`option \`--rounds\` is \`${values.rounds}\`, expected a whole number from 1`);
  return { modelPath: values.model ?? builtInModelPath, rounds };
}

async function main() {
  const { modelPath, rounds } = parseOptions();
  const worker = new LlamaWorker();

  row("longest event-loop stall: idle (the timer's own)", ms(await longestStall(() => sleep(200))));
  row("longest event-loop stall: init", ms(await longestStall(() => worker.init({ gpu: false }))));
  row("longest event-loop stall: load", ms(await longestStall(() => worker.loadModel(modelPath))));
  row("longest event-loop stall: context", ms(await longestStall(() => worker.createContext())));
  let answer;
  const generate = async () => {
    answer = await worker.generate("Tell me a long story.", { maxTokens: 400 }, () => {});
  };
  row("longest event-loop stall: generation, streaming", ms(await longestStall(generate)));
  row("decode speed", `${answer.timings.tokensPerSecond.toFixed(0)} tokens/s`);

  const prompt = await longPrompt(worker);
  await worker.createContext();
  const { usage, timings } = await worker.generate([{ role: "user", content: prompt }], { maxTokens: 1 });
  row(`prompt of ${usage.promptTokens} tokens, not aborted`, ms(timings.promptMs));
  const latencies = await abortLatencies(worker, { rounds, prompt, promptMs: timings.promptMs });
  const figures =
    latencies.length === 0
      ? "the prompt was always faster"
      : `median ${ms(at(latencies, 0.5))}, 99th percentile ${ms(at(latencies, 0.99))}, longest ${ms(latencies.at(-1))}`;
  row(`abort during that prompt, ${latencies.length} times`, figures);
  await worker.cleanup();
}

main().catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
