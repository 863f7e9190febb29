/**
 * Small models of several architectures, with random weights that are the same in every run: experts, states, convolutions, sliding windows.
 *
 * What they say means nothing. They have the vocabulary and the template of the built-in model.
 */

"use strict";

const { LIST, TEXT, putTogether, takeApart, textBytes, u32Bytes, u64Bytes } = require("./gguf");
const { Random } = require("./random");

const U32 = 4;
const I32 = 5;
const F32 = 6;
const BOOL = 7;

/** A multiple of what every number format stores together. */
const WIDTH = 256;
const HEADS = 4;
const KEY_HEADS = 2;
const HEAD_WIDTH = WIDTH / HEADS;
const EXPERTS = 4;
const LAYERS = 2;
const STATE = 8;
const CONVOLUTION = 4;
const RANK = 4;
const INNER = 2 * WIDTH;

/** @typedef {Record<string, number[]>} Shapes names of tensors, those of layers without the layer, and their dimensions */

/** @type {Shapes} */
const ATTENTION = {
  "attn_norm.weight": [WIDTH],
  "attn_q.weight": [WIDTH, WIDTH],
  "attn_k.weight": [WIDTH, KEY_HEADS * HEAD_WIDTH],
  "attn_v.weight": [WIDTH, KEY_HEADS * HEAD_WIDTH],
  "attn_output.weight": [WIDTH, WIDTH],
};

/** @type {Shapes} */
const HEAD_NORMS = { "attn_q_norm.weight": [HEAD_WIDTH], "attn_k_norm.weight": [HEAD_WIDTH] };

/** @type {Shapes} */
const FEED_FORWARD = {
  "ffn_norm.weight": [WIDTH],
  "ffn_gate.weight": [WIDTH, WIDTH],
  "ffn_up.weight": [WIDTH, WIDTH],
  "ffn_down.weight": [WIDTH, WIDTH],
};

/** @type {Shapes} */
const MIXTURE = {
  "ffn_gate_inp.weight": [WIDTH, EXPERTS],
  "ffn_gate_exps.weight": [WIDTH, WIDTH, EXPERTS],
  "ffn_up_exps.weight": [WIDTH, WIDTH, EXPERTS],
  "ffn_down_exps.weight": [WIDTH, WIDTH, EXPERTS],
};

/** @type {Record<string, [number, number]>} keys of numbers */
const OF_MIXTURE = {
  expert_count: [U32, EXPERTS],
  expert_used_count: [U32, 2],
  expert_feed_forward_length: [U32, WIDTH],
};

/**
 * By their architecture: what is said of it besides what all have, and the tensors of a layer.
 *
 * @type {Record<string, { says: Record<string, [number, number | number[]]>, layer: (layer: number) => Shapes, norm?: string }>}
 */
const KINDS = {
  qwen3moe: {
    says: OF_MIXTURE,
    layer: () => ({ ...ATTENTION, ...HEAD_NORMS, "ffn_norm.weight": [WIDTH], ...MIXTURE }),
  },
  "gpt-oss": {
    says: { ...OF_MIXTURE, "attention.sliding_window": [U32, 16] },
    layer: () => ({
      ...ATTENTION,
      "attn_q.bias": [WIDTH],
      "attn_k.bias": [KEY_HEADS * HEAD_WIDTH],
      "attn_v.bias": [KEY_HEADS * HEAD_WIDTH],
      "attn_output.bias": [WIDTH],
      "attn_sinks.weight": [HEADS],
      "post_attention_norm.weight": [WIDTH],
      ...MIXTURE,
      "ffn_gate_inp.bias": [EXPERTS],
      "ffn_gate_exps.bias": [WIDTH, EXPERTS],
      "ffn_up_exps.bias": [WIDTH, EXPERTS],
      "ffn_down_exps.bias": [WIDTH, EXPERTS],
    }),
  },
  gemma3: {
    says: { "attention.sliding_window": [U32, 16] },
    layer: () => ({
      ...ATTENTION,
      ...HEAD_NORMS,
      ...FEED_FORWARD,
      "post_attention_norm.weight": [WIDTH],
      "post_ffw_norm.weight": [WIDTH],
    }),
  },
  lfm2: {
    // A layer without keys is a convolution.
    says: { "shortconv.l_cache": [U32, 3], "attention.head_count_kv": [I32, [0, KEY_HEADS]] },
    layer: (layer) => ({
      ...(layer === 0
        ? {
            "attn_norm.weight": [WIDTH],
            "shortconv.conv.weight": [3, WIDTH],
            "shortconv.in_proj.weight": [WIDTH, 3 * WIDTH],
            "shortconv.out_proj.weight": [WIDTH, WIDTH],
          }
        : { ...ATTENTION, ...HEAD_NORMS }),
      ...FEED_FORWARD,
    }),
    norm: "token_embd_norm.weight",
  },
  mamba: {
    says: {
      "attention.head_count": [U32, 0],
      "attention.head_count_kv": [U32, 0],
      feed_forward_length: [U32, 0],
      "ssm.conv_kernel": [U32, CONVOLUTION],
      "ssm.inner_size": [U32, INNER],
      "ssm.state_size": [U32, STATE],
      "ssm.time_step_rank": [U32, RANK],
    },
    layer: () => ({
      "attn_norm.weight": [WIDTH],
      "ssm_in.weight": [WIDTH, 2 * INNER],
      "ssm_conv1d.weight": [CONVOLUTION, INNER],
      "ssm_conv1d.bias": [INNER],
      "ssm_x.weight": [INNER, RANK + 2 * STATE],
      "ssm_dt.weight": [RANK, INNER],
      "ssm_dt.bias": [INNER],
      ssm_a: [STATE, INNER],
      ssm_d: [INNER],
      "ssm_out.weight": [INNER, WIDTH],
    }),
  },
};

