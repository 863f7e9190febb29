/** Several conversations at once: what they get together, and what a long prompt of one does to the stream of another. */

"use strict";

const { median } = require("../statistics");
const { commonBeginning, sessionSeed } = require("../turns");
const { PEER_NAMES, addonAnd } = require("./sides");

const PROMPT_TOKENS = 16;
const CONTEXT_SIZE = 4096;
/** Of one evaluation, by default. */
const BATCH_TOKENS = 512;
/** The first word of two prompts may begin alike. */
const CHANCE_TOKENS = 4;
/** At most so many; that is longer than the prompt that comes in takes, also in its smallest parts. */
const STREAM_TOKENS = { tiny: 1500, others: 320 };

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
  const promptsOf = (round) =>
    Array.from({ length: width }, (_, index) => bench.prompt(model, PROMPT_TOKENS, sessionSeed(index, round)));
  const tokensOf = (round) => Promise.all(promptsOf(round).map((prompt) => bench.tokens(model, prompt)));
  const opening = commonBeginning([...(await tokensOf(-1)), ...(await tokensOf(0)), ...(await tokensOf(1))]);
  let mostCached = 0;
  const measures = {};
  for (const [kind, side] of Object.entries(sides)) {
    measures[kind] = async (round) => {
      if (kind === "raw") return (await side.ask("batch", { prompts: await tokensOf(round), count })).tokensPerSecond;
      const { tokensPerSecond, cachedTokens } = await side.ask("together", { prompts: promptsOf(round), count });
      if (kind === "addon") mostCached = Math.max(mostCached, checkedCache(cachedTokens, opening));
      return tokensPerSecond;
    };
  }
  // The addon learns in the first, uncounted turn whether its sessions come faster together or one after the other.
  const samples = await bench.rounds(measures);
  for (const side of Object.values(sides)) await bench.close(side);
  return {
    title: width === 1 ? "1 session" : `${width} sessions at once, together`,
    unit: "tokens/s",
    better: "more",
    subject: "addon",
    samples,
    targets: [{ text: "≥ 0.95 × raw batched loop", over: ["raw"], atLeast: 0.95 }],
    note: `at most ${mostCached} tokens of a prompt were in the addon's memory, the template's opening has ${opening}`,
  };
}

/** The raw loop evaluates all of its prompts; an addon that knew them would be compared with less work. */
function checkedCache(cachedTokens, opening) {
  if (cachedTokens > opening + CHANCE_TOKENS)
    throw new Error(
      `${cachedTokens} tokens of a prompt were in memory, expected the template's ${opening} and hardly more`,
    );
  return cachedTokens;
}

const gap = {
  name: "gap",
  models: ["135m", "tiny"],
  async run(bench, model) {
    const kinds = ["addon", ...bench.peers.filter((kind) => kind === PEER_NAMES[0])];
    const sides = await bench.loadedSides(kinds, model, () => ({ contextSize: CONTEXT_SIZE, sequences: 2 }));
    const measures = {};
    /** @type {Interruption[]} the addon's */
    const answers = [];
    const alone = [];
    for (const [kind, side] of Object.entries(sides)) {
      measures[kind] = async (round) => {
        const answer = await side.ask("interrupted", interruption(bench, model, round));
        if (!answer.isInside) throw new Error("the stream ended before the prompt that came in was evaluated");
        if (kind === "addon" && round >= 0) {
          answers.push(answer);
          const prompt = bench.prompt(model, bench.sizes.interruption, 800 + round);
          alone.push((await side.ask("generate", { prompt, count: 1 })).firstTokenMs);
        }
        return answer.longestGapMs;
      };
    }
    return [gapEntry(bench, await bench.rounds(measures), answers, alone)];
  },
};

/** @typedef {{ usualGapMs: number, partMs: number, parts: number, interruptionMs: number }} Interruption */

function gapEntry(bench, samples, answers, alone) {
  const of = (name) => median(answers.map((answer) => answer[name]));
  const allowed = answers.map(({ usualGapMs, partMs }) => 3 * usualGapMs + partMs);
  const figures = [
    `usual gap ${of("usualGapMs").toFixed(1)} ms`,
    `one of its ${of("parts")} own parts of the prompt ${of("partMs").toFixed(1)} ms`,
    `that prompt's first token after ${of("interruptionMs").toFixed(0)} ms, alone after ${median(alone).toFixed(0)} ms`,
  ];
  return {
    title: `longest gap in a stream while a prompt of ${bench.sizes.interruption} tokens comes in`,
    unit: "ms",
    better: "less",
    subject: "addon",
    samples: { ...samples, allowed },
    targets: [{ text: "≤ 3 × its usual gap + one part of the prompt", over: ["allowed"], atMost: 1 }],
    note: figures.join(", "),
  };
}

/** The stream goes on while the other prompt is evaluated and a little longer. */
function interruption(bench, model, round) {
  return {
    prompt: bench.prompt(model, PROMPT_TOKENS, 600),
    count: STREAM_TOKENS[model.name] ?? STREAM_TOKENS.others,
    before: 16,
    interruption: bench.prompt(model, bench.sizes.interruption, 700 + round),
    fewestParts: Math.ceil(bench.sizes.interruption / BATCH_TOKENS),
  };
}

module.exports = { gap, sessions };
