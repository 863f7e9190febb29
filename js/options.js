/**
 * Reads options once, and checks those that never reach the addon: callbacks, signals, and the shape of the options object itself.
 *
 * Does not look at any other option: their types and ranges are checked in one place, in the addon.
 */

"use strict";

const { inspect, types } = require("node:util");
const { LlamaError } = require("./errors");

/** Enough to recognize a value by; a message is no place for a whole object. */
const MAXIMUM_LENGTH = 60;

/**
 * As the addon shows values: strings in double quotes.
 *
 * @param {unknown} value
 */
function shown(value) {
  const text =
    typeof value === "string" ? `"${value}"` : inspect(value, { depth: 0, breakLength: Number.POSITIVE_INFINITY });
  return text.length > MAXIMUM_LENGTH ? `${text.slice(0, MAXIMUM_LENGTH)}…` : text;
}

/**
 * @param {string} name
 * @param {unknown} value
 * @param {string} expected
 * @param {string} [kind] what it is
 */
function invalidOption(name, value, expected, kind = "option") {
  return new LlamaError("INVALID_OPTION", `${kind} \`${name}\` is \`${shown(value)}\`, expected ${expected}`);
}

/**
 * @param {string} method whose second argument this is
 * @param {any} options
 * @returns {Record<string, any>}
 */
function optionsObject(method, options) {
  if (options === undefined || options === null) return {};
  if (typeof options === "object" && !isContainer(options)) return options;
  throw new LlamaError("INVALID_OPTION", `the options of \`${method}\` are \`${shown(options)}\`, expected an object`);
}

/**
 * Whether what an object holds is not in its properties: read as options it would be empty.
 *
 * @param {unknown} value
 */
function isContainer(value) {
  if (Array.isArray(value) || ArrayBuffer.isView(value)) return true;
  return [types.isMap, types.isSet, types.isPromise, types.isAnyArrayBuffer].some((is) => is(value));
}

/**
 * @param {string} name
 * @param {unknown} value
 * @param {string} [kind]
 */
function checkFunction(name, value, kind) {
  if (value === undefined || value === null || typeof value === "function") return;
  throw invalidOption(name, value, "a function", kind);
}

/**
 * Looks at what a signal can do, not at its class: Electron and test environments bring AbortSignal classes of their own.
 *
 * @param {any} signal
 */
function checkSignal(signal) {
  if (signal === undefined || signal === null) return;
  const listens = typeof signal.addEventListener === "function" && typeof signal.removeEventListener === "function";
  if (typeof signal.aborted === "boolean" && listens) return;
  throw invalidOption("signal", signal, "an AbortSignal");
}

/**
 * Every option of a generation. `tsc` compares them with those that `index.d.ts` promises.
 *
 * @satisfies {Record<keyof import("../index").GenerateOptions, true>}
 */
const GENERATE_OPTIONS = {
  maxTokens: true,
  temperature: true,
  topK: true,
  topP: true,
  minP: true,
  typicalP: true,
  topNSigma: true,
  xtc: true,
  repeatPenalty: true,
  dryRepeatPenalty: true,
  mirostat: true,
  tokenBias: true,
  seed: true,
  stopSequences: true,
  customStopTriggers: true,
  trimWhitespaceSuffix: true,
  responsePrefix: true,
  ignoreEos: true,
  reasoning: true,
  budgets: true,
  chatTemplateKwargs: true,
  logprobs: true,
  grammar: true,
  jsonSchema: true,
  tools: true,
  functions: true,
  toolChoice: true,
  maxParallelFunctionCalls: true,
  maxToolRounds: true,
  contextOverflow: true,
  evaluationPriority: true,
  speculative: true,
  systemPrompt: true,
  signal: true,
  stopOnAbortSignal: true,
  onTextChunk: true,
  onToken: true,
  onReasoningChunk: true,
  onResponseChunk: true,
  onFunctionCallParamsChunk: true,
};
const GENERATE_OPTION_NAMES = Object.keys(GENERATE_OPTIONS);

/**
 * Reads the options of a generation, each one once: they may be inherited and may be getters, and a generation may look at them again much
 * later.
 *
 * @param {string} method whose second argument this is
 * @param {unknown} options
 * @returns {Record<string, any>} those that were given
 */
function generateOptions(method, options) {
  const given = optionsObject(method, options);
  /** @type {Record<string, any>} */
  const read = {};
  for (const name of GENERATE_OPTION_NAMES) {
    const value = given[name];
    if (value !== undefined && value !== null) read[name] = value;
  }
  return read;
}

/** As many as over a port. */
const DEFAULT_TOOL_ROUNDS = 10;

/** @param {unknown} rounds */
function toolRoundsOption(rounds = DEFAULT_TOOL_ROUNDS) {
  if (typeof rounds === "number" && Number.isInteger(rounds) && rounds >= 1) return rounds;
  throw invalidOption("maxToolRounds", rounds, "a whole number from 1");
}

/**
 * @param {string} name
 * @param {unknown} value
 */
function switchOption(name, value = false) {
  if (typeof value === "boolean") return value;
  throw invalidOption(name, value, "true or false");
}

/** Deeper than anything that the addon takes. */
const MAXIMUM_DEPTH = 100;

/**
 * A copy that nobody else can change. Only plain objects and arrays are copied; anything else is kept as it is, and so is what is nested too
 * deep, for the addon to refuse.
 *
 * @template T
 * @param {T} value
 * @param {number} [depth]
 * @param {Map<unknown, unknown>} [copies] of what was met before: the value may contain itself
 * @returns {T}
 */
function copied(value, depth = 0, copies = new Map()) {
  if (depth > MAXIMUM_DEPTH || !isPlain(value)) return value;
  if (copies.has(value)) return /** @type {T} */ (copies.get(value));
  /** @type {any} */
  const copy = Array.isArray(value) ? [] : {};
  copies.set(value, copy);
  for (const [key, element] of Object.entries(/** @type {object} */ (value))) {
    Object.defineProperty(copy, key, {
      value: copied(element, depth + 1, copies),
      writable: true,
      enumerable: true,
      configurable: true,
    });
  }
  return copy;
}

/** @param {unknown} value */
function isPlain(value) {
  if (typeof value !== "object" || value === null) return false;
  if (Array.isArray(value)) return true;
  const prototype = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

module.exports = {
  GENERATE_OPTIONS,
  invalidOption,
  optionsObject,
  isContainer,
  checkFunction,
  checkSignal,
  generateOptions,
  toolRoundsOption,
  switchOption,
  copied,
};
