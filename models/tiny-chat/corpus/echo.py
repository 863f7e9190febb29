"""Saying a text again, letter by letter, whatever it is: the ground on which remembering grows."""

from .emoji import EMOJI
from .world import Exchange

WORDS = "apple river stone green winter garden music seven bread window silver cloud market orange paper summer island dragon coffee mirror table forest little castle horse yellow letter morning candle bridge".split()
WORDS_PT = "maçã coração pão céu rio pedra verde inverno jardim música janela nuvem mercado papel verão ilha dragão café espelho mesa floresta cavalo amarelo carta manhã vela ponte avó irmão canção ação limões".split()
OTHER = "é à ü ñ ç ø å ß č ž ł 日本 中文 東京 你好 мир да привет שלום नमस्ते 안녕 ελλάδα € ° ½ → ✓".split()
WORDINGS = {
    "en": ["Repeat: {text}", "Say: {text}", "Repeat after me: {text}", "Please repeat: {text}", "Echo: {text}", "Write: {text}", "Say this: {text}", "Repeat this text: {text}"],
    "pt": ["Repita: {text}", "Diga: {text}", "Repita comigo: {text}", "Escreva: {text}", "Repita este texto: {text}"],
}
THOUGHTS = {"en": "I have to repeat the text.", "pt": "Tenho que repetir o texto."}


def word(world):
    """One word, number or sign."""
    roll = world.rng.random()
    if roll < 0.3:
        return world.draw(lambda: world.pick(WORDS if world.language == "en" else WORDS_PT))
    if roll < 0.65:
        return world.draw(world.invented if world.chance(0.4) or world.split == "test" else world.pasted)
    if roll < 0.75:
        return str(world.rng.randint(0, 9999) if world.chance(0.5) else world.rng.randint(0, 100))
    if roll < 0.88:
        return world.pick(EMOJI)[0]
    return world.pick(OTHER)


def echo(world):
    """One to six words to say again."""
    words = [word(world) for _ in range(world.rng.randint(1, 6))]
    if world.chance(0.3):
        words[0] = words[0][0].upper() + words[0][1:]
    text = " ".join(words)
    return Exchange(world.local(WORDINGS).format(text=text), text, think=THOUGHTS[world.language], skill="echo")
