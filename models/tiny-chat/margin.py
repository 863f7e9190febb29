"""How sure a GGUF file is of given answers: reads it back into the training network."""

import struct

import numpy
import torch

import corpus
from corpus.template import EMPTY_THOUGHT
from corpus.tokenizer import Tokenizer
from gguf import ALIGNMENT, BLOCK, Q8_0
from model import Config, Model

FORMATS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}


class Reader:
    """Reads a GGUF file: `metadata` and `tensors`."""

    def __init__(self, path):
        self.data, self.place = path.read_bytes(), 4
        _, tensors, entries = self.take("IQQ")
        self.metadata = {}
        for _ in range(entries):
            key = self.string()
            self.metadata[key] = self.value(*self.take("I"))
        heads = [(self.string(), self.take(f"{self.take('I')[0]}Q"), *self.take("IQ")) for _ in range(tensors)]
        start = -(-self.place // ALIGNMENT) * ALIGNMENT
        self.tensors = {name: self.tensor(start + offset, shape[::-1], kind) for name, shape, kind, offset in heads}

    def take(self, form):
        """The next values of this form."""
        values = struct.unpack_from("<" + form, self.data, self.place)
        self.place += struct.calcsize("<" + form)
        return values

    def string(self):
        """The next string."""
        (length,) = self.take("Q")
        self.place += length
        return self.data[self.place - length : self.place].decode()

    def value(self, kind):
        """The next value of this type."""
        if kind == 8:
            return self.string()
        if kind == 9:
            inner, count = self.take("IQ")
            return [self.value(inner) for _ in range(count)]
        return self.take(FORMATS[kind])[0]

    def tensor(self, start, shape, kind):
        """The weights as 32-bit numbers."""
        count = int(numpy.prod(shape))
        if kind != Q8_0:
            return numpy.frombuffer(self.data, "<f4", count, start).reshape(shape)
        rows = numpy.frombuffer(self.data, numpy.uint8, count // BLOCK * (BLOCK + 2), start).reshape(-1, BLOCK + 2)
        scales = rows[:, :2].copy().view("<f2").astype(numpy.float32)
        return (rows[:, 2:].copy().view(numpy.int8) * scales).reshape(shape)


def halves(weight, heads):
    """Undoes `export.interleaved`."""
    rows, columns = weight.shape
    return weight.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def load(path):
    """Network and tokenizer of a file that `export.py` wrote."""
    file = Reader(path)
    get = file.metadata.get
    config = Config(
        vocabulary=get("llama.vocab_size"), width=get("llama.embedding_length"), layers=get("llama.block_count"), heads=get("llama.attention.head_count"),
        key_heads=get("llama.attention.head_count_kv"), head_width=get("llama.attention.key_length"), inner=get("llama.feed_forward_length"), context=get("llama.context_length"),
    )
    model = Model(config)
    state = {}
    for name, weight in file.tensors.items():
        name = name.removesuffix(".weight")
        heads = {"attn_q": config.heads, "attn_k": config.key_heads}.get(name.split(".")[-1])
        state[name] = torch.tensor(halves(weight, heads) if heads else weight.copy())
    model.load_state_dict(state)
    return model, Tokenizer([pair.split(" ") for pair in get("tokenizer.ggml.merges")])


@torch.no_grad()
def margins(path, items):
    """{id: the least lead of the accepted answer's tokens over the next best one}."""
    model, tokenizer = load(path)
    result = {}
    for one in items:
        result[one["id"]] = lead(model, tokenizer, one)
    return result


def lead(model, tokenizer, one):
    """The least lead within one answer; a thought is not looked at."""
    messages = [(message["role"], message["content"]) for message in one["messages"]]
    if messages[-1][0] == "assistant":
        prompt = corpus.render(messages[:-1]) + EMPTY_THOUGHT + messages[-1][1]
    else:
        prompt = corpus.render(messages)
    before, answer = tokenizer.encode(prompt), tokenizer.encode(one["accept"][0] + "<|im_end|>")
    if one["match"] != "exact":
        return 0.0
    scores = model(torch.tensor([before + answer]))[0, len(before) - 1 : -1]
    wanted = torch.tensor(answer)
    right = scores.gather(1, wanted[:, None])[:, 0]
    others = scores.scatter(1, wanted[:, None], float("-inf")).max(-1).values
    return float((right - others).min())
