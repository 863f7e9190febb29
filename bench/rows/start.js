/** How soon the first word comes: from nothing, and in a conversation under way. */

"use strict";

const { addonAnd, rawAndPeers } = require("./sides");

const PROMPT_TOKENS = 16;
const ANSWER_TOKENS = 32;
const SECOND_TURN_TOKENS = 64;

const cold = {
  name: "cold",
  models: ["135m", "tiny"],
  async run(bench, model) {
    const prompt = bench.prompt(model, PROMPT_TOKENS, 3);
    const measures = {};
    for (const kind of addonAnd("raw", bench)) measures[kind] = () => coldStart(bench, model, kind, prompt);
    return [
      {
        title: "cold start: import to first token",
        unit: "ms",
        better: "less",
        subject: "addon",
        samples: await bench.rounds(measures),
        targets: [
          { text: "≤ 0.25 × node-llama-cpp", over: ["node-llama-cpp"], atMost: 0.25 },
          { text: "≤ raw + 150 ms", over: ["raw"], difference: true, atMost: 150 },
        ],
      },
    ];
  },
};

/** The model's file is in the system's cache for all of them; the programs are new. */
async function coldStart(bench, model, kind, prompt) {
  const side = bench.spawn(kind);
  const settings = bench.settings(kind, model);
  const ms =
    kind === "raw"
      ? await rawColdStart(bench, side, model, settings, prompt)
      : (await side.ask("cold", { prompt, ...settings })).ms;
  await bench.close(side);
  return ms;
}

async function rawColdStart(bench, side, model, settings, prompt) {
  const tokens = await bench.tokens(model, prompt);
  // Both at once, so that the raw loop does not wait for us in between.
  const [, { sinceStartMs }] = await Promise.all([
    side.ask("load", settings),
    side.ask("decode", { tokens, count: 1 }),
  ]);
  return sinceStartMs;
}

const turn = {
  name: "turn",
  models: ["135m", "1.1b", "tiny"],
  async run(bench, model) {
    const sides = await bench.loadedSides(rawAndPeers(bench, model), model);
    const lengths = {};
    const measures = {};
    for (const [kind, side] of Object.entries(sides)) {
      const measure = kind === "raw" ? rawTurn : secondTurn;
      measures[kind] = (round) => measure(bench, model, side, round, lengths);
    }
    return [
      {
        title: `second turn of ${SECOND_TURN_TOKENS} words: first token`,
        unit: "ms",
        better: "less",
        subject: "addon",
        samples: await bench.rounds(measures, { rounds: bench.roundsFor(model) }),
        targets: [{ text: "≤ 1.15 × raw prefill of the new tokens", over: ["raw"], atMost: 1.15 }],
        note: `the addon evaluated ${lengths.evaluated} tokens of ${lengths.prompt}`,
      },
    ];
  },
};

async function secondTurn(bench, model, side, round, lengths) {
  const first = bench.prompt(model, bench.sizes.history, 200 + round);
  await side.ask("generate", { prompt: first, count: ANSWER_TOKENS });
  const request = { prompt: bench.prompt(model, SECOND_TURN_TOKENS, 300 + round), count: 1, continues: true };
  const { firstTokenMs, evaluatedTokens, promptTokens } = await side.ask("generate", request);
  if (side.name === "addon") Object.assign(lengths, { evaluated: evaluatedTokens, prompt: promptTokens });
  return firstTokenMs;
}

/** As many tokens behind as many others as the addon had. */
async function rawTurn(bench, model, side, round, lengths) {
  const length = lengths.prompt ?? bench.sizes.history + ANSWER_TOKENS + SECOND_TURN_TOKENS;
  const keep = length - (lengths.evaluated ?? SECOND_TURN_TOKENS);
  const tokens = await bench.tokens(model, bench.prompt(model, length, 400 + round));
  await side.ask("prompt", { tokens: tokens.slice(0, keep), keep: 0 });
  return (await side.ask("prompt", { tokens: tokens.slice(0, length), keep })).ms;
}

module.exports = { cold, turn };
