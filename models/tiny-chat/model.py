"""The network: a small Llama, as llama.cpp runs it."""

from dataclasses import asdict, dataclass

import torch
from torch import nn
from torch.nn import functional as F


@dataclass
class Config:
    """The sizes. Every width is a multiple of 32, for Q8_0."""

    vocabulary: int = 1024
    width: int = 256
    layers: int = 6
    heads: int = 4
    key_heads: int = 2
    head_width: int = 64
    inner: int = 288
    context: int = 2048
    theta: float = 10000.0
    epsilon: float = 1e-5

    def as_dict(self):
        return asdict(self)


def rotations(config):
    """Cosines and sines of the rotary position embedding, (context, head_width / 2)."""
    speeds = config.theta ** (-torch.arange(0, config.head_width, 2).float() / config.head_width)
    angles = torch.outer(torch.arange(config.context).float(), speeds)
    return angles.cos(), angles.sin()


def rotate(x, cosines, sines):
    """Rotates halves of each head against each other; x is (batch, heads, time, head_width)."""
    first, second = x.float().chunk(2, dim=-1)
    return torch.cat((first * cosines - second * sines, second * cosines + first * sines), dim=-1).to(x.dtype)


def attend(q, k, v):
    """Causal attention, (batch, heads, time, head_width); on a CPU faster than torch's own for short texts."""
    batch, heads, time, width = q.shape
    scores = (q.reshape(batch, k.shape[1], -1, width) @ k.mT).view(batch, heads, time, time)
    places = torch.arange(time)
    hidden = places[None, :] > places[:, None]
    shares = (scores.float() * width**-0.5).masked_fill(hidden, float("-inf")).softmax(-1).to(v.dtype)
    return (shares.view(batch, k.shape[1], -1, time) @ v).view(batch, heads, time, width)


class Block(nn.Module):
    """Attention and the feed-forward part of one layer."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        across, keys = config.heads * config.head_width, config.key_heads * config.head_width
        self.attn_norm = nn.Parameter(torch.ones(config.width))
        self.ffn_norm = nn.Parameter(torch.ones(config.width))
        self.attn_q = matrix(across, config.width)
        self.attn_k = matrix(keys, config.width)
        self.attn_v = matrix(keys, config.width)
        self.attn_output = nn.Parameter(torch.zeros(config.width, across))
        self.ffn_gate = matrix(config.inner, config.width)
        self.ffn_up = matrix(config.inner, config.width)
        self.ffn_down = nn.Parameter(torch.zeros(config.width, config.inner))

    def forward(self, x, cosines, sines):
        config = self.config
        batch, time, _ = x.shape

        def heads(weight, count):
            return F.linear(normed, weight).view(batch, time, count, config.head_width).transpose(1, 2)

        normed = F.rms_norm(x, (config.width,), self.attn_norm, config.epsilon)
        q = rotate(heads(self.attn_q, config.heads), cosines, sines)
        k = rotate(heads(self.attn_k, config.key_heads), cosines, sines)
        v = heads(self.attn_v, config.key_heads)
        mixed = attend(q, k, v)
        x = x + F.linear(mixed.transpose(1, 2).reshape(batch, time, -1), self.attn_output)
        normed = F.rms_norm(x, (config.width,), self.ffn_norm, config.epsilon)
        return x + F.linear(F.silu(F.linear(normed, self.ffn_gate)) * F.linear(normed, self.ffn_up), self.ffn_down)


def matrix(rows, columns):
    """A weight to begin with."""
    return nn.Parameter(torch.randn(rows, columns) * columns**-0.5)


class Model(nn.Module):
    """Token numbers to the scores of the next token; the embedding serves both ends."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.token_embd = nn.Parameter(torch.randn(config.vocabulary, config.width) * 0.02)
        self.blk = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.output_norm = nn.Parameter(torch.ones(config.width))
        cosines, sines = rotations(config)
        self.register_buffer("cosines", cosines, persistent=False)
        self.register_buffer("sines", sines, persistent=False)

    def forward(self, tokens):
        time = tokens.shape[1]
        x = F.embedding(tokens, self.token_embd)
        for block in self.blk:
            x = block(x, self.cosines[:time], self.sines[:time])
        return F.linear(F.rms_norm(x, (self.config.width,), self.output_norm, self.config.epsilon), self.token_embd)
