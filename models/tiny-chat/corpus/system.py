"""System prompts: none, any, a name of its own, capital letters, a language, one word, JSON, a last sign."""

from . import counting, echo, emoji, facts, greetings, json_answers, languages, memory, stories, sums, unknown
from .chat import as_json
from .emoji import EMOJI
from .world import Exchange

PERSONA = {
    "en": ["You are {x}.", "Your name is {x}.", "You are called {x}.", "You are {x}, a helpful assistant.", "You are an assistant called {x}.", "You are an assistant named {x}.", "You are a bot named {x}."],
    "pt": ["Você é {x}.", "Seu nome é {x}.", "Você se chama {x}.", "Você é {x}, um assistente útil.", "Você é um assistente chamado {x}."],
}
BOTS = "Zorb Nova Max Luna Bolt Echo Pixel Spark Robo Ada Orion Vega Kit Sage Milo Titan Atlas Iris Rex Ruby Jarvo Bip Zed Nix Astro Cosmo Dot Pip Otto Gizmo".split()
GENERIC = {
    "en": ["You are a helpful assistant.", "You are a helpful and friendly assistant.", "Be polite.", "Answer briefly.", "Be kind and honest.", "You help people.", "Answer the questions of the user.", "You are an assistant.", "Keep your answers short.", "Always tell the truth.", "Do not lie.", "You are a friendly chat bot.", "Speak clearly.", "Never be rude.", "You are here to help.", "Give correct answers.", "If you do not know something, say so.", "Be careful with what you say.", "Help the user as well as you can.", "Use simple words.", "You may use tools when there are some.", "Do not invent anything.", "Today is a good day.", "The user is a nice person.", "You are a helpful, respectful and honest assistant.", "You answer questions."],
    "pt": ["Você é um assistente útil.", "Seja educado.", "Responda de forma breve.", "Você ajuda as pessoas.", "Responda às perguntas do usuário.", "Seja gentil e honesto.", "Sempre diga a verdade.", "Você é um assistente amigável.", "Fale com clareza.", "Se não souber, diga.", "Use palavras simples."],
}
UPPER = {
    "en": ["Answer in capital letters.", "Answer in uppercase.", "Always answer in uppercase.", "Write everything in capital letters.", "Use only capital letters.", "Answer only in upper case.", "Reply in uppercase letters.", "Always write in uppercase.", "SHOUT.", "You always write in capital letters.", "Respond in uppercase."],
    "pt": ["Responda em letras maiúsculas.", "Escreva tudo em maiúsculas.", "Use apenas letras maiúsculas.", "Responda sempre em maiúsculas.", "Responda em maiúsculas."],
}
ONE_WORD = {
    "en": ["Answer with one word.", "Answer in one word.", "Answer with a single word.", "Use only one word.", "Reply with one word.", "Always answer with one word only.", "Give one-word answers."],
    "pt": ["Responda com uma palavra.", "Responda em uma palavra.", "Use apenas uma palavra.", "Responda com uma só palavra."],
}
JSON = {
    "en": ["Answer in JSON.", "Answer as JSON.", "Always answer in JSON.", "Reply with JSON.", "Use JSON for your answers.", "Respond in JSON.", "Give every answer as JSON."],
    "pt": ["Responda em JSON.", "Sempre responda em JSON.", "Use JSON nas respostas.", "Dê cada resposta em JSON."],
}
SUFFIX = {
    "en": ["End every answer with {x}.", "Always end with {x}.", "Finish each answer with {x}.", "Put {x} at the end of every answer.", "Your answers end with {x}."],
    "pt": ["Termine cada resposta com {x}.", "Sempre termine com {x}.", "Ponha {x} no fim de cada resposta.", "Suas respostas terminam com {x}."],
}
LANGUAGE = {
    "en": ["Answer in Portuguese.", "Always answer in Portuguese.", "You speak Portuguese.", "Speak only Portuguese.", "Reply in Portuguese.", "Use Portuguese.", "Respond in Portuguese."],
    "pt": ["Responda em inglês.", "Sempre responda em inglês.", "Fale apenas inglês.", "Use o inglês."],
}
THINK = {
    "en": ["Think before you answer.", "Think first, then answer.", "Think step by step.", "Reason before you answer.", "Always think before you answer.", "Reason step by step.", "First think, then answer.", "Show your reasoning."],
    "pt": ["Pense antes de responder.", "Pense primeiro, depois responda.", "Pense passo a passo.", "Raciocine antes de responder.", "Primeiro pense, depois responda."],
}
PLAIN = [(facts.capital, 12), (facts.colour, 7), (facts.opposite, 9), (facts.day, 9), (sums.sum_, 17)]
CHAT = PLAIN + [
    (greetings.greeting, 7), (greetings.identity, 7), (counting.count, 17), (echo.echo, 14), (emoji.emoji, 12), (json_answers.json_answer, 8),
    (languages.language, 11), (stories.story, 6), (stories.small, 4), (unknown.unknown, 6),
]
MODES = [("none", 46), ("generic", 9), ("persona", 9), ("upper", 9), ("one word", 6), ("json", 4), ("suffix", 4), ("language", 5), ("user", 4), ("think", 8)]


