/** Several conversations at once: what they get together, and what a long prompt of one does to the stream of another. */

"use strict";

const { median } = require("../statistics");
const { PEER_NAMES, addonAnd } = require("./sides");

const PROMPT_TOKENS = 16;
const CONTEXT_SIZE = 4096;

const sessions = {
  name: "sessions",
  models: ["135m", "tiny"],
  async run(bench, model) {
    const entries = [];
    for (const width of bench.sizes.widths) entries.push(await atWidth(bench, model, width));
    return entries;
  },
};

async function atWidth(bench, model, width) {
  const sides = await bench.loadedSides(addonAnd("raw", bench), model, (kind) => ({
    contextSize: CONTEXT_SIZE,
    // The addon stays at one setting for all widths, as an application would; the others get exactly what the width needs.
    sequences: kind === "addon" ? Math.max(...bench.sizes.widths) : width,
  }));
  const count = Math.max(8, Math.round(bench.count(model) / 2));
  const measures = {};
  for (const [kind, side] of Object.entries(sides)) {
    measures[kind] = async (round) => {
      const texts = promptsOfRound(bench, model, width, round);
      if (kind !== "raw") return (await side.ask("together", { prompts: texts, count })).tokensPerSecond;
      const prompts = await Promise.all(texts.map((text) => bench.tokens(model, text)));
      return (await side.ask("batch", { prompts, count })).tokensPerSecond;
    };
  }
  const samples = await bench.rounds(measures);
  for (const side of Object.values(sides)) await bench.close(side);
  return {
    title: width === 1 ? "1 session" : `${width} sessions at once, together`,
    unit: "tokens/s",
    better: "more",
    subject: "addon",
    samples,
    targets: [{ text: "≥ 0.95 × raw batched loop", over: ["raw"], atLeast: 0.95 }],
  };
}

/** Others in every round: the raw loop evaluates its prompts each time, the addon would find those of the round before in memory. */
function promptsOfRound(bench, model, width, round) {
  return Array.from({ length: width }, (_, index) => bench.prompt(model, PROMPT_TOKENS, 2000 + 100 * round + index));
}

const gap = {
  name: "gap",
  models: ["135m", "tiny"],
  async run(bench, model) {
    const kinds = ["addon", "raw", ...bench.peers.filter((kind) => kind === PEER_NAMES[0])];
    const sides = await bench.loadedSides(kinds, model, () => ({ contextSize: CONTEXT_SIZE, sequences: 2 }));
    const measures = {};
    const usual = [];
    const { raw: loop, ...streaming } = sides;
    for (const [kind, side] of Object.entries(streaming)) {
      measures[kind] = async (round) => {
        const { longestGapMs, usualGapMs } = await side.ask("interrupted", interruption(bench, model, round));
        if (kind === "addon" && round >= 0) usual.push(usualGapMs);
        return longestGapMs;
      };
    }
    measures.raw = async (round) => longestChunk(bench, model, loop, round);
    const { raw, ...samples } = await bench.rounds(measures);
    return [gapEntry(bench, samples, usual, raw)];
  },
};

function gapEntry(bench, samples, usual, chunks) {
  const allowed = usual.map((gapMs, round) => 3 * gapMs + chunks[round]);
  const figures = `usual gap ${median(usual).toFixed(1)} ms, one prompt chunk ${median(chunks).toFixed(1)} ms`;
  return {
    title: `longest gap in a stream while a prompt of ${bench.sizes.interruption} tokens comes in`,
    unit: "ms",
    better: "less",
    subject: "addon",
    samples: { ...samples, allowed },
    targets: [{ text: "≤ 3 × its usual gap + one prompt chunk", over: ["allowed"], atMost: 1 }],
    note: figures,
  };
}

/** The stream goes on while the other prompt is evaluated and a little longer. */
function interruption(bench, model, round) {
  return {
    prompt: bench.prompt(model, PROMPT_TOKENS, 600),
    count: bench.count(model),
    before: 16,
    interruption: bench.prompt(model, bench.sizes.interruption, 700 + round),
  };
}

async function longestChunk(bench, model, side, round) {
  const tokens = await bench.tokens(model, bench.prompt(model, bench.sizes.interruption, 700 + round));
  return Math.max(...(await side.ask("prompt", { tokens, keep: 0 })).chunksMs);
}

module.exports = { gap, sessions };
