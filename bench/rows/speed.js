/** How fast words come: decoding, decoding behind a long context, and the prompt itself. */

"use strict";

const { PEER_NAMES, addonAnd, rawAndPeers } = require("./sides");

const SHORT_PROMPT = 32;
/** Up to this depth an answer has its usual length. */
const FULL_DEPTH = 2048;
const FEWEST_TOKENS = 16;
/** A longer one takes ten seconds and more for one round. */
const LONG_DEPTH = 8192;
const LONG_ROUNDS = 6;

const decode = {
  name: "decode",
  models: ["135m", "1.1b", "tiny"],
  async run(bench, model) {
    const sides = await bench.loadedSides(addonAnd("raw", bench), model);
    const request = { prompt: bench.prompt(model, SHORT_PROMPT, 1), count: bench.count(model) };
    const samples = await bench.rounds(speeds(bench, model, sides, request), {
      rounds: bench.pairedRounds,
      peerRounds: bench.sizes.rounds,
    });
    return [
      {
        title: "decode",
        unit: "tokens/s",
        better: "more",
        subject: "addon",
        samples,
        targets: [
          { text: "≥ 0.97 × raw", over: ["raw"], atLeast: 0.97 },
          { text: "≥ 1.25 × the best peer", over: PEER_NAMES, atLeast: 1.25 },
        ],
      },
    ];
  },
};

const depth = {
  name: "depth",
  models: ["135m", "1.1b", "tiny"],
  async run(bench, model) {
    const entries = [];
    for (const tokens of bench.sizes.depths[model.name] ?? []) entries.push(await atDepth(bench, model, tokens));
    return entries;
  },
};

/** The first, uncounted turn evaluates the prompt; afterwards it is in memory. */
async function atDepth(bench, model, tokens) {
  const sides = await bench.loadedSides(["addon", "raw"], model, () => ({ contextSize: tokens + 512 }));
  const request = { prompt: bench.prompt(model, tokens, 2), count: countAt(tokens, bench.count(model)) };
  const rounds = tokens > LONG_DEPTH ? Math.min(LONG_ROUNDS, bench.pairedRounds) : bench.pairedRounds;
  const samples = await bench.rounds(speeds(bench, model, sides, request), { rounds });
  for (const side of Object.values(sides)) await bench.close(side);
  return {
    title: `decode with ${tokens} tokens in the context`,
    unit: "tokens/s",
    better: "more",
    subject: "addon",
    samples,
    targets: [{ text: "≥ 0.97 × raw", over: ["raw"], atLeast: 0.97 }],
  };
}

/** Fewer where each takes longer: rounds tell more than tokens. */
function countAt(depth, count) {
  return Math.max(FEWEST_TOKENS, Math.round(count * Math.min(1, FULL_DEPTH / depth)));
}

function speeds(bench, model, sides, request) {
  const measures = {};
  for (const [kind, side] of Object.entries(sides))
    measures[kind] = async () => (await bench.generate(side, model, request)).tokensPerSecond;
  return measures;
}

const prompt = {
  name: "prompt",
  models: ["135m", "1.1b", "tiny"],
  async run(bench, model) {
    const entries = [];
    const sides = await bench.loadedSides(rawAndPeers(bench, model), model);
    for (const tokens of bench.sizes.prompts) {
      const measures = promptMeasures(bench, model, sides, tokens);
      const samples = await bench.rounds(measures, { rounds: bench.roundsFor(model) });
      entries.push({
        title: `prompt of ${tokens} tokens`,
        unit: "tokens/s",
        better: "more",
        subject: "addon",
        samples,
        targets: [{ text: "≥ 0.97 × raw", over: ["raw"], atLeast: 0.97 }],
      });
    }
    return entries;
  },
};

/** Another text in every round: of one that was seen before, hardly anything would be evaluated. */
function promptMeasures(bench, model, sides, tokens) {
  const measures = {};
  for (const [kind, side] of Object.entries(sides)) {
    measures[kind] = async (round) => {
      const text = bench.prompt(model, tokens, 100 + round);
      if (kind === "raw") {
        const list = await bench.tokens(model, text);
        return (list.length * 1000) / (await side.ask("prompt", { tokens: list, keep: 0 })).ms;
      }
      const { evaluatedTokens, firstTokenMs } = await side.ask("generate", { prompt: text, count: 1 });
      return (evaluatedTokens * 1000) / firstTokenMs;
    };
  }
  return measures;
}

module.exports = { countAt, decode, depth, prompt };
