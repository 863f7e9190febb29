/**
 * The one error class of the package: every failure has a stable `code`, and a stack that leads to the caller.
 *
 * Decides nothing about when a call fails and words no failure of the addon: codes and messages come from there.
 */

"use strict";

const { types } = require("node:util");

/**
 * Every code of this package. `tsc` compares them with those that `index.d.ts` promises, a test with those of the addon.
 *
 * @satisfies {Record<import("../index").ErrorCode, true>}
 */
const CODES = {
  INVALID_OPTION: true,
  INVALID_MESSAGES: true,
  NOT_INITIALIZED: true,
  MODEL_NOT_LOADED: true,
  CONTEXT_NOT_CREATED: true,
  BACKEND_UNAVAILABLE: true,
  MODEL_NOT_FOUND: true,
  MODEL_IN_ARCHIVE: true,
  MODEL_NOT_A_FILE: true,
  MODEL_UNREADABLE: true,
  MODEL_INVALID: true,
  MODEL_LOAD_FAILED: true,
  CONTEXT_CREATION_FAILED: true,
  INSUFFICIENT_MEMORY: true,
  TEMPLATE_FAILED: true,
  PROMPT_TOO_LONG: true,
  INVALID_GRAMMAR: true,
  UNSUPPORTED_SCHEMA: true,
  CONSTRAINT_FAILED: true,
  SESSION_DISPOSED: true,
  TOOL_LOOP_LIMIT: true,
  INVALID_MODEL_ID: true,
  DOWNLOAD_NOT_FOUND: true,
  DOWNLOAD_UNAUTHORIZED: true,
  DOWNLOAD_FAILED: true,
  DOWNLOAD_CORRUPT: true,
  DOWNLOAD_NO_SPACE: true,
  DOWNLOAD_WRITE_FAILED: true,
  DECODE_FAILED: true,
  ABORTED: true,
  WORKER_STOPPED: true,
  UNKNOWN_MESSAGE_TYPE: true,
  WORKER_CRASHED: true,
  NATIVE_LOAD_FAILED: true,
  INTERNAL: true,
};

/** Names of Node-API's failures. */
const NODE_API_STATUSES = new Set([
  "InvalidArg",
  "ObjectExpected",
  "StringExpected",
  "NameExpected",
  "FunctionExpected",
  "NumberExpected",
  "BooleanExpected",
  "ArrayExpected",
  "GenericFailure",
  "PendingException",
  "Cancelled",
  "EscapeCalledTwice",
  "HandleScopeMismatch",
  "CallbackScopeMismatch",
  "QueueFull",
  "Closing",
  "BigintExpected",
  "DateExpected",
  "ArrayBufferExpected",
  "DetachableArraybufferExpected",
  "WouldDeadlock",
  "NoExternalBuffersAllowed",
  "CannotRunJS",
  "Unknown",
]);

class LlamaError extends Error {
  /**
   * @param {import("../index").ErrorCode} code
   * @param {string} message
   * @param {{ cause?: unknown }} [options]
   */
  constructor(code, message, options) {
    super(message, options);
    this.code = code;
  }
}

// On the prototype, as for the errors of JavaScript: an own `name` would be printed a second time.
Object.defineProperty(LlamaError.prototype, "name", { value: "LlamaError", writable: true, configurable: true });

/**
 * Remembers where a call was made. The frames are only turned into text when a failure needs them.
 *
 * @param {Function} calledFunction the first frame is the one that called this function
 * @returns {{ stack?: string }}
 */
function callSite(calledFunction) {
  const site = {};
  Error.captureStackTrace(site, calledFunction);
  return site;
}

/**
 * @param {{ code: string, message: string, cause?: string }} event a failure that arrived long after its call had returned
 * @param {{ stack?: string }} site of that call
 */
function errorFromEvent({ code, message, cause }, site) {
  const options = cause === undefined ? undefined : { cause: causeFromText(cause) };
  return placedAt(site, new LlamaError(/** @type {import("../index").ErrorCode} */ (code), message, options));
}

/**
 * @template {Error} T
 * @param {{ stack?: string }} site where the call was made that fails
 * @param {T} error gets that call's stack
 */
function placedAt(site, error) {
  const frames = site.stack?.slice(site.stack.indexOf("\n")) ?? "";
  error.stack = `${error.name}: ${error.message}${frames}`;
  return error;
}

/** @param {string} message */
function causeFromText(message) {
  const cause = new Error(message);
  // It came from native code: frames of this file would only mislead.
  cause.stack = `${cause.name}: ${message}`;
  return cause;
}

/**
 * Runs a call into the addon; its failures come out as a `LlamaError`. What a getter in the caller's own options throws on
 * the way stays as it is.
 *
 * @template T
 * @param {() => T} call
 * @param {{ stack?: string }} [site] of the call that this one belongs to, when that was made earlier
 * @returns {T}
 */
function callNative(call, site) {
  try {
    return call();
  } catch (thrown) {
    if (!mayBeNative(thrown)) throw thrown;
    const { code, message } = /** @type {{ code?: any, message: string }} */ (thrown);
    if (Object.hasOwn(CODES, code))
      throw site ? errorFromEvent({ code, message }, site) : new LlamaError(code, message);
    if (NODE_API_STATUSES.has(code))
      throw new LlamaError("INTERNAL", `the addon failed: ${message}`, { cause: thrown });
    throw thrown;
  }
}

/**
 * The addon throws errors of no class but `Error`.
 *
 * @param {unknown} thrown
 */
function mayBeNative(thrown) {
  return types.isNativeError(thrown) && Object.getPrototypeOf(thrown) === Error.prototype;
}

module.exports = { CODES, LlamaError, callSite, errorFromEvent, placedAt, callNative };
