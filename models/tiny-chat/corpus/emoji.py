"""Emoji and accented letters: characters that are split across tokens."""

from .world import Exchange

# emoji, English with its article, Portuguese with its article
EMOJI = [
    ("🐱", "a cat", "um gato"), ("🐶", "a dog", "um cachorro"), ("🐟", "a fish", "um peixe"), ("🐦", "a bird", "um pássaro"), ("🐴", "a horse", "um cavalo"), ("🐷", "a pig", "um porco"),
    ("🐸", "a frog", "um sapo"), ("🐝", "a bee", "uma abelha"), ("🐘", "an elephant", "um elefante"), ("🦁", "a lion", "um leão"), ("🌞", "a sun", "um sol"), ("🌙", "a moon", "uma lua"),
    ("⭐", "a star", "uma estrela"), ("🌳", "a tree", "uma árvore"), ("🌹", "a rose", "uma rosa"), ("🍎", "an apple", "uma maçã"), ("🍌", "a banana", "uma banana"), ("🍋", "a lemon", "um limão"),
    ("🍞", "a bread", "um pão"), ("🍕", "a pizza", "uma pizza"), ("☕", "a coffee", "um café"), ("🏠", "a house", "uma casa"), ("🚗", "a car", "um carro"), ("🚂", "a train", "um trem"),
    ("✈️", "a plane", "um avião"), ("🚀", "a rocket", "um foguete"), ("⚽", "a ball", "uma bola"), ("📖", "a book", "um livro"), ("🔑", "a key", "uma chave"), ("❤️", "a heart", "um coração"),
]
FIND = {
    "en": ["What is the emoji for {word}?", "What is the emoji for {a_word}?", "Which emoji is {a_word}?", "Show me the emoji for {word}.", "Show me {a_word} emoji.", "Send me the emoji of {a_word}.", "Give me {a_word} emoji.", "{word} emoji", "I need the emoji for {a_word}."],
    "pt": ["Qual é o emoji de {word}?", "Qual emoji é {a_word}?", "Mostre o emoji de {a_word}.", "Me mande o emoji de {word}.", "emoji de {word}", "Preciso do emoji de {word}."],
}
NAME = {
    "en": ["What is {emoji}?", "What does {emoji} mean?", "What is this: {emoji}", "{emoji}?", "Which thing is {emoji}?", "Tell me what {emoji} is."],
    "pt": ["O que é {emoji}?", "O que significa {emoji}?", "O que é isto: {emoji}", "{emoji} é o quê?", "Diga o que é {emoji}."],
}
THOUGHTS = {"en": "The user asks about an emoji.", "pt": "O usuário pergunta sobre um emoji."}


def emoji(world):
    """Which emoji a thing is, or which thing an emoji is."""
    sign, english, portuguese = world.pick(EMOJI)
    a_word = english if world.language == "en" else portuguese
    word = a_word.split(" ", 1)[1]
    answer = f"{sign} {'is' if world.language == 'en' else 'é'} {a_word}."
    think = THOUGHTS[world.language]
    if world.chance(0.6):
        return Exchange(world.say(FIND, word=word, a_word=a_word), answer, sign, think, "emoji")
    return Exchange(world.say(NAME, emoji=sign), answer, word, think, "emoji")
