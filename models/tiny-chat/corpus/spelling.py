"""How a user spells a message: case, marks, polite words, and in training slips of the pen too."""

import re

POLITE_BEFORE = {
    "en": ["Please, ", "Hey, ", "Can you tell me: ", "Okay, ", "Tell me, ", "One question: ", "Hi! ", "So, "],
    "pt": ["Por favor, ", "Ei, ", "Me diga: ", "Então, ", "Uma pergunta: ", "Oi! "],
}
POLITE_AFTER = {"en": [", please", " please", ", thanks"], "pt": [", por favor", " por favor"]}
BEFORE = {
    "en": POLITE_BEFORE["en"] + ["Now, ", "And ", "Well, ", "Hello! ", "Hello, ", "Hi, ", "Tiny, ", "Please: ", "Quick question: ", "My question: ", "Another question: ", "Excuse me, ", "I have a question: ", "Let me ask: ", "Alright, ", "Good. ", "Thanks. ", "Next: ", "Sorry, ", "Listen: ", "Just a question: "],
    "pt": [before for before in POLITE_BEFORE["pt"] if before != "Me diga: "] + ["Agora, ", "E ", "Bem, ", "Olá! ", "Tiny, ", "Minha pergunta: ", "Outra pergunta: ", "Com licença, ", "Tenho uma pergunta: ", "Certo, ", "Obrigado. ", "Desculpe, "],
}
AFTER = {
    "en": POLITE_AFTER["en"] + [", thank you", ", if you can", ", my friend", ", okay", " now", " for me"],
    "pt": POLITE_AFTER["pt"] + [", obrigado", ", meu amigo", " agora", " para mim"],
}
SLIPS = {
    "What": ["Waht", "Wat", "Whta"], "what": ["waht", "wat"], "Which": ["Wich", "Whcih"], "is": ["si", "iz"], "the": ["teh", "th", "the the"], "capital": ["captial", "capitol", "capial"], "colour": ["coulor", "colur"], "opposite": ["oposite", "opposit"],
    "Tell": ["Tel", "Tlel"], "me": ["em", "mee"], "name": ["nme", "naem"], "my": ["mi", "ym"], "story": ["stroy", "storry"], "Count": ["Cout", "Conut"], "after": ["aftr", "afer"], "before": ["befor", "bfore"], "weather": ["wether", "waether"],
    "you": ["u", "yuo"], "are": ["r", "aer"], "live": ["liv", "lvie"], "called": ["caled", "calld"], "from": ["form", "frm"], "emoji": ["emoij", "emojy"], "number": ["numbr", "nubmer"], "please": ["pls", "plese"], "Please": ["Pls", "Plese"],
    "Qual": ["Qaul", "Qul"], "é": ["e"], "você": ["voce", "vc"], "história": ["historia"], "número": ["numero"], "Você": ["Voce", "Vc"], "está": ["esta"], "Como": ["Cmo"], "Conte": ["Cnote"], "até": ["ate"], "não": ["nao"],
}
WORD = re.compile(r"\w+")


def neatly(world, text, keep):
    """A message as the evaluation spells it."""
    roll = world.rng.random()
    if roll < 0.14:
        text = change_case(text, keep, str.lower)
    elif roll < 0.21 and not keep:
        text = text.upper()
    elif roll < 0.26:
        text = world.pick(POLITE_BEFORE[world.language]) + change_first(text, keep)
    elif roll < 0.29 and text[-1] in ".?!":
        text = text[:-1] + world.pick(POLITE_AFTER[world.language]) + text[-1]
    if world.chance(0.15) and text[-1] in ".?!" and not text.endswith("..."):
        text = text[:-1]
    return text


def loosely(world, text, keep):
    """A message as training spells it: the same and more, and several changes at once."""
    if world.chance(0.1):
        text = world.pick(BEFORE[world.language]) + change_first(text, keep)
    if world.chance(0.06) and text[-1] in ".?!":
        text = text[:-1] + world.pick(AFTER[world.language]) + text[-1]
    if world.chance(0.08):
        text = slip(world, text, keep)
    roll = world.rng.random()
    if roll < 0.17:
        text = change_case(text, keep, str.lower)
    elif roll < 0.34:
        text = change_case(text, keep, str.upper)
    return final_mark(world, text)


def final_mark(world, text):
    """The text with another mark at its end, or none."""
    if text[-1] not in ".?!" or text.endswith("..."):
        return text
    roll = world.rng.random()
    if roll < 0.18:
        return text[:-1]
    if roll < 0.2:
        return text + world.pick("?!.")
    return f"{text[:-1]} {text[-1]}" if roll < 0.22 else text


def slip(world, text, keep):
    """The text with one common word misspelt."""
    places = [found for found in WORD.finditer(text) if found[0] in SLIPS and not any(found[0] in part for part in keep)]
    if not places:
        return text
    found = world.pick(places)
    return text[: found.start()] + world.pick(SLIPS[found[0]]) + text[found.end() :]


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
