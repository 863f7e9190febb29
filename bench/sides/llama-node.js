/** The peer @fugood/llama.node: a completion over messages. `argv[2]`: the folder it is installed in. */

"use strict";

const { createRequire } = require("node:module");
const path = require("node:path");
const { performance } = require("node:perf_hooks");
const { keepBusy, longestStall } = require("./application");
const { Marks } = require("./marks");
const { serve } = require("./serve");

const requirePeer = createRequire(path.join(process.argv[2], "package.json"));
let context;
let messages = [];
let version;

const importPeer = () => requirePeer("@fugood/llama.node");

async function load({ model, contextSize, sequences = 1, threads }) {
  const { loadModel } = importPeer();
  await context?.release();
  version = requirePeer("@fugood/llama.node/package.json").version;
  const settings = { model, n_ctx: contextSize, n_parallel: sequences, n_gpu_layers: 0, use_mmap: true };
  context = await loadModel(threads ? { ...settings, n_threads: threads } : settings);
  messages = [];
  return { version, system: context.getSystemInfo?.() };
}

const options = (count) => ({ n_predict: count, temperature: 0, ignore_eos: true, jinja: true });

async function generate({ prompt, count, continues = false, busyMs = 0 }) {
  if (!continues) messages = [];
  messages.push({ role: "user", content: prompt });
  const stop = busyMs > 0 ? keepBusy(busyMs) : () => {};
  const marks = new Marks();
  const result = await context.completion({ messages, ...options(count) }, () => marks.add());
  stop();
  // Very short answers are told by the result alone.
  if (marks.count === 0) marks.add(result.tokens_predicted);
  messages.push({ role: "assistant", content: result.text });
  return { ...marks.figures(result.tokens_predicted), evaluatedTokens: result.timings.prompt_n };
}

async function together({ prompts, count }) {
  await context.parallel.enable({ n_parallel: prompts.length, n_batch: 512 });
  const start = performance.now();
  const answers = prompts.map(async (prompt) => {
    const request = { messages: [{ role: "user", content: prompt }], ...options(count) };
    const { promise } = await context.parallel.completion(request, () => {});
    return (await promise).tokens_predicted;
  });
  const tokens = (await Promise.all(answers)).reduce((sum, counted) => sum + counted, 0);
  const tokensPerSecond = (tokens * 1000) / (performance.now() - start);
  context.parallel.disable();
  return { tokensPerSecond };
}

async function cold({ prompt, ...settings }) {
  const start = performance.now();
  await load(settings);
  const loadedMs = performance.now() - start;
  await generate({ prompt, count: 1 });
  return { ms: performance.now() - start, loadedMs };
}

async function stall({ prompt, count, ...settings }) {
  const phases = {};
  phases.import = await longestStall(importPeer);
  phases.load = await longestStall(() => load(settings));
  phases.generate = await longestStall(() => generate({ prompt, count }));
  phases.cleanup = await longestStall(() => context.release());
  context = undefined;
  return { phases, longestMs: Math.max(...Object.values(phases)) };
}

serve({ load, generate, together, cold, stall });
