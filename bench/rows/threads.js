/** Whether the default number of threads is the right one, alone on the machine and beside another busy process. */

"use strict";

const { spawn } = require("node:child_process");
const { setTimeout: sleep } = require("node:timers/promises");

const PROMPT_TOKENS = 32;
const MODELS = ["builtin", "135m", "1.1b", "tiny"];
/** Only there is the peer compared: the smallest has no end by itself in it, and with the largest it takes minutes. */
const PEER = "node-llama-cpp";
const PEER_MODELS = ["135m", "tiny"];
/** Two threads on one core can be a hundred times slower than one: what is slow generates as many tokens as it can in so long, but never fewer. */
const LONGEST_SECONDS = 4;
const FEWEST_TOKENS = 16;
/** Of the tokens, in the turn that is not counted. */
const FIRST_SHARE = 0.25;
/** Ends with its standard input, and so with the bench. */
const BUSY_PROGRAM =
  "process.stdin.resume().on('end', () => process.exit()); " +
  "(function spin() { const pause = Date.now() + 50; while (Date.now() < pause); setImmediate(spin); })()";

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
  for (const peer of peers) measures[peer] = speedOf(bench, model, peer, null, request);
  return { samples: await bench.rounds(measures), fixed: numbers.map(nameOf) };
}

/** Loaded in the first turn, which is not counted. The addon's default finds in it what is faster; the others have nothing to find. */
function speedOf(bench, model, kind, number, request) {
  const isDefault = kind === "addon" && number === null;
  let count = isDefault ? request.count : atLeastAFew(request.count * FIRST_SHARE);
  let side;
  return async () => {
    side ??= await bench.side(kind, model, { threads: number });
    const { tokensPerSecond } = await side.ask("generate", { ...request, count });
    count = Math.min(request.count, atLeastAFew(tokensPerSecond * LONGEST_SECONDS));
    return tokensPerSecond;
  };
}

const atLeastAFew = (tokens) => Math.max(FEWEST_TOKENS, Math.round(tokens));

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
      const wasBusy = child.exitCode === null && child.signalCode === null;
      child.kill("SIGKILL");
      await ended;
      await sleep(100);
      if (!wasBusy) throw new Error("the busy process ended before the measurement did");
    },
  };
}

module.exports = { contended, threadNumbers, threads };
