/** Prompt lookup: what it gains where a text repeats itself, and what it costs where it does not. */

"use strict";

const PROMPT_TOKENS = 32;
const TARGETS = {
  repeating: { text: "≥ 1.5 × without", atLeast: 1.5 },
  plain: { text: "≥ 0.98 × without", atLeast: 0.98 },
};

const lookup = {
  name: "lookup",
  models: ["repeating", "135m", "repeating-tiny"],
  async run(bench, model) {
    const isRepeating = model.name.startsWith("repeating");
    const target = isRepeating ? TARGETS.repeating : TARGETS.plain;
    const entry = {
      title: `prompt lookup on text that ${isRepeating ? "repeats itself" : "does not repeat itself"}`,
      unit: "tokens/s",
      better: "more",
      subject: "lookup",
      samples: {},
      targets: [{ ...target, over: ["without"] }],
    };
    const side = await bench.side("addon", model);
    if (!(await side.ask("knowsOption", { name: "speculative" }))) return [{ ...entry, missing: "not offered" }];
    const request = { prompt: bench.prompt(model, PROMPT_TOKENS, 10), count: bench.count(model) };
    const speed = async (options) => (await side.ask("generate", { ...request, options })).tokensPerSecond;
    const measures = { without: () => speed({}), lookup: () => speed({ speculative: "lookup" }) };
    return [{ ...entry, samples: await bench.rounds(measures) }];
  },
};

module.exports = { lookup };
