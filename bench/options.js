/** What can be said on the command line, and how large the measurements are then. */

"use strict";

const { parseArgs } = require("node:util");

/**
 * How much is measured. `share`: of the tokens that a model generates in one measurement. `pairs`: the most rounds of rows that have many short ones.
 * `besideAborts`: aborts beside a stream.
 *
 * @typedef {{ rounds: number, pairs: number, share: number, models: string[], depths: Record<string, number[]>, prompts: number[], widths: number[],
 *   history: number, interruption: number, abortPrompt: number, aborts: number, besideAborts: number, peerAborts: number, settleMs: number }} Sizes
 */

/** @type {Record<string, Sizes>} */
const PROFILES = {
  full: {
    rounds: 5,
    pairs: 20,
    share: 1,
    models: ["builtin", "135m", "1.1b", "repeating"],
    depths: { "135m": [512, 4096, 16384], "1.1b": [512, 4096] },
    prompts: [512, 1500],
    widths: [1, 2, 4, 8],
    history: 512,
    interruption: 1500,
    abortPrompt: 9000,
    aborts: 100,
    besideAborts: 50,
    peerAborts: 2,
    settleMs: 200,
  },
  quick: {
    rounds: 3,
    pairs: 8,
    share: 0.5,
    models: ["builtin", "135m", "repeating"],
    depths: { "135m": [512, 4096] },
    prompts: [512, 1500],
    widths: [1, 4],
    history: 512,
    interruption: 1500,
    abortPrompt: 9000,
    aborts: 30,
    besideAborts: 20,
    peerAborts: 0,
    settleMs: 100,
  },
  /** Whether everything runs, not how fast. */
  smoke: {
    rounds: 2,
    pairs: 3,
    share: 1,
    models: ["tiny", "repeating-tiny"],
    depths: { tiny: [64] },
    prompts: [64],
    widths: [1, 2],
    history: 64,
    interruption: 600,
    abortPrompt: 2000,
    aborts: 3,
    besideAborts: 2,
    peerAborts: 1,
    settleMs: 0,
  },
};

const USAGE = `npm run bench -- [options]

  --quick              less of everything, results are only printed
  --rows decode,cold   only these rows
  --models 135m        only these models
  --rounds 5           measurements of each side; ten times as many, at most 20, where they are short and a few per cent decide
  --no-peers           without the other packages
  --developer-build    what \`npm run build\` makes, for every processor with AVX2, instead of the package as it is published
  --fresh              also measures what is measured already
  --smoke              the smallest sizes, to see that everything runs
  --results FOLDER     where RESULTS.md and results.svg go
`;

function parseOptions(args) {
  const { values } = parseArgs({
    args,
    options: {
      quick: { type: "boolean" },
      smoke: { type: "boolean" },
      rows: { type: "string" },
      models: { type: "string" },
      rounds: { type: "string" },
      "no-peers": { type: "boolean" },
      "developer-build": { type: "boolean" },
      fresh: { type: "boolean" },
      results: { type: "string" },
      help: { type: "boolean" },
    },
  });
  const profile = values.smoke ? "smoke" : values.quick ? "quick" : "full";
  const sizes = { ...PROFILES[profile] };
  if (values.rounds !== undefined) sizes.rounds = wholeNumber("--rounds", values.rounds);
  if (values.models !== undefined) sizes.models = chosen("--models", values.models, sizes.models);
  return {
    profile,
    sizes,
    rows: values.rows,
    withPeers: !values["no-peers"],
    isDeveloperBuild: Boolean(values["developer-build"]),
    isFresh: Boolean(values.fresh),
    results: values.results,
    help: Boolean(values.help),
  };
}

/** The names in a list with commas, which must all be among `known`. */
function chosen(option, list, known) {
  const names = list.split(",").map((name) => name.trim());
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined)
    throw new Error(`option \`${option}\` names \`${unknown}\`, expected some of ${known.join(", ")}`);
  return names;
}

function wholeNumber(option, text) {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1)
    throw new Error(`option \`${option}\` is \`${text}\`, expected a whole number from 1`);
  return number;
}

module.exports = { PROFILES, USAGE, chosen, parseOptions };
