"""Conversations as batches of token numbers and weights, with the standard library alone."""

import random

import corpus
from corpus.tokenizer import Tokenizer, train

ASKED, FILLER, LONG_ANSWER, LEAST = 0.1, 0.02, 32, 0.5
TOKENIZER_SEED = 10_000_000
MOST_TOKENS = 2000


def make_tokenizer(size, conversations=6000):
    """A tokenizer trained on conversations that the model never sees."""
    texts = (corpus.render(corpus.make(TOKENIZER_SEED + number), False) for number in range(conversations))
    return train(texts, size)


def encode(messages, tokenizer, asked=ASKED):
    """(token numbers, weight of each as something to predict).

    Answers weigh one, long ones less for each token so that stories do not swamp facts; what others say weighs little. Numbers and
    the end of an answer weigh one in any case: they decide whether a count is right.
    """
    tokens, weights = [], []
    for text, is_answer in corpus.segments(messages):
        numbers = tokenizer.encode(text)
        weight = max(LEAST, min(1, LONG_ANSWER / len(numbers))) if is_answer else min(FILLER, asked) if len(numbers) > 100 else asked
        tokens += numbers
        weights += [1 if is_answer and (tokenizer.tokens[number].isdigit() or number == numbers[-1]) else weight for number in numbers]
    return tokens[:MOST_TOKENS], weights[:MOST_TOKENS]


def batches(seed, count, tokenizer, batch_tokens, asked=ASKED, **shares):
    """`count` conversations from a seed on, in batches of about one length, in random order; `shares` are those of `corpus.make`.

    A batch is a list of (tokens, weights), with at most `batch_tokens` token places after padding.
    """
    pieces = tokenizer.word_pieces()
    encoded = [encode(corpus.make(seed + number, pieces, **shares), tokenizer, asked) for number in range(count)]
    encoded.sort(key=lambda item: len(item[0]))
    result, batch = [], []
    for item in encoded:
        if batch and len(item[0]) * (len(batch) + 1) > batch_tokens:
            result.append(batch)
            batch = []
        batch.append(item)
    result.append(batch)
    random.Random(seed).shuffle(result)
    return result


__all__ = ["Tokenizer", "batches", "encode", "make_tokenizer"]
