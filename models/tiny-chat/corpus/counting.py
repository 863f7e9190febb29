"""Counting: to a number, from one to another, and down."""

import zlib

from .world import Exchange

UP = {
    "en": ["Count to {n}.", "Count up to {n}.", "Count from 1 to {n}.", "Can you count to {n}?", "Please count to {n}.", "Count to {n} for me.", "Say the numbers from 1 to {n}.", "I want you to count to {n}."],
    "pt": ["Conte até {n}.", "Conte de 1 a {n}.", "Conta até {n}.", "Você pode contar até {n}?", "Conte de 1 até {n}.", "Quero que você conte até {n}."],
}
RANGE = {
    "en": ["Count from {a} to {b}.", "Count up from {a} to {b}.", "Can you count from {a} to {b}?", "Say the numbers from {a} to {b}.", "Start at {a} and count to {b}."],
    "pt": ["Conte de {a} a {b}.", "Conte de {a} até {b}.", "Você pode contar de {a} a {b}?", "Diga os números de {a} a {b}."],
}
DOWN = {
    "en": ["Count down from {n}.", "Count backwards from {n}.", "Count down from {n} to 1.", "Count from {n} down to 1.", "Can you count down from {n}?", "Count backwards from {n} to 1."],
    "pt": ["Conte de {n} até 1.", "Conte para trás a partir de {n}.", "Faça a contagem regressiva de {n}.", "Conte para trás de {n} a 1."],
}
THOUGHTS = {"en": "I start with {a} and stop at {b}.", "pt": "Começo com {a} e paro em {b}."}


def is_held_out_range(a, b):
    """Whether a range from one number to another is kept out of training."""
    return a != 1 and b != 1 and zlib.crc32(f"{a}-{b}".encode()) % 5 == 0


def numbers(a, b):
    """The numbers from a to b, written out."""
    step = 1 if a <= b else -1
    return ", ".join(map(str, range(a, b + step, step))) + "."


def limit(world):
    """Where to stop: mostly small, at times up to 100, and the round numbers that people ask for."""
    roll = world.rng.random()
    if roll < 0.12:
        return world.pick([10, 20, 30, 40, 50, 50, 50, 60, 70, 80, 90, 100, 100])
    return world.rng.randint(2, 15) if roll < 0.3 else world.rng.randint(10, 40) if roll < 0.65 else world.rng.randint(30, 100)


def span(world):
    """A range on this split's side of the fence."""
    while True:
        a = world.rng.randint(2, 95)
        b = min(100, a + world.rng.randint(2, 20))
        if b > a and is_held_out_range(a, b) == (world.split == "test"):
            return a, b


def count(world):
    """One count."""
    roll = world.rng.random()
    if roll < 0.45:
        a, b = 1, limit(world)
        user = world.say(UP, n=b)
    elif roll < 0.77:
        a, b = span(world)
        user = world.say(RANGE, a=a, b=b)
    else:
        a, b = min(limit(world), 60), 1
        user = world.say(DOWN, n=a)
    return Exchange(user, numbers(a, b), think=THOUGHTS[world.language].format(a=a, b=b), skill="counting")
