/** What the application around it notices: JavaScript that is busy, one that is kept waiting, and one that wants to stop. */

"use strict";

const { mainThreadTime } = require("../machine");

const PROMPT_TOKENS = 32;
const SLICE_MS = 16;
/** Of the tokens: the peers are many times slower then, and fewer show it. */
const PEER_SHARE = 0.25;
const EMPTY_TURN = "an empty turn";
const TURNS = 200;
const TURN_MS = 7;
const CPU_ROUNDS = 10;
const IDLE_LOOP = "an idle event loop";
/** About as long as the longest phase of the others: whoever watches for longer sees longer delays. */
const IDLE_MS = 1000;
/** The addon keeps what was evaluated before an abort, so a hundred short waits lead through the whole prompt. */
const LONGEST_DELAY_MS = 400;
const PEER_DELAY_MS = 1000;

const busy = {
  name: "busy",
  models: ["135m", "tiny"],
  async run(bench, model) {
    const withoutCore = Math.max(1, bench.threads - 1);
    return [
      {
        ...(await busyEntry(bench, model, ["addon", ...bench.peers], withoutCore)),
        title: `decode while JavaScript is busy in ${SLICE_MS} ms slices, one core left to it`,
        targets: [{ text: "≥ 0.95 × its own quiet speed", atLeast: 0.95 }],
      },
      {
        ...(await busyEntry(bench, model, ["addon"], null)),
        title: `decode while JavaScript is busy in ${SLICE_MS} ms slices, default threads`,
        targets: [],
      },
    ];
  },
};

/** Busy over quiet, a moment apart. */
async function busyEntry(bench, model, kinds, threads) {
  const sides = await bench.loadedSides(kinds, model, () => ({ threads }));
  const prompt = bench.prompt(model, PROMPT_TOKENS, 5);
  const measures = {};
  for (const [kind, side] of Object.entries(sides)) {
    const count = Math.round(bench.count(model) * (kind === "addon" ? 1 : PEER_SHARE));
    measures[kind] = async () => {
      const quiet = await side.ask("generate", { prompt, count });
      const kept = await side.ask("generate", { prompt, count, busyMs: SLICE_MS });
      return kept.tokensPerSecond / quiet.tokensPerSecond;
    };
  }
  const samples = await bench.rounds(measures);
  for (const side of Object.values(sides)) await bench.close(side);
  return { unit: "× quiet", better: "more", subject: "addon", samples };
}

const abort = {
  name: "abort",
  models: ["135m", "tiny"],
  async run(bench, model) {
    const { abortPrompt, aborts, peerAborts } = bench.sizes;
    const request = { prompt: bench.prompt(model, abortPrompt, 6), seed: 0.3 };
    const options = { contextSize: abortPrompt + 512 };
    const addon = await bench.side("addon", model, options);
    const longestDelayMs = model.name === "tiny" ? 2 : LONGEST_DELAY_MS;
    const samples = {
      addon: (await addon.ask("abort", { ...request, rounds: aborts, longestDelayMs })).latencies,
    };
    await bench.close(addon);
    for (const kind of bench.peers.filter((name) => name === "node-llama-cpp" && peerAborts > 0)) {
      await bench.spared(kind, async () => {
        const side = await bench.side(kind, model, options);
        const answer = await side.ask("abort", { ...request, rounds: peerAborts, longestDelayMs: PEER_DELAY_MS });
        samples[kind] = answer.latencies;
      });
    }
    const beside = await besideStream(bench, model, request, longestDelayMs);
    return [
      {
        title: `abort during a prompt of ${abortPrompt} tokens`,
        unit: "ms",
        better: "less",
        subject: "addon",
        samples,
        targets: [{ text: "99th percentile ≤ 50 ms", percentile: 0.99, atMost: 50 }],
      },
      beside,
    ];
  },
};

