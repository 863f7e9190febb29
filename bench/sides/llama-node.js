/** The peer @fugood/llama.node: a completion over messages. `argv[2]`: the folder it is installed in. */

"use strict";

const { createRequire } = require("node:module");
const path = require("node:path");
const { performance } = require("node:perf_hooks");
const { keepBusy } = require("./application");
const { coldStart, stalls } = require("./commands");
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
  // A single token may be told by the result alone, which then does not count it either.
  const predicted = Math.max(1, result.tokens_predicted);
  if (marks.count === 0) marks.add(predicted);
  messages.push({ role: "assistant", content: result.text });
  return { ...marks.figures(predicted), evaluatedTokens: result.timings.prompt_n };
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

async function cleanup() {
  await context.release();
  context = undefined;
}

const cold = coldStart(load, generate);
const stall = stalls({ importLibrary: importPeer, load, stream: generate, cleanup });
serve({ load, generate, together, cold, stall });