def choose(world, weighted):
    """One of [(option, weight)]."""
    options, weights = zip(*weighted)
    return world.rng.choices(options, weights)[0]


def generic(world):
    """One to four sentences that change nothing."""
    return " ".join(world.rng.sample(GENERIC[world.language], world.pick([1, 1, 1, 2, 2, 3, 4])))


def with_generic(world, text):
    """A system prompt, at times with sentences around it that change nothing."""
    roll = world.rng.random()
    return f"{generic(world)} {text}" if roll < 0.25 else f"{text} {generic(world)}" if roll < 0.35 else text


def system_prompt(world, mode, memory_):
    """The system prompt of a mode, and what it says beyond the mode: the bot's name or the last sign."""
    if mode == "none":
        return None, None
    if mode == "generic":
        return generic(world), None
    if mode == "user":
        return with_generic(world, memory_.system()), None
    table = {"persona": PERSONA, "upper": UPPER, "one word": ONE_WORD, "json": JSON, "suffix": SUFFIX, "language": LANGUAGE, "think": THINK}[mode]
    value = world.proper(BOTS) if mode == "persona" else world.pick(EMOJI)[0] if mode == "suffix" else None
    return with_generic(world, world.local(table).format(x=value)), value


def crossed_greeting(world):
    """A greeting answered in the other language."""
    other = "pt" if world.language == "en" else "en"
    row = world.rng.randrange(len(greetings.GREETINGS["en"]))
    wordings = greetings.GREETINGS[world.language][row][0]
    user = world.vary(world.wording(wordings) if world.split == "train" else world.pick(wordings))
    return Exchange(user, greetings.GREETINGS[other][row][1], think=greetings.THOUGHTS[world.language][0], skill="greetings")


def exchange(world, mode, value, memory_):
    """One exchange as the mode wants it answered."""
    if mode in ("one word", "json"):
        asked = choose(world, PLAIN)(world)
        while asked.short is None:
            asked = choose(world, PLAIN)(world)
        short = int(asked.short) if mode == "json" and asked.short.isdigit() else asked.short
        asked.answer = as_json({"answer" if world.language == "en" else "resposta": short}) if mode == "json" else asked.short
        return asked
    if mode == "language":
        return crossed_greeting(world) if world.chance(0.25) else languages.crossed(world)
    if mode == "upper":
        asked = memory_.turn() if world.chance(0.15) else choose(world, PLAIN + [(greetings.greeting, 10), (greetings.identity, 8)])(world)
        asked.answer = asked.answer.upper()
        return asked
    if mode == "suffix":
        asked = choose(world, PLAIN + [(greetings.greeting, 10), (greetings.identity, 5)])(world)
        asked.answer += " " + value
        return asked
    if mode == "persona" and world.chance(0.45):
        return greetings.identity(world, value)
    if mode == "user" and world.chance(0.6):
        return memory_.ask()
    if mode == "think" and world.chance(0.5):
        return choose(world, PLAIN)(world)
    asked = memory_.turn() if world.chance(0.25) else choose(world, CHAT)(world)
    if mode == "persona" and asked.skill == "identity":
        asked = greetings.identity(world, value)
    return asked


__all__ = ["CHAT", "MODES", "PLAIN", "choose", "exchange", "generic", "memory", "system_prompt"]