/** One session's prompt is aborted, and another's stream is in the same evaluations. */
async function besideStream(bench, model, request, longestDelayMs) {
  const { abortPrompt, besideAborts } = bench.sizes;
  // Room for both, each in a sequence of its own.
  const side = await bench.side("addon", model, { contextSize: abortPrompt + 1024, sequences: 2 });
  const streamPrompt = bench.prompt(model, PROMPT_TOKENS, 11);
  const answer = await side.ask("abortBeside", { ...request, streamPrompt, rounds: besideAborts, longestDelayMs });
  await bench.close(side);
  if (answer.streamed === 0) throw new Error("nothing streamed beside the aborted prompts");
  return {
    title: `abort during a prompt of ${abortPrompt} tokens, beside another session's stream`,
    unit: "ms",
    better: "less",
    subject: "addon",
    samples: { addon: answer.latencies },
    targets: [{ text: "99th percentile ≤ 50 ms", percentile: 0.99, atMost: 50 }],
    note: `${answer.streamed} tokens came beside ${answer.latencies.length} aborts`,
  };
}

const stall = {
  name: "stall",
  models: ["135m", "tiny"],
  async run(bench, model) {
    const measures = {};
    const phases = {};
    for (const kind of ["addon", ...bench.peers]) {
      measures[kind] = async () => {
        const side = bench.spawn(kind);
        const prompt = bench.prompt(model, PROMPT_TOKENS, 7);
        const answer = await side.ask("stall", { prompt, count: bench.count(model), ...bench.settings(kind, model) });
        await bench.close(side);
        if (kind === "addon") Object.assign(phases, answer.phases);
        return answer.longestMs;
      };
    }
    measures[IDLE_LOOP] = async () => {
      const side = bench.spawn("addon");
      const longestMs = await side.ask("idleStall", { ms: IDLE_MS });
      await bench.close(side);
      return longestMs;
    };
    const samples = await bench.rounds(measures);
    const listed = Object.entries(phases).map(([phase, ms]) => `${phase} ${ms.toFixed(1)}`);
    return [
      {
        title: "longest event-loop stall, import to end",
        unit: "ms",
        better: "less",
        subject: "addon",
        samples,
        targets: [
          { text: "≤ 5 ms", atMost: 5 },
          { text: "≤ an idle event loop + 5 ms", over: [IDLE_LOOP], difference: true, atMost: 5 },
        ],
        note: `last round: ${listed.join(", ")} ms`,
      },
    ];
  },
};

const cpu = {
  name: "cpu",
  models: ["135m", "tiny"],
  async run(bench, model) {
    const entry = {
      title: "CPU of JavaScript's thread per token",
      unit: "µs",
      better: "less",
      subject: "addon",
      samples: {},
      targets: [
        { text: "≤ 10 µs", atMost: 10 },
        { text: "≤ an empty turn of the event loop + 10 µs", over: [EMPTY_TURN], difference: true, atMost: 10 },
      ],
    };
    if (mainThreadTime(process.pid) === undefined) return [{ ...entry, missing: "this system does not tell it" }];
    const sides = await bench.loadedSides(["addon", ...bench.peers], model);
    const measures = {};
    for (const [kind, side] of Object.entries(sides)) measures[kind] = () => threadTimePerToken(bench, model, side);
    measures[EMPTY_TURN] = () => threadTimePerTurn(sides.addon);
    // A turn costs now more, now less: by more than what the target allows.
    const rounds = Math.min(CPU_ROUNDS, bench.pairedRounds);
    return [{ ...entry, samples: await bench.rounds(measures, { rounds, peerRounds: bench.sizes.rounds }) }];
  },
};

/** In microseconds; the request itself is in it, spread over the tokens. */
async function threadTimePerToken(bench, model, side) {
  const request = { prompt: bench.prompt(model, PROMPT_TOKENS, 8), count: bench.count(model) * 2 };
  const before = mainThreadTime(side.pid);
  const { count } = await side.ask("generate", request);
  return (mainThreadTime(side.pid) - before) / 1000 / count;
}

/** What waking up costs by itself, about as often as tokens come. */
async function threadTimePerTurn(side) {
  const before = mainThreadTime(side.pid);
  await side.ask("turns", { count: TURNS, everyMs: TURN_MS });
  return (mainThreadTime(side.pid) - before) / 1000 / TURNS;
}

module.exports = { abort, busy, cpu, stall };
