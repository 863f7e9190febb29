/** How soon the first word comes: from nothing, and in a conversation under way. */

"use strict";

const { median } = require("../statistics");
const { addonAnd, rawAndPeers } = require("./sides");

const PROMPT_TOKENS = 16;
const ANSWER_TOKENS = 32;
const SECOND_TURN_TOKENS = 64;
/** How the template ends an answer: its mark and a line's end. */
const TURN_END_TOKENS = 2;

const cold = {
  name: "cold",
  models: ["135m", "tiny"],
  async run(bench, model) {
    const prompt = bench.prompt(model, PROMPT_TOKENS, 3);
    const measures = {};
    /** @type {Record<string, number>[]} the addon's */
    const starts = [];
    for (const kind of addonAnd("raw", bench)) {
      measures[kind] = async (round) => {
        const { ms, phases } = await coldStart(bench, model, kind, prompt);
        if (kind === "addon" && round >= 0) starts.push(phases);
        return ms;
      };
    }
    const samples = await bench.rounds(measures);
    return [
      {
        title: "cold start: import to first token",
        unit: "ms",
        better: "less",
        subject: "addon",
        samples,
        targets: [
          { text: "≤ 0.25 × node-llama-cpp", over: ["node-llama-cpp"], atMost: 0.25 },
          { text: "≤ raw + 150 ms", over: ["raw"], difference: true, atMost: 150 },
        ],
        note: `the addon's ${medians(starts)} ms`,
      },
    ];
  },
};

/** The model's file is in the system's cache for all of them; the programs are new. */
async function coldStart(bench, model, kind, prompt) {
  const side = bench.spawn(kind);
  const settings = bench.settings(kind, model);
  const answer =
    kind === "raw"
      ? { ms: await rawColdStart(bench, side, model, settings, prompt) }
      : await side.ask("cold", { prompt, ...settings });
  await bench.close(side);
  return answer;
}

/** Of the figures of several rounds, by name. */
function medians(rounds) {
  const names = Object.keys(rounds[0] ?? {});
  return names.map((name) => `${name} ${median(rounds.map((round) => round[name])).toFixed(1)}`).join(", ");
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
    const measures = {};
    /** @type {{ raw?: any, addon?: any, timings: Record<string, number>[] }} */
    const told = { timings: [] };
    for (const [kind, side] of Object.entries(sides)) {
      const measure = kind === "raw" ? rawTurn : secondTurn;
      measures[kind] = (round) => measure(bench, model, side, round, told);
    }
    const samples = await bench.rounds(measures, { rounds: bench.roundsFor(model) });
    return [
      {
        title: `second turn of ${SECOND_TURN_TOKENS} words: first token`,
        unit: "ms",
        better: "less",
        subject: "addon",
        samples,
        targets: [{ text: "≤ 1.15 × raw prefill of the new tokens", over: ["raw"], atMost: 1.15 }],
        note: [
          `the addon evaluated ${told.addon.evaluated} tokens of ${told.addon.prompt}, raw ${told.raw.evaluated} of ${told.raw.prompt}`,
          `the addon's own clock: ${medians(told.timings)} ms`,
        ].join("; "),
      },
    ];
  },
};

async function secondTurn(bench, model, side, round, told) {
  const { first, second } = turnPrompts(bench, model, round);
  await side.ask("generate", { prompt: first, count: ANSWER_TOKENS });
  const request = { prompt: second, count: 1, continues: true };
  const { firstTokenMs, evaluatedTokens, promptTokens, timings } = await side.ask("generate", request);
  if (side.name === "addon") {
    told.addon = { evaluated: evaluatedTokens, prompt: promptTokens };
    if (round >= 0) told.timings.push({ prompt: timings.promptMs, "first token": timings.firstTokenMs });
  }
  return firstTokenMs;
}

function turnPrompts(bench, model, round) {
  return {
    first: bench.prompt(model, bench.sizes.history, 200 + round),
    second: bench.prompt(model, SECOND_TURN_TOKENS, 300 + round),
  };
}

/**
 * What must be evaluated, reckoned from the texts and not from what the addon did: the first prompt and all of its answer but the last token are in
 * memory; that one, the end of the turn and the second prompt are not.
 */
async function rawTurn(bench, model, side, round, told) {
  const { first, second } = turnPrompts(bench, model, round);
  const [before, after] = [await bench.tokens(model, first), await bench.tokens(model, second)];
  const answer = before.slice(-ANSWER_TOKENS);
  const held = [...before, ...answer.slice(1)];
  const whole = [...held, ...answer.slice(-1 - TURN_END_TOKENS), ...after];
  await side.ask("prompt", { tokens: held, keep: 0 });
  const { ms } = await side.ask("prompt", { tokens: whole, keep: held.length });
  told.raw = { evaluated: whole.length - held.length, prompt: whole.length };
  return ms;
}

module.exports = { cold, turn };
