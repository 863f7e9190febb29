"""Writes a checkpoint as a GGUF file, Q8_0, with tokenizer and chat template.

    python export.py --from work --to tiny-chat.gguf
"""

import argparse
import pathlib

import torch

import gguf
from corpus.template import TEMPLATE
from corpus.tokenizer import CONTROL, SPECIAL, Tokenizer

NORMAL, CONTROL_TYPE, USER_DEFINED = 1, 3, 4
Q8_0_FILE = 7


def interleaved(weight, heads):
    """Rows of a query or key matrix in llama.cpp's order: it rotates neighbours where training rotates halves."""
    rows, columns = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


def tensors(state, config):
    """The weights by their GGUF names; the embedding serves as output too."""
    result = {"token_embd.weight": state["token_embd"], "output_norm.weight": state["output_norm"]}
    for name, weight in state.items():
        if name.endswith("attn_q"):
            weight = interleaved(weight, config["heads"])
        elif name.endswith("attn_k"):
            weight = interleaved(weight, config["key_heads"])
        if name.startswith("blk."):
            result[name + ".weight"] = weight
    return {name: weight.float().numpy() for name, weight in result.items()}


def token_type(token):
    """What llama.cpp makes of a token: control tokens are never shown, the user-defined ones are."""
    return CONTROL_TYPE if token in CONTROL else USER_DEFINED if token in SPECIAL else NORMAL


def metadata(config, tokenizer, size):
    """Everything but the weights."""
    number = {token: place for place, token in enumerate(tokenizer.tokens)}
    return [
        ("general.architecture", "string", "llama"),
        ("general.type", "string", "model"),
        ("general.name", "string", "Tiny Chat"),
        ("general.description", "string", "Tiny chat model of a small synthetic world, trained from scratch on generated text"),
        ("general.size_label", "string", f"{size / 1e6:.1f}M"),
        ("general.license", "string", "mit"),
        ("general.languages", "string", ["en", "pt"]),
        ("general.file_type", "u32", Q8_0_FILE),
        ("general.quantization_version", "u32", 2),
        ("llama.block_count", "u32", config["layers"]),
        ("llama.context_length", "u32", config["context"]),
        ("llama.embedding_length", "u32", config["width"]),
        ("llama.feed_forward_length", "u32", config["inner"]),
        ("llama.attention.head_count", "u32", config["heads"]),
        ("llama.attention.head_count_kv", "u32", config["key_heads"]),
        ("llama.attention.key_length", "u32", config["head_width"]),
        ("llama.attention.value_length", "u32", config["head_width"]),
        ("llama.attention.layer_norm_rms_epsilon", "f32", config["epsilon"]),
        ("llama.rope.dimension_count", "u32", config["head_width"]),
        ("llama.rope.freq_base", "f32", config["theta"]),
        ("llama.vocab_size", "u32", len(tokenizer.tokens)),
        ("tokenizer.ggml.model", "string", "gpt2"),
        ("tokenizer.ggml.pre", "string", "llama-bpe"),
        ("tokenizer.ggml.tokens", "string", tokenizer.tokens),
        ("tokenizer.ggml.token_type", "i32", [token_type(token) for token in tokenizer.tokens]),
        ("tokenizer.ggml.merges", "string", [" ".join(pair) for pair in tokenizer.merges]),
        ("tokenizer.ggml.bos_token_id", "u32", number["<|endoftext|>"]),
        ("tokenizer.ggml.eos_token_id", "u32", number["<|im_end|>"]),
        ("tokenizer.ggml.eot_token_id", "u32", number["<|im_end|>"]),
        ("tokenizer.ggml.padding_token_id", "u32", number["<|endoftext|>"]),
        ("tokenizer.ggml.add_bos_token", "bool", False),
        ("tokenizer.ggml.add_eos_token", "bool", False),
        ("tokenizer.chat_template", "string", TEMPLATE),
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--from", dest="source", type=pathlib.Path, required=True)
    parser.add_argument("--to", type=pathlib.Path, required=True)
    options = parser.parse_args()
    saved = torch.load(options.source / "checkpoint.pt", weights_only=True)
    tokenizer = Tokenizer.load(options.source / "tokenizer.json")
    arrays = tensors(saved["model"], saved["config"])
    gguf.write(options.to, metadata(saved["config"], tokenizer, sum(array.size for array in arrays.values())), arrays)
    print(f"{options.to}: {options.to.stat().st_size:,} bytes, step {saved['step']}")


if __name__ == "__main__":
    main()
