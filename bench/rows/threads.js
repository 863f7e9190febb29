/** Whether the default number of threads is the right one, alone on the machine and beside another busy process. */

"use strict";

const { spawn } = require("node:child_process");
const { setTimeout: sleep } = require("node:timers/promises");

const PROMPT_TOKENS = 32;
const MODELS = ["builtin", "135m", "1.1b", "tiny"];
/** Only there is the peer compared: the smallest has no end by itself in it, and with the largest it takes minutes. */
const PEER = "node-llama-cpp";
const PEER_MODELS = ["135m", "tiny"];
/** The peer's default of four threads is so slow beside a busy process that fewer tokens are enough. */
const PEER_SHARE = 0.25;
/** A busy process ends by itself should the bench die. */
const BUSY_PROGRAM =
  "const end = Date.now() + 900_000; process.stdin.resume().on('end', () => process.exit()); " +
  "(function spin() { const pause = Date.now() + 50; while (Date.now() < pause); if (Date.now() < end) setImmediate(spin); })()";

const threads = {
  name: "threads",
  models: MODELS,
  async run(bench, model) {
    const { samples, fixed } = await measure(bench, model, []);
    return [
      {
        title: "default threads, quiet machine",
        unit: "tokens/s",
        better: "more",
        subject: "default",
        samples,
        targets: [{ text: "≥ 0.95 × the best fixed number", over: fixed, atLeast: 0.95 }],
      },
    ];
  },
};

const contended = {
  name: "contended",
  models: MODELS,
  async run(bench, model) {
    const busy = startBusyProcess();
    try {
      const peers = bench.peers.includes(PEER) && PEER_MODELS.includes(model.name) ? [PEER] : [];
      const { samples, fixed } = await measure(bench, model, peers);
      const targets = [{ text: "≥ 0.9 × the best fixed number", over: fixed, atLeast: 0.9 }];
      if (PEER_MODELS.includes(model.name)) targets.push({ text: `≥ 3 × ${PEER}'s default`, over: [PEER], atLeast: 3 });
      return [
        {
          title: "default threads, beside one busy process",
          unit: "tokens/s",
          better: "more",
          subject: "default",
          samples,
          targets,
        },
      ];
    } finally {
      await busy.stop();
    }
  },
};

async function measure(bench, model, peers) {
  const request = { prompt: bench.prompt(model, PROMPT_TOKENS, 4), count: bench.count(model) };
  const numbers = threadNumbers(bench.threads);
  const measures = { default: speedOf(bench, model, "addon", null, request) };
  for (const number of numbers) measures[nameOf(number)] = speedOf(bench, model, "addon", number, request);
  const shorter = { ...request, count: Math.max(8, Math.round(request.count * PEER_SHARE)) };
  for (const peer of peers) measures[peer] = speedOf(bench, model, peer, null, shorter);
  return { samples: await bench.rounds(measures), fixed: numbers.map(nameOf) };
}

/** Loaded in the first turn, which is not counted. */
function speedOf(bench, model, kind, number, request) {
  let side;
  return async () => {
    side ??= await bench.side(kind, model, { threads: number });
    return (await side.ask("generate", request)).tokensPerSecond;
  };
}

const nameOf = (number) => (number === 1 ? "1 thread" : `${number} threads`);

/** 1, 2, 4 … and all cores. */
function threadNumbers(cores) {
  const numbers = [];
  for (let number = 1; number < cores; number *= 2) numbers.push(number);
  return [...numbers, cores];
}

function startBusyProcess() {
  const child = spawn(process.execPath, ["-e", BUSY_PROGRAM], { stdio: ["pipe", "ignore", "ignore"] });
  const ended = new Promise((resolve) => child.once("close", resolve));
  return {
    async stop() {
      child.kill("SIGKILL");
      await ended;
      await sleep(100);
    },
  };
}

module.exports = { contended, threadNumbers, threads };
