"""Words of the other language, and answers in it."""

from . import facts, sums
from .world import Exchange

WORDS = dict(row.split("=") for row in "cat=gato, dog=cachorro, house=casa, water=água, bread=pão, milk=leite, book=livro, tree=árvore, sun=sol, moon=lua, star=estrela, sea=mar, fire=fogo, bird=pássaro, fish=peixe, horse=cavalo, friend=amigo, mother=mãe, father=pai, brother=irmão, sister=irmã, heart=coração, hand=mão, school=escola, city=cidade, street=rua, car=carro, train=trem, night=noite, day=dia, apple=maçã, coffee=café, red=vermelho, green=verde, blue=azul, yellow=amarelo, good=bom, thanks=obrigado, hello=olá, yes=sim".split(", "))
TO_PORTUGUESE = {
    "en": ["How do you say {word} in Portuguese?", "What is {word} in Portuguese?", "Translate {word} into Portuguese.", "What is the Portuguese word for {word}?", "Translate to Portuguese: {word}", "Say {word} in Portuguese.", "Tell me the Portuguese word for {word}."],
    "pt": ["Como se diz {word} em português?", "O que é {word} em português?", "Traduza {word} para o português.", "O que significa {word} em português?"],
}
TO_ENGLISH = {
    "en": ["How do you say {word} in English?", "What is {word} in English?", "Translate {word} into English.", "What is the English word for {word}?", "Translate to English: {word}", "What does {word} mean in English?"],
    "pt": ["Como se diz {word} em inglês?", "O que é {word} em inglês?", "Traduza {word} para o inglês.", "Qual é a palavra inglesa para {word}?", "Diga {word} em inglês."],
}
ANSWERS = {"en": ("{word} in Portuguese is {other}.", "{word} in English is {other}."), "pt": ("{word} em português é {other}.", "{word} em inglês é {other}.")}
IN_OTHER = {"en": ["Answer in Portuguese: {text}", "In Portuguese, please: {text}", "{text} Answer in Portuguese."], "pt": ["Responda em inglês: {text}", "Em inglês, por favor: {text}", "{text} Responda em inglês."]}
THOUGHTS = {"en": "I have to translate. It is {other}.", "pt": "Tenho que traduzir. É {other}."}


def translation(world):
    """One word in the other language."""
    english, portuguese = world.pick(sorted(WORDS.items()))
    forth = world.chance(0.5)
    word, other = (english, portuguese) if forth else (portuguese, english)
    user = world.say(TO_PORTUGUESE if forth else TO_ENGLISH, word=word)
    answer = facts.first_upper(ANSWERS[world.language][not forth].format(word=word, other=other))
    return Exchange(user, answer, other, THOUGHTS[world.language].format(other=other), "languages")


def crossed(world):
    """A question in the language of the conversation with its answer in the other one."""
    is_english = world.language == "en"
    skill = world.pick([facts.capital, facts.colour, sums.sum_])
    asked = skill(world)
    if skill is facts.capital:
        row = next(row for row in facts.COUNTRIES if f" {row[0 if is_english else 2]} " in asked.answer)
        asked.answer, asked.short = (f"A capital {row[2]} é {row[3]}.", row[3]) if is_english else (f"The capital of {row[0]} is {row[1]}.", row[1])
    elif skill is facts.colour:
        row = next(row for row in facts.COLOURS if asked.answer.startswith(facts.first_upper(row[0 if is_english else 2]) + " "))
        thing, shade, verb = (row[2], row[3], "é") if is_english else (row[0], row[1], "is")
        asked.answer, asked.short = f"{facts.first_upper(thing)} {verb} {shade}.", shade
    asked.think = THOUGHTS[world.language].format(other=asked.short)
    asked.skill = "languages"
    return asked


def in_other_language(world):
    """A question that wants its answer in the other language and says so."""
    asked = crossed(world)
    asked.user = world.pick(IN_OTHER[world.language]).format(text=asked.user if asked.user[-1] in ".?!" else asked.user + "?")
    return asked


def language(world):
    """One exchange across languages."""
    return in_other_language(world) if world.chance(0.4) else translation(world)
