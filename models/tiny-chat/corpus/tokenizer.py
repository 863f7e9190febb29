"""Byte-level BPE, trained and applied with the standard library alone.

Text is split as llama.cpp does for `tokenizer.ggml.pre = llama-bpe`, so the numbers up to 999 are one piece of text; those up to
100 are one token. Emoji and scripts other than Latin take no part in the training and stay several tokens each.

A word's letters are joined first and the space before it last, with whole common words alone: so a name falls into the same
tokens after a space, a quote or a line's beginning, and can be copied from one to the other.
"""

import functools
import json
import re
from collections import Counter

CONTROL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
VISIBLE = ["<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", "<tools>", "</tools>", "<think>", "</think>"]
SPECIAL = CONTROL + VISIBLE
SPECIAL_PATTERN = re.compile("(" + "|".join(map(re.escape, SPECIAL)) + ")")

LETTER, OTHER, MARK = r"[^\W\d_]", r"(?:[^\w\r\n]|_)", r"(?:[^\w\s]|_)"
PIECE = re.compile(
    rf"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|{OTHER}?{LETTER}+|\d{{1,3}}| ?{MARK}+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
LEADING_MARK = re.compile(rf"^{OTHER}(?={LETTER})")
ACCENTED = "áâãàäçéêèíìóôõöøúüñåßÁÂÃÀÇÉÊÍÓÔÕÚ"
NOT_LATIN = re.compile(r"[^\x00-\u024f]")


def byte_letters():
    """The printable letter that stands for each byte in a GGUF vocabulary, as GPT-2 has it."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = {byte: chr(byte) for byte in printable}
    for byte in range(256):
        if byte not in letters:
            letters[byte] = chr(256 + len(letters) - len(printable))
    return letters


LETTERS = byte_letters()
BYTES = {letter: byte for byte, letter in LETTERS.items()}


def spell(text):
    """A text's bytes as letters of the vocabulary."""
    return "".join(LETTERS[byte] for byte in text.encode())


def number_merges():
    """Merges that make each number from 10 to 100 one token."""
    return [(a, b) for a in "123456789" for b in "0123456789"] + [("10", "0")]


def accent_merges():
    """Merges that make each common letter with an accent one token."""
    return [tuple(spell(letter)) for letter in ACCENTED]


def train(texts, size, spaced=150):
    """A tokenizer of `size` tokens for these texts; up to `spaced` of them are words with the space before them."""
    words = Counter()
    for text in texts:
        for part in SPECIAL_PATTERN.split(text):
            if part not in SPECIAL:
                words.update(piece for piece in PIECE.findall(part) if not NOT_LATIN.search(piece) and not piece.isdigit())
    merges = number_merges() + accent_merges()
    known = {*LETTERS.values(), *(a + b for a, b in merges)}
    wanted = size - len(SPECIAL) - len(known)
    learned = learn(spellings(words, merges), wanted, set(known))
    for count in range(max(0, wanted - spaced), wanted + 1):
        after_space = space_merges(words, known | {a + b for a, b in learned[:count]}, wanted - count)
        if count + len(after_space) == wanted:
            break
    return Tokenizer(merges + learned[:count] + after_space)


def spellings(words, merges):
    """(symbols, count) of all words without the mark before them, with some pairs merged already."""
    counts = Counter()
    for word, count in words.items():
        counts[LEADING_MARK.sub("", word)] += count
    result = [(list(spell(word)), count) for word, count in sorted(counts.items())]
    for word, _ in result:
        for pair in merges:
            join(word, *pair)
    return result


def space_merges(words, known, count):
    """Merges of the space with the most common of the words that are one token."""
    spaced = {spell(word[1:]): number for word, number in words.items() if word[0] == " " and word[1:].isalpha() and len(word) > 2}
    common = sorted((word for word in spaced if word in known), key=lambda word: (-spaced[word], word))
    return [(spell(" "), word) for word in common[:count]]


def learn(words, count, known):
    """The most frequent pairs, merged one after the other."""
    merges = []
    words = [(list(word), n) for word, n in words if len(word) > 1]
    while len(merges) < count:
        pairs = Counter()
        for word, n in words:
            for pair in zip(word, word[1:]):
                pairs[pair] += n
        (a, b), _ = max(pairs.items(), key=lambda item: (item[1], item[0]))
        if a + b not in known:
            known.add(a + b)
            merges.append((a, b))
        for word, _ in words:
            join(word, a, b)
        words = [item for item in words if len(item[0]) > 1]
    return merges


def join(word, a, b):
    """Merges a pair wherever it occurs in a list of symbols."""
    index = 0
    while index < len(word) - 1:
        if word[index] == a and word[index + 1] == b:
            word[index : index + 2] = [a + b]
        index += 1


class Tokenizer:
    """Text to token numbers and back."""

    def __init__(self, merges):
        self.merges = [tuple(pair) for pair in merges]
        self.ranks = {pair: rank for rank, pair in enumerate(self.merges)}
        letters = [letter for _, letter in sorted(LETTERS.items())]
        self.tokens = SPECIAL + letters + [a + b for a, b in self.merges]
        self.numbers = {token: number for number, token in enumerate(self.tokens)}
        self.piece_numbers = functools.lru_cache(maxsize=200_000)(self._piece_numbers)

    def _piece_numbers(self, piece):
        spelled = spell(piece)
        if spelled in self.numbers:
            return (self.numbers[spelled],)
        word = list(spelled)
        while len(word) > 1:
            best = min(zip(word, word[1:]), key=lambda pair: self.ranks.get(pair, len(self.ranks)))
            if best not in self.ranks:
                break
            join(word, *best)
        return tuple(self.numbers[symbol] for symbol in word)

    def encode(self, text):
        """Token numbers; the names of special tokens become these tokens."""
        numbers = []
        for part in SPECIAL_PATTERN.split(text):
            if part in SPECIAL:
                numbers.append(self.numbers[part])
            else:
                for piece in PIECE.findall(part):
                    numbers.extend(self.piece_numbers(piece))
        return numbers

    def decode(self, numbers):
        """The text of token numbers."""
        data = bytearray()
        for number in numbers:
            token = self.tokens[number]
            data += token.encode() if token in SPECIAL else bytes(BYTES[letter] for letter in token)
        return data.decode(errors="replace")

    def word_pieces(self):
        """The tokens made of small letters, from which words can be pasted together."""
        texts = [self.decode([number]) for number in range(len(SPECIAL), len(self.tokens))]
        return [text for text in texts if text.isalpha() and text.islower()]

    def save(self, path):
        """Writes the merges, all there is to know; whole or not at all."""
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(self.merges, ensure_ascii=False, indent=0) + "\n")
        partial.replace(path)

    @classmethod
    def load(cls, path):
        """Reads what `save` wrote."""
        return cls(json.loads(path.read_text()))
