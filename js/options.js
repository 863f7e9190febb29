/**
 * Checks the options that never reach the addon: callbacks, signals, and the shape of the options object itself.
 *
 * Does not look at any other option: their types and ranges are checked in one place, in the addon.
 */

"use strict";

const { inspect } = require("node:util");
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
 */
function invalidOption(name, value, expected) {
  return new LlamaError("INVALID_OPTION", `option \`${name}\` is \`${shown(value)}\`, expected ${expected}`);
}

/**
 * @param {string} method whose second argument this is
 * @param {any} options
 * @returns {Record<string, any>}
 */
function optionsObject(method, options) {
  if (options === undefined || options === null) return {};
  if (typeof options === "object" && !Array.isArray(options)) return options;
  throw new LlamaError("INVALID_OPTION", `the options of \`${method}\` are \`${shown(options)}\`, expected an object`);
}

/**
 * @param {string} name
 * @param {unknown} value
 */
function checkFunction(name, value) {
  if (value === undefined || value === null || typeof value === "function") return;
  throw invalidOption(name, value, "a function");
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

module.exports = { invalidOption, optionsObject, checkFunction, checkSignal };
