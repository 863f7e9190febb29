/**
 * Changes a valid model file in one of many ways: anywhere, or where it hurts.
 *
 * The same numbers give the same file. Half of the ways leave a file whose form is right, so that it gets past the readers.
 */

"use strict";

const {
  FORMATS,
  LIST,
  TEXT,
  putTogether,
  takeApart,
  tensorBytes,
  textBytes,
  toLength,
  u32Bytes,
  u64Bytes,
} = require("./gguf");
const { Random } = require("./random");

/** @typedef {import("./gguf").Parts} Parts */
/** @typedef {(random: Random, file: Buffer, parts: Parts) => Buffer} Mutation */

const LENGTHS = [
  0n,
  1n,
  7n,
  8n,
  255n,
  65536n,
  2n ** 31n - 1n,
  2n ** 31n,
  2n ** 32n,
  2n ** 48n,
  2n ** 63n - 1n,
  2n ** 63n,
  2n ** 64n - 1n,
];
const WORDS = [
  0, 1, 2, 3, 5, 16, 31, 32, 33, 100, 255, 256, 512, 513, 1023, 65535, 65536, 0x7fffffff, 0x80000000, 0xffffffff,
];
const FRACTIONS = [0, -0, -1, 1e-30, 1e30, -1e38, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
const ARCHITECTURES = [
  "llama",
  "qwen2",
  "gemma2",
  "mamba",
  "t5",
  "bert",
  "gpt2",
  "falcon",
  "phi3",
  "deepseek2",
  "rwkv6",
  "clip",
  "gpt-oss",
  "",
];
const TOKENIZERS = ["llama", "gpt2", "bert", "t5", "rwkv", "plamo2", "none", "gemma4", "test", "whitespace", "x"];
const TEMPLATES = [
  "{% for m in messages %}{{ m.content }}{% endfor %}",
  "{% for i in range(1000000000) %}{{ i }}{% endfor %}",
  "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
  "{{",
  "{% set ns = namespace(a=[]) %}{% for i in range(99) %}{% set ns.a = ns.a + ns.a + [i] %}{% endfor %}",
  "\u0000\uffff",
];

/** @type {Record<string, Mutation>} */
const MUTATIONS = {
  "bits of the metadata": (random, file, parts) => flipped(random, file, 0, parts.metadataEnd),
  "bits of the tensor list": (random, file, parts) => flipped(random, file, parts.metadataEnd, parts.dataStart),
  "bits of the header": (random, file) => flipped(random, file, 0, 24),
  "bits of the weights": (random, file, parts) => flipped(random, file, parts.dataStart, file.length),
  "bytes of the weights": (random, file, parts) => scribbled(random, file, parts.dataStart),
  truncated: (random, file, parts) =>
    Buffer.from(file.subarray(0, random.below(random.once(2) ? file.length : parts.dataStart))),
  "bytes inserted": (random, file, parts) => spliced(random, file, parts.dataStart, random.below(64), 0),
  "bytes removed": (random, file, parts) => spliced(random, file, parts.dataStart, 0, 1 + random.below(64)),
  "a length": (random, file, parts) => {
    const changed = Buffer.from(file);
    changed.writeBigUInt64LE(random.of(LENGTHS), random.once(4) ? random.of([8, 16]) : lengthPosition(random, parts));
    return changed;
  },
  "an entry's type": changedEntry((random, entry) => ({ ...entry, type: random.below(14) })),
  "an entry's number": changedEntry((random, entry) => ({ ...entry, value: otherValue(random, entry) }), isNumber),
  "two entries' values swapped": (random, _file, parts) => {
    const [one, other] = [random.of(parts.entries), random.of(parts.entries)];
    const values = new Map([
      [one, { ...one, type: other.type, value: other.value }],
      [other, { ...other, type: one.type, value: one.value }],
    ]);
    return putTogether({ ...parts, entries: parts.entries.map((entry) => values.get(entry) ?? entry) });
  },
  "an entry removed": (random, _file, parts) => {
    const removed = random.of(parts.entries);
    return putTogether({ ...parts, entries: parts.entries.filter((entry) => entry !== removed) });
  },
  "an entry added": (random, _file, parts) => {
    const key = `${random.of([architectureOf(parts), "general", "tokenizer.ggml", "split"])}.${random.of(EXTRA_KEYS)}`;
    const type = random.of([0, 2, 4, 5, 6, 7, 10, 12]);
    const entry = { key, type, value: otherValue(random, { key, type, value: Buffer.alloc(0) }) };
    return putTogether({ ...parts, entries: [...parts.entries.filter((other) => other.key !== key), entry] });
  },
  "a number became a list": changedEntry((random, entry) => {
    const length = random.of([0, 1, 2, 4, 512, 513]);
    const items = Array.from({ length }, () => u32Bytes(random.of(WORDS)));
    return { ...entry, type: LIST, value: Buffer.concat([u32Bytes(random.of([4, 5])), u64Bytes(length), ...items]) };
  }, isNumber),
  "the architecture": changedText("general.architecture", ARCHITECTURES, true),
  "the tokenizer": changedText("tokenizer.ggml.model", TOKENIZERS),
  "the pre-tokenizer": changedText("tokenizer.ggml.pre", [
    "default",
    "llama-bpe",
    "qwen2",
    "gpt-2",
    "gemma4",
    "whitespace",
    "",
    "x",
  ]),
  "the template": changedText("tokenizer.chat_template", TEMPLATES),
  "a list's items": changedEntry(scrambledList, ({ type }) => type === LIST),
  "a list's length": changedEntry(cutList, ({ type }) => type === LIST),
  "two tensors' names swapped": (random, _file, parts) => {
    const [one, other] = [random.of(parts.tensors), random.of(parts.tensors)];
    const names = new Map([
      [one, other.name],
      [other, one.name],
    ]);
    return withTensors(parts, (tensor) => ({ ...tensor, name: names.get(tensor) ?? tensor.name }));
  },
  "two tensors' data swapped": (random, _file, parts) => {
    const one = random.of(parts.tensors);
    const other = random.of(parts.tensors.filter(({ data }) => data.length === one.data.length));
    const data = new Map([
      [one, other.data],
      [other, one.data],
    ]);
    return withTensors(parts, (tensor) => ({ ...tensor, data: data.get(tensor) ?? tensor.data }));
  },
  "a tensor removed": (random, _file, parts) => {
    const removed = random.of(parts.tensors);
    return putTogether({ ...parts, tensors: parts.tensors.filter((tensor) => tensor !== removed) });
  },
  "a tensor's name": changedTensor((random, tensor) => ({ ...tensor, name: random.of(TENSOR_NAMES) })),
  "a tensor's format": changedTensor((random, tensor) => ({ ...tensor, format: random.below(45) })),
  "a tensor's format, with its size": changedTensor((random, tensor) => {
    const format = Number(random.of(Object.keys(FORMATS)));
    return { ...tensor, format, data: toLength(tensor.data, tensorBytes({ ...tensor, format })) };
  }),
  "all tensors' formats, with their sizes": (random, _file, parts) => {
    const format = Number(random.of(Object.keys(FORMATS)));
    return withTensors(parts, (tensor) => {
      if (tensor.dimensions.length === 1) return tensor;
      return { ...tensor, format, data: toLength(tensor.data, tensorBytes({ ...tensor, format })) };
    });
  },
  "a tensor's dimensions": changedTensor((random, tensor) => {
    const dimensions = [...tensor.dimensions];
    dimensions[random.below(dimensions.length)] = random.of([...LENGTHS, 2n, 64n, 128n]);
    return { ...tensor, dimensions };
  }),
  "a tensor's dimensions in another order": changedTensor((_random, tensor) => ({
    ...tensor,
    dimensions: [...tensor.dimensions].reverse(),
  })),
  "a tensor's number of dimensions": changedTensor((random, tensor) => ({
    ...tensor,
    dimensions: random.of([[], [...tensor.dimensions, 1n], [...tensor.dimensions, 2n], tensor.dimensions.slice(0, 1)]),
  })),
  "a tensor's place": changedTensor((random, tensor) => ({ ...tensor, offset: random.of([...LENGTHS, 32n, 64n]) })),
  "a tensor's numbers": changedTensor((random, tensor) => {
    const data = Buffer.from(tensor.data);
    const number = Buffer.alloc(4);
    number.writeFloatLE(random.of(FRACTIONS));
    for (let times = 1 + random.below(64); times > 0; times--) number.copy(data, random.below(data.length - 3) & ~3);
    return { ...tensor, data };
  }),
};

const EXTRA_KEYS = [
  ...[
    "expert_count",
    "expert_used_count",
    "expert_group_count",
    "expert_group_used_count",
    "expert_feed_forward_length",
  ],
  ...[
    "attention.key_length",
    "attention.value_length",
    "attention.sliding_window",
    "attention.head_count_kv",
    "attention.causal",
  ],
  ...[
    "attention.scale",
    "attention.max_alibi_bias",
    "attention.clamp_kqv",
    "attention.layer_norm_epsilon",
    "pooling_type",
  ],
  ...[
    "rope.scaling.factor",
    "rope.scaling.original_context_length",
    "rope.freq_base",
    "rope.dimension_count",
    "rope.scaling.type",
  ],
  ...["nextn_predict_layers", "vocab_size", "embedding_length_out", "residual_scale", "logit_scale", "embedding_scale"],
  ...[
    "alignment",
    "file_type",
    "quantization_version",
    "count",
    "no",
    "tensors.count",
    "add_bos_token",
    "bos_token_id",
  ],
  ...[
    "eos_token_id",
    "unknown_token_id",
    "padding_token_id",
    "token_type_count",
    "suppress_tokens",
    "merges",
    "scores",
  ],
];

const TENSOR_NAMES = [
  "output.weight",
  "token_embd.weight",
  "rope_freqs.weight",
  "blk.0.attn_q.bias",
  "blk.511.ffn_up.weight",
  "x",
  "",
];

/** @param {Parts} parts */
function architectureOf({ entries }) {
  return entries.find(({ key }) => key === "general.architecture")?.value.toString("latin1", 8) ?? "llama";
}

/**
 * @param {Buffer} file
 * @param {{ seed: number, number: number }} which
 */
function mutate(file, { seed, number }) {
  const random = new Random(seed, number);
  const name = random.of(Object.keys(MUTATIONS));
  let bytes = MUTATIONS[name](random, file, takeApart(file));
  // Some get a second change: what the first has broken may hide what the second breaks.
  if (random.once(4)) bytes = flipped(random, bytes, 0, Math.min(bytes.length, 4096));
  return { name, bytes };
}

/** @returns {Buffer} with 1 to 16 bits changed from `start` to `end` */
function flipped(
  /** @type {Random} */ random,
  /** @type {Buffer} */ file,
  /** @type {number} */ start,
  /** @type {number} */ end,
) {
  const changed = Buffer.from(file);
  if (end <= start) return changed;
  for (let times = 1 + random.below(random.once(2) ? 1 : 16); times > 0; times--)
    changed[start + random.below(end - start)] ^= 1 << random.below(8);
  return changed;
}

/** @returns {Buffer} with a stretch of random bytes somewhere after `start` */
function scribbled(/** @type {Random} */ random, /** @type {Buffer} */ file, /** @type {number} */ start) {
  const changed = Buffer.from(file);
  const from = start + random.below(changed.length - start);
  const end = Math.min(changed.length, from + 1 + random.below(4096));
  for (let at = from; at < end; at++) changed[at] = random.below(256);
  return changed;
}

function spliced(
  /** @type {Random} */ random,
  /** @type {Buffer} */ file,
  /** @type {number} */ end,
  /** @type {number} */ inserted,
  /** @type {number} */ removed,
) {
  const at = random.below(end);
  const bytes = Buffer.from(Array.from({ length: inserted }, () => random.below(256)));
  return Buffer.concat([file.subarray(0, at), bytes, file.subarray(at + removed)]);
}

/** Where a length stands: before a key, a text, or the items of a list. */
function lengthPosition(/** @type {Random} */ random, /** @type {Parts} */ { entries }) {
  let at = 24;
  const positions = [];
  for (const { key, type, value } of entries) {
    positions.push(at);
    at += 8 + key.length + 4;
    if (type === TEXT) positions.push(at);
    if (type === LIST) positions.push(at + 4, at + 12);
    at += value.length;
  }
  return random.of(positions);
}

/**
 * @param {(random: Random, entry: import("./gguf").Entry) => import("./gguf").Entry} change
 * @param {(entry: import("./gguf").Entry) => boolean} [isWanted]
 * @returns {Mutation}
 */
function changedEntry(change, isWanted = () => true) {
  return (random, _file, parts) => {
    const changed = random.of(parts.entries.filter(isWanted));
    const entries = parts.entries.map((entry) => (entry === changed ? change(random, entry) : entry));
    return putTogether({ ...parts, entries });
  };
}

/**
 * @param {string} key
 * @param {readonly string[]} texts
 * @param {boolean} [renamesKeys] whether the keys of the old text get the new one in front, as for an architecture
 * @returns {Mutation}
 */
function changedText(key, texts, renamesKeys) {
  return (random, _file, parts) => {
    const text = random.of(texts);
    const old = parts.entries.find((entry) => entry.key === key)?.value.toString("latin1", 8);
    const entries = parts.entries.map((entry) => {
      if (entry.key === key) return { ...entry, type: TEXT, value: textBytes(text) };
      const isOfOld = renamesKeys && entry.key.startsWith(`${old}.`) && !random.once(50);
      return isOfOld ? { ...entry, key: text + entry.key.slice(String(old).length) } : entry;
    });
    if (!entries.some((entry) => entry.key === key)) entries.push({ key, type: TEXT, value: textBytes(text) });
    return putTogether({ ...parts, entries });
  };
}

/**
 * @param {(random: Random, tensor: import("./gguf").Tensor) => import("./gguf").Tensor} change
 * @returns {Mutation}
 */
function changedTensor(change) {
  return (random, _file, parts) => {
    const changed = random.of(parts.tensors);
    return withTensors(parts, (tensor) => (tensor === changed ? change(random, tensor) : tensor));
  };
}

/**
 * @param {Parts} parts
 * @param {(tensor: import("./gguf").Tensor) => import("./gguf").Tensor} change
 */
function withTensors(parts, change) {
  return putTogether({ ...parts, tensors: parts.tensors.map(change) });
}

/** @param {import("./gguf").Entry} entry */
function isNumber({ type }) {
  return type !== TEXT && type !== LIST;
}

/** @returns {Buffer} a value of the entry's type */
function otherValue(/** @type {Random} */ random, /** @type {import("./gguf").Entry} */ { type }) {
  const bytes = Buffer.alloc(8);
  if (type === 6) bytes.writeFloatLE(random.of(FRACTIONS));
  else if (type === 12) bytes.writeDoubleLE(random.of(FRACTIONS));
  else if (type === 10 || type === 11) bytes.writeBigUInt64LE(random.of(LENGTHS));
  else bytes.writeUInt32LE(random.of(WORDS) >>> 0);
  const length = [1, 1, 2, 2, 4, 4, 4, 1, 8, 8, 8, 8, 8][type] ?? 4;
  return bytes.subarray(0, length);
}

/** Swaps and repeats items: of a vocabulary its tokens, of other lists their numbers. */
function scrambledList(/** @type {Random} */ random, /** @type {import("./gguf").Entry} */ entry) {
  const kind = entry.value.readUInt32LE(0);
  const items = itemsOf(entry.value, kind);
  if (items.length === 0) return entry;
  for (let times = 1 + random.below(8); times > 0; times--) {
    const at = random.below(items.length);
    if (kind === TEXT && random.once(2))
      items[at] = textBytes(random.of(["", "\u0000", "a", "<0x0A>", "[EMPTY_3]", "<0x", "\u00ff\u00fe", "</s>"]));
    else if (kind !== TEXT && random.once(2)) items[at] = otherValue(random, { key: "", type: kind, value: items[at] });
    else items[at] = random.of(items);
  }
  return { ...entry, value: Buffer.concat([entry.value.subarray(0, 12), ...items]) };
}

/** Leaves the end of a list away, and says so. */
function cutList(/** @type {Random} */ random, /** @type {import("./gguf").Entry} */ entry) {
  const items = itemsOf(entry.value, entry.value.readUInt32LE(0));
  const kept = items.slice(0, random.once(4) ? 0 : random.below(items.length + 1));
  return { ...entry, value: Buffer.concat([entry.value.subarray(0, 4), u64Bytes(kept.length), ...kept]) };
}

/** @returns {Buffer[]} */
function itemsOf(/** @type {Buffer} */ value, /** @type {number} */ kind) {
  const width = [1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8][kind];
  const items = [];
  for (let at = 12; at < value.length; ) {
    const length = kind === TEXT ? 8 + Number(value.readBigUInt64LE(at)) : width;
    items.push(value.subarray(at, at + length));
    at += length;
  }
  return items;
}

module.exports = { MUTATIONS, mutate };
