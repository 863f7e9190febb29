"""What every skill shares: the random source, the language, invented words, and the varied wording of the user's side.

The assistant's wording never varies: one question has one answer, so that greedy decoding is stable.
"""

import random
import re
import zlib
from dataclasses import dataclass, field

ALWAYS_SEEN = {"ana", "bob"}
CONSONANTS = "b c d f g h j k l m n p r s t v w z br dr gr kl pr st tr th sh".split()
VOWELS = "a e i o u a e i o ai ia ei ou".split()
ENDINGS = ["", "", "", "n", "r", "s", "l", "x", "th", "nd", "ck"]


def is_held_out(word):
    """Whether a name, place or word is kept out of training; about one in eight is."""
    return word.lower() not in ALWAYS_SEEN and zlib.crc32(word.lower().encode()) % 8 == 0


@dataclass
class Exchange:
    """One question and its answer.

    `short` is the bare answer, for the modes that want one word or JSON; `think` is what a reasoning model thinks before.
    """

    user: str
    answer: str
    short: str | None = None
    think: str | None = None
    skill: str = ""


@dataclass
class World:
    """The source of everything random in one conversation.

    `split` is "train", or "test" for held-out words. `unseen` asks for wordings that training never has.
    """

    rng: random.Random
    split: str = "train"
    language: str = "en"
    pieces: list = field(default_factory=list)
    unseen: bool = False
    familiar: bool = False

    def chance(self, probability):
        """True with this probability."""
        return self.rng.random() < probability

    def pick(self, options):
        """One of the options."""
        return self.rng.choice(options)

    def wording(self, options):
        """One wording. The last one of a list of four or more is kept out of training, and all that `unseen` takes."""
        if len(options) < 4:
            return self.rng.choice(options)
        return options[-1] if self.unseen else self.rng.choice(options[:-1])

    def local(self, options):
        """One wording in the language of the conversation, of {"en": [...], "pt": [...]}."""
        return self.wording(options[self.language])

    def draw(self, make):
        """A word on this split's side of the fence between training and evaluation."""
        while is_held_out(word := make()) != (self.split == "test"):
            pass
        return word

    def invented(self, syllables=(1, 3)):
        """A word that means nothing, in lower case."""
        count = self.rng.randint(*syllables)
        return "".join(self.pick(CONSONANTS) + self.pick(VOWELS) for _ in range(count)) + self.pick(ENDINGS)

    def pasted(self):
        """A word pasted together from pieces of the vocabulary, in lower case: the hardest to copy."""
        if not self.pieces or self.chance(0.3):
            return "".join(self.pick("abcdefghijklmnopqrstuvwxyz") for _ in range(self.rng.randint(2, 7)))
        return "".join(self.pick(self.pieces) for _ in range(self.rng.randint(1, 3)))

    def proper(self, known, capital=True):
        """A name: a known one, or an invented one."""

        def make():
            kind = 0 if self.familiar else self.rng.random()
            if kind < 0.35:
                return self.pick(known)
            word = self.invented((2, 3)) if kind < 0.7 or self.split == "test" else self.pasted()
            return word[0].upper() + word[1:] if capital else word

        return self.draw(make)

    def say(self, options, keep=(), **values):
        """The user's side: one wording, filled in and varied. What is in `keep` is never changed."""
        return self.vary(self.local(options).format(**values), keep)

    def vary(self, text, keep=()):
        """Another spelling of a user's message: case, final mark, polite words."""
        if self.unseen:
            return text
        roll = self.rng.random()
        if roll < 0.14:
            text = change_case(text, keep, str.lower)
        elif roll < 0.21 and not keep:
            text = text.upper()
        elif roll < 0.26:
            text = self.pick(POLITE_BEFORE[self.language]) + change_first(text, keep)
        elif roll < 0.29 and text[-1] in ".?!":
            text = text[:-1] + self.pick(POLITE_AFTER[self.language]) + text[-1]
        if self.chance(0.15) and text[-1] in ".?!" and not text.endswith("..."):
            text = text[:-1]
        return text


POLITE_BEFORE = {
    "en": ["Please, ", "Hey, ", "Can you tell me: ", "Okay, ", "Tell me, ", "One question: ", "Hi! ", "So, "],
    "pt": ["Por favor, ", "Ei, ", "Me diga: ", "Então, ", "Uma pergunta: ", "Oi! "],
}
POLITE_AFTER = {"en": [", please", " please", ", thanks"], "pt": [", por favor", " por favor"]}


def change_case(text, keep, change):
    """Changes the case of all but what is to be kept."""
    parts = [re.escape(part) for part in keep if part]
    if not parts:
        return change(text)
    pieces = re.split("(" + "|".join(parts) + ")", text)
    return "".join(piece if index % 2 else change(piece) for index, piece in enumerate(pieces))


def change_first(text, keep):
    """The sentence as it stands after a comma: its first letter small, unless that is a name or "I"."""
    if text.startswith(("I ", "I'")) or any(part and text.startswith(part) for part in keep):
        return text
    return text[0].lower() + text[1:]
