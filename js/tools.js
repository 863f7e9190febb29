/**
 * Tools with handlers: runs what the model calls and gives it the results, until it answers in words.
 *
 * Generates nothing itself and knows no addon; names and parameters of tools are checked there. What a handler throws is a result for the
 * model, never a failure of the generation.
 */

"use strict";

const { checkFunction, copied, invalidOption, isContainer } = require("./options");

/**
 * @typedef {import("../index").ToolCall} ToolCall
 * @typedef {(call: ToolCall, signal: AbortSignal) => unknown} Run
 */

/** The tools of one generation, by name; those without a handler too. */
class Toolbox {
  /** @type {Map<string, Run | undefined>} */
  #runs;

  /** @param {Map<string, Run | undefined>} runs */
  constructor(runs) {
    this.#runs = runs;
  }

  /**
   * @param {Record<string, any>} options of a generation
   * @returns {Toolbox | undefined} nothing when no tool has a handler: the calls are the caller's then
   */
  static of({ tools, functions }) {
    const runs = new Map([...toolRuns(tools), ...functionRuns(functions)]);
    return [...runs.values()].some(Boolean) ? new Toolbox(runs) : undefined;
  }

  /**
   * Whether all of these calls can be answered here. A name that no tool has can: by telling the model so.
   *
   * @param {readonly ToolCall[]} calls
   */
  answers(calls) {
    return calls.every(({ name }) => !this.#runs.has(name) || this.#runs.get(name));
  }

  /**
   * Runs the calls together. Never rejects.
   *
   * @param {readonly ToolCall[]} calls
   * @param {AbortSignal} signal
   * @returns {Promise<string[]>} what the model is told, in the order of the calls
   */
  run(calls, signal) {
    return Promise.all(calls.map((call) => this.#runOne(call, signal)));
  }

  /**
   * @param {ToolCall} call
   * @param {AbortSignal} signal
   */
  async #runOne(call, signal) {
    try {
      const run = this.#runs.get(call.name);
      if (!run) throw new Error(`there is no tool \`${call.name}\``);
      return resultText(await run(call, signal));
    } catch (thrown) {
      return `Error: ${failureText(thrown)}`;
    }
  }
}

/**
 * @param {any} tools by name, or as OpenAI lists them
 * @returns {[string, Run | undefined][]}
 */
function toolRuns(tools) {
  const named = Array.isArray(tools)
    ? Array.from(tools, (tool) => [tool?.function?.name, tool])
    : ownEntries("tools", tools);
  return named.map(([name, tool]) => {
    const handler = checkedHandler(`tools.${name}.handler`, tool?.handler);
    /** @type {Run | undefined} */
    const run =
      handler && (({ id, arguments: args }, signal) => handler.call(tool, copied(args), { toolCallId: id, signal }));
    return [name, run];
  });
}

/**
 * @param {any} functions node-llama-cpp's form
 * @returns {[string, Run | undefined][]}
 */
function functionRuns(functions) {
  return ownEntries("functions", functions).map(([name, definition]) => {
    const handler = checkedHandler(`functions.${name}.handler`, definition?.handler);
    return [name, handler && (({ arguments: params }) => handler.call(definition, copied(params)))];
  });
}

/**
 * @param {string} name
 * @param {any} value anything else than an object is refused by the addon
 * @returns {[string, any][]}
 */
function ownEntries(name, value) {
  if (isContainer(value)) throw invalidOption(name, value, "an object with a name for each");
  return typeof value === "object" && value !== null ? Object.entries(value) : [];
}

/**
 * @param {string} name
 * @param {any} handler
 * @returns {Function | undefined}
 */
function checkedHandler(name, handler) {
  checkFunction(name, handler);
  return handler ?? undefined;
}

/** @param {unknown} result */
function resultText(result) {
  return typeof result === "string" ? result : (JSON.stringify(result) ?? "null");
}

/** @param {any} thrown may be anything, also something that cannot be shown */
function failureText(thrown) {
  try {
    return String(thrown?.message ?? thrown);
  } catch {
    return "the tool failed";
  }
}

/**
 * Generates, and while the model calls tools that can be run, runs them and generates again.
 *
 * @param {object} parts
 * @param {Toolbox} parts.toolbox
 * @param {number} parts.maxRounds how often tools are run
 * @param {any} parts.input
 * @param {Record<string, any>} parts.options
 * @param {(input: any, options: Record<string, any>) => Promise<any>} parts.generate one round
 * @param {(calls: readonly ToolCall[]) => Promise<string[]>} parts.runTools
 * @returns {Promise<boolean>} true when the model has answered or calls what cannot be run here, false when it called too often
 */
async function runToolLoop({ toolbox, maxRounds, input, options, generate, runTools }) {
  let { stopReason, toolCalls } = await generate(input, options);
  for (let round = 1; stopReason === "toolCalls" && toolbox.answers(toolCalls); round += 1) {
    if (round > maxRounds) return false;
    const results = resultMessages(toolCalls, await runTools(toolCalls));
    ({ stopReason, toolCalls } = await generate(results, laterOptions(options)));
  }
  return true;
}

/**
 * @param {readonly ToolCall[]} calls
 * @param {string[]} results
 */
function resultMessages(calls, results) {
  return calls.map(({ id, name }, index) => ({ role: "tool", toolCallId: id, name, content: results[index] }));
}

/**
 * A tool that had to be called has been, else the model could never answer; and an answer begins once.
 *
 * @param {Record<string, any>} options
 */
function laterOptions({ responsePrefix, toolChoice, ...options }) {
  return toolChoice === "none" ? { ...options, toolChoice } : options;
}

module.exports = { Toolbox, runToolLoop };
