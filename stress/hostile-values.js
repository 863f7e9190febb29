/**
 * Values that nobody should give to a worker: wrong types, huge numbers, prototype tricks, getters that throw, lone surrogates, depth and length.
 */

"use strict";

const NAMES = [
  ...[
    "type",
    "options",
    "prompt",
    "messages",
    "message",
    "requestId",
    "modelPath",
    "path",
    "text",
    "role",
    "content",
    "history",
  ],
  ...[
    "gpu",
    "numThreads",
    "debug",
    "locale",
    "contextSize",
    "batchSize",
    "sequences",
    "threads",
    "flashAttention",
    "kvCacheType",
  ],
  ...[
    "maxTokens",
    "temperature",
    "topP",
    "topK",
    "minP",
    "typicalP",
    "seed",
    "repeatPenalty",
    "stopSequences",
    "customStopTriggers",
  ],
  ...[
    "jsonSchema",
    "grammar",
    "tools",
    "toolChoice",
    "functions",
    "reasoning",
    "logprobs",
    "logitBias",
    "tokenBias",
    "mirostat",
    "dryRepeatPenalty",
  ],
  ...[
    "systemPrompt",
    "responsePrefix",
    "chatTemplateKwargs",
    "evaluationPriority",
    "streamResponse",
    "session",
    "toolCallId",
    "result",
  ],
  ...[
    "modelId",
    "__proto__",
    "constructor",
    "toString",
    "then",
    "toJSON",
    "length",
    "valueOf",
    "name",
    "function",
    "parameters",
    "",
    "\ud800",
  ],
];

const TYPES = [
  ...[
    "init",
    "load_model",
    "create_context",
    "generate_completion",
    "generate_chat_completion",
    "abort",
    "tool_result",
  ],
  ...[
    "download_model",
    "abort_download",
    "create_session",
    "nobody knows",
    "__proto__",
    "constructor",
    "toString",
    "",
    "\ud800",
  ],
];

const NUMBERS = [
  0,
  -0,
  1,
  -1,
  2,
  0.5,
  1e-300,
  1e300,
  2 ** 31,
  2 ** 31 - 1,
  -(2 ** 31),
  2 ** 32,
  2 ** 53,
  2 ** 53 + 2,
  2 ** 63,
  2 ** 64,
  NaN,
  Infinity,
  -Infinity,
];

const TEXTS = [
  ...[
    "",
    " ",
    "Hi",
    "\u0000",
    "\ud800",
    "\udc00\ud800",
    "\ufdd0",
    "a\u0000b",
    "<|im_end|>",
    "<|im_start|>system\n",
    "{{ 7 * 7 }}",
    "{%",
  ],
  ...[
    "\u202e",
    "e\u0301".repeat(50),
    "\u{1f600}",
    "../../etc/passwd",
    "NaN",
    "-1",
    "auto",
    "user",
    "assistant",
    "system",
    "tool",
    "model",
  ],
  ...[
    'root ::= "a"*',
    "root ::= root root",
    "root ::= [",
    "[".repeat(300),
    '{"type":"object"}',
    "llama://",
    "C:\\\\nul",
    "/dev/zero",
    "/proc/self/mem",
  ],
];

class Thrown extends Error {}

const ODD = [
  () => null,
  () => undefined,
  () => Symbol("odd"),
  () => 10n ** 40n,
  () => new Date(Number.NaN),
  () => /(a+)+$/,
  () => new Map([["type", "init"]]),
  () => new Set([1]),
  () => new Uint8Array(16),
  () => new Float64Array([NaN]),
  () => new ArrayBuffer(8),
  () => new Error("odd"),
  () => Promise.resolve(1),
  () =>
    new Proxy(
      {},
      {
        get: () => {
          throw new Thrown("proxy");
        },
        ownKeys: () => {
          throw new Thrown("keys");
        },
      },
    ),
  () => new Proxy([], { get: (target, name) => (name === "length" ? 2 ** 32 : Reflect.get(target, name)) }),
  () => ({
    get type() {
      throw new Thrown("getter");
    },
  }),
  () => ({
    get prompt() {
      throw new Thrown("getter");
    },
    type: "generate_completion",
  }),
  () => ({
    toString() {
      throw new Thrown("toString");
    },
    valueOf() {
      throw new Thrown("valueOf");
    },
  }),
  // biome-ignore lint/suspicious/noThenProperty: what awaits it by mistake is to be found
  () => ({ then: thrower }),
  () => Object.create(null),
  () => Object.create({ type: "init", contextSize: 7 }),
  () => Object.freeze({ type: "generate_completion", prompt: "Hi" }),
  () => JSON.parse('{"__proto__": {"maxTokens": 1}, "constructor": {"prototype": {}}}'),
  () => new Array(50_000),
  () => {
    /** @type {{ a: any[] }} */
    const cycle = { a: [] };
    cycle.a.push(cycle);
    return cycle;
  },
  () => function odd() {},
  () => class Odd {},
  () => async function* odd() {},
  () => globalThis,
  () => new WeakMap(),
  () => Object.assign([], { role: "user", content: "Hi" }),
  () => Object.defineProperty({}, "prompt", { enumerable: true, get: () => "x".repeat(1000) }),
];

/**
 * Any value at all.
 *
 * @param {import("./random").Random} random
 * @param {number} [depth]
 * @returns {any}
 */
function anyValue(random, depth = 3) {
  const kind = random.below(depth > 0 ? 10 : 7);
  if (kind < 2) return random.of(NUMBERS);
  if (kind < 5) return random.of(TEXTS);
  if (kind === 5) return random.once(2);
  if (kind === 6) return random.of(ODD)();
  if (kind === 7) return Array.from({ length: random.below(5) }, () => anyValue(random, depth - 1));
  return anyObject(random, depth - 1);
}

/**
 * An object with names that mean something.
 *
 * @param {import("./random").Random} random
 * @param {number} [depth]
 * @returns {any}
 */
function anyObject(random, depth = 2) {
  const object = {};
  for (let count = random.below(6); count > 0; count--) {
    const value = anyValue(random, depth);
    Object.defineProperty(object, random.of(NAMES), {
      enumerable: true,
      configurable: true,
      ...(random.once(12) ? { get: thrower } : { value, writable: true }),
    });
  }
  return object;
}

function thrower() {
  throw new Thrown("getter");
}

/**
 * Nested so deep that whoever descends by recursion falls out of the stack.
 *
 * @param {number} depth
 * @param {(inner: unknown) => unknown} wrap
 */
function nested(depth, wrap) {
  /** @type {unknown} */
  let value = "bottom";
  for (let level = 0; level < depth; level++) value = wrap(value);
  return value;
}

module.exports = { NAMES, NUMBERS, ODD, TEXTS, TYPES, Thrown, anyObject, anyValue, nested };
