"""What every skill shares: the random source, the language, invented words, and the varied wording of the user's side.

The assistant's wording never varies: one question has one answer, so that greedy decoding is stable.
"""

import functools
import random
import re
import zlib
from dataclasses import dataclass, field

from .spelling import loosely, neatly
from .wordings import MORE

ALWAYS_SEEN = {"ana", "bob"}
CONSONANTS = "b c d f g h j k l m n p r s t v w z br dr gr kl pr st tr th sh".split()
VOWELS = "a e i o u a e i o ai ia ei ou".split()
ENDINGS = ["", "", "", "n", "r", "s", "l", "x", "th", "nd", "ck"]
ACCENTED = dict(zip("aeioucn", ["áàâãä", "éèê", "íì", "óôõöø", "úü", "ç", "ñ"]))


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

    `split` is "train", or "test" for held-out words. `unseen` asks for wordings that training never has, `all_forms` for tools'
    results in all their forms, as training always has them.
    """

    rng: random.Random
    split: str = "train"
    language: str = "en"
    pieces: list = field(default_factory=list)
    unseen: bool = False
    familiar: bool = False
    all_forms: bool = False

    def has_all_forms(self):
        """Whether tools' results come in all their forms."""
        return self.all_forms or self.split == "train"

    def chance(self, probability):
        """True with this probability."""
        return self.rng.random() < probability

    def pick(self, options):
        """One of the options."""
        return self.rng.choice(options)

    def wording(self, options):
        """One wording. The last one of a list of four or more is kept out of training, and all that `unseen` takes."""
        if self.split == "train" and options[0] in MORE and self.chance(0.55):
            return self.rng.choice(further(tuple(options)))
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
        if self.split == "train" and self.pieces and self.chance(0.25):
            return self.pasted()
        count = self.rng.randint(*syllables)
        return self.accented("".join(self.pick(CONSONANTS) + self.pick(VOWELS) for _ in range(count)) + self.pick(ENDINGS))

    def pasted(self):
        """A word pasted together from pieces of the vocabulary, in lower case: the hardest to copy."""
        if not self.pieces or self.chance(0.3):
            return "".join(self.pick("abcdefghijklmnopqrstuvwxyz") for _ in range(self.rng.randint(2, 7)))
        return self.accented("".join(self.pick(self.pieces) for _ in range(self.rng.randint(1, 3))))

    def accented(self, word):
        """The word, in training at times with an accent on one of its letters."""
        if self.split == "test" or not self.chance(0.12):
            return word
        index = self.rng.randrange(len(word))
        return word[:index] + self.pick(ACCENTED.get(word[index], word[index])) + word[index + 1 :]

    def phrase(self, make):
        """A word, in training at times two or three."""
        count = self.pick([1, 1, 1, 2, 3]) if self.split == "train" else 1
        return " ".join(make() for _ in range(count))

    def proper(self, known, capital=True):
        """A name: a known one, or an invented one."""

        def make():
            kind = 0 if self.familiar else self.rng.random()
            if kind < 0.35:
                return self.pick(known)
            word = self.invented((2, 3)) if kind < 0.7 or self.split == "test" else self.pasted()
            return word[0].upper() + word[1:] if capital else word

        if self.split == "train" and capital and not self.familiar and self.chance(0.06):
            return f"{self.draw(make)} {self.draw(make)}"
        return self.draw(make)

    def say(self, options, keep=(), **values):
        """The user's side: one wording, filled in and varied. What is in `keep` is never changed."""
        return self.vary(self.local(options).format(**values), keep)

    def vary(self, text, keep=()):
        """Another spelling of a user's message: case, final mark, polite words."""
        if self.unseen:
            return text
        return (loosely if self.split == "train" else neatly)(self, text, keep)


@functools.cache
def further(options):
    """The wordings that training has beyond these, without the one that is kept out of it."""
    held_out = bare(options[-1]) if len(options) > 3 else None
    return [wording for wording in MORE[options[0]] if bare(wording) != held_out]


def bare(wording):
    """A wording without case, marks and the names of its places to fill, to compare it by."""
    return re.sub(r"[^\w{}]+", " ", re.sub(r"{\w+}", "{}", wording.lower())).strip()