/**
 * @param {Buffer} builtIn the built-in model
 * @param {string} kind
 * @returns {Buffer} a file
 */
function smallModel(builtIn, kind) {
  const { says, layer, norm = "output_norm.weight" } = KINDS[kind];
  const { entries } = takeApart(builtIn);
  const vocabulary = entries.filter(({ key }) => key.startsWith("tokenizer."));
  const tokens = vocabulary.find(({ key }) => key === "tokenizer.ggml.tokens");
  const nTokens = Number(tokens?.value.readBigUInt64LE(4));
  /** @type {Record<string, [number, number | number[]]>} */
  const described = {
    context_length: [U32, 4096],
    embedding_length: [U32, WIDTH],
    block_count: [U32, LAYERS],
    feed_forward_length: [U32, WIDTH],
    "attention.head_count": [U32, HEADS],
    "attention.head_count_kv": [U32, KEY_HEADS],
    "attention.key_length": [U32, HEAD_WIDTH],
    "attention.value_length": [U32, HEAD_WIDTH],
    "attention.layer_norm_rms_epsilon": [F32, 1e-5],
    ...says,
  };
  const own = Object.entries(described).map(([key, [type, value]]) => entry(`${kind}.${key}`, type, value));
  /** @type {Shapes} */
  const shapes = { "token_embd.weight": [WIDTH, nTokens], [norm]: [WIDTH], "output.weight": [WIDTH, nTokens] };
  if (kind === "lfm2") delete shapes["output.weight"];
  for (let number = 0; number < LAYERS; number++)
    for (const [name, dimensions] of Object.entries(layer(number))) shapes[`blk.${number}.${name}`] = dimensions;
  const random = new Random(7);
  const tensors = Object.entries(shapes).map(([name, dimensions]) => ({
    name,
    dimensions: dimensions.map(BigInt),
    format: 0,
    data: numbers(random, dimensions, /norm\.weight$/.test(name)),
  }));
  const architecture = { key: "general.architecture", type: TEXT, value: textBytes(kind) };
  return putTogether({ entries: [architecture, ...own, ...vocabulary], tensors });
}

/**
 * @param {string} key
 * @param {number} type
 * @param {number | number[]} value
 */
function entry(key, type, value) {
  if (!Array.isArray(value)) return { key, type, value: numberBytes(type, value) };
  const items = value.map((one) => numberBytes(type, one));
  return { key, type: LIST, value: Buffer.concat([u32Bytes(type), u64Bytes(value.length), ...items]) };
}

/**
 * @param {number} type
 * @param {number} number
 */
function numberBytes(type, number) {
  if (type === BOOL) return Buffer.from([number]);
  if (type !== F32) return u32Bytes(number);
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(number);
  return bytes;
}

/** @returns {Buffer} numbers around 0 that make no vector much longer, or those of a norm that changes nothing */
function numbers(/** @type {Random} */ random, /** @type {number[]} */ dimensions, /** @type {boolean} */ isNorm) {
  const count = dimensions.reduce((product, length) => product * length, 1);
  const most = 1 / Math.sqrt(dimensions[0]);
  const one = () => (isNorm ? 1 : (random.word() / 2 ** 31 - 1) * most);
  return Buffer.from(Float32Array.from({ length: count }, one).buffer);
}

module.exports = { KINDS, smallModel };
