/** The peer node-llama-cpp, used as its documentation shows: a chat session over a sequence. `argv[2]`: the folder it is installed in. */

import { createRequire } from "node:module";
import path from "node:path";
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";

const require = createRequire(import.meta.url);
const { keepBusy } = require("./application.js");
const { coldStart, delay, stalls } = require("./commands.js");
const { Marks } = require("./marks.js");
const { serve } = require("./serve.js");

const FOLDER = process.argv[2];
let peer;
let llama;
let model;
let context;
let sessions = [];

async function importPeer() {
  peer ??= await import(pathToFileURL(path.join(FOLDER, "node_modules", "node-llama-cpp", "dist", "index.js")).href);
}

async function load({ model: modelPath, contextSize, sequences = 1, threads }) {
  await importPeer();
  await dispose();
  llama = await peer.getLlama({ gpu: false, build: "never", logLevel: "error", progressLogs: false });
  model = await llama.loadModel({ modelPath });
  context = await model.createContext({ contextSize, sequences, threads });
  sessions = [];
  for (let index = 0; index < sequences; index++) sessions.push(newSession());
  return { version: await peer.getModuleVersion(), system: llama.systemInfo, threads: context.currentThreads };
}

/** Without its own long system prompt, so that it evaluates the same tokens as the others. */
function newSession() {
  return new peer.LlamaChatSession({ contextSequence: context.getSequence(), systemPrompt: "" });
}

async function dispose() {
  await context?.dispose();
  await model?.dispose();
  await llama?.dispose();
}

async function generate({ prompt, count, continues = false, busyMs = 0 }) {
  const [session] = sessions;
  if (!continues) session.setChatHistory([]);
  const before = session.sequence.tokenMeter.getState();
  const stop = busyMs > 0 ? keepBusy(busyMs) : () => {};
  const marks = new Marks();
  await session.prompt(prompt, { maxTokens: count, temperature: 0, onToken: (tokens) => marks.add(tokens.length) });
  stop();
  const { usedInputTokens } = session.sequence.tokenMeter.diff(before);
  return { ...marks.figures(), evaluatedTokens: usedInputTokens };
}

async function together({ prompts, count }) {
  for (const session of sessions) session.setChatHistory([]);
  const start = performance.now();
  const marks = prompts.map(() => new Marks());
  const answers = prompts.map((prompt, index) =>
    sessions[index].prompt(prompt, {
      maxTokens: count,
      temperature: 0,
      onToken: (tokens) => marks[index].add(tokens.length),
    }),
  );
  await Promise.all(answers);
  const tokens = marks.reduce((sum, { count: counted }) => sum + counted, 0);
  return { tokensPerSecond: (tokens * 1000) / (performance.now() - start) };
}

async function interrupted({ prompt, count, before, interruption }) {
  const [streaming, other] = sessions;
  const marks = new Marks();
  let interrupting;
  let first = Number.NaN;
  const onFirst = () => {
    first = performance.now();
  };
  const onToken = (tokens) => {
    marks.add(tokens.length);
    if (!interrupting && marks.count >= before)
      interrupting = other.prompt(interruption, { maxTokens: 1, onToken: onFirst });
  };
  await streaming.prompt(prompt, { maxTokens: count, temperature: 0, onToken });
  await interrupting;
  return { ...marks.figures(), isInside: first <= marks.last };
}

async function abort({ prompt, rounds, longestDelayMs, seed }) {
  const latencies = [];
  const [session] = sessions;
  for (let round = 0; round < rounds; round++) {
    session.setChatHistory([]);
    const controller = new AbortController();
    const answer = session.prompt(`${round} ${prompt}`, { maxTokens: 1, signal: controller.signal });
    const settled = answer.then(
      () => {},
      () => {},
    );
    await sleep(delay(round, seed, longestDelayMs));
    const start = performance.now();
    controller.abort();
    await settled;
    latencies.push(performance.now() - start);
  }
  return { latencies };
}

async function stream({ prompt, count }) {
  await sessions[0].prompt(prompt, { maxTokens: count, temperature: 0, onTextChunk: () => {} });
}

const cold = coldStart(load, generate);
const stall = stalls({ importLibrary: importPeer, load, stream, cleanup: dispose });
serve({ load, generate, together, interrupted, abort, cold, stall });
