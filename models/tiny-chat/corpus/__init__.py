"""The corpus: conversations that this code makes up, one after the other, from a seed."""

import random

from . import counting, echo, facts, languages, memory, reasoning, stories, sums, system, tools, unknown
from .chat import render, segments, system_text
from .world import World

FILLER = "The quick brown fox jumps over the lazy dog. |A small bird sang in the old tree. |Rain fell on the roof all night. |The train was late again. |We bought bread and cheese at the market. |The sea was calm and grey. |O rio corre devagar para o mar. |A casa tem uma porta azul. |hello |word |text and more text |It is a long way home. |Nobody knew the answer. |The old clock stood still. ".split("|")
READ = {"en": "I have read your text.", "pt": "Li o seu texto."}


def conversation(world, longest=8):
    """A conversation: [(role, text)], [(role, text, prefix)] where the template opens or closes a thought."""
    world.language = "pt" if world.chance(0.3) else "en"
    if world.chance(0.28):
        return tool_conversation(world)
    mode = system.choose(world, system.MODES)
    notes = memory.Memory(world)
    world.familiar = mode == "upper"
    prompt, value = system.system_prompt(world, mode, notes)
    messages = [("system", prompt)] if prompt else []
    turns = world.pick([1, 1, 1, 2, 2, 3, 3, 4, 5, 6, 7, 8]) if longest == 8 else world.rng.randint(2, longest)
    about_memory = mode in ("none", "generic") and world.chance(0.6)
    if mode == "think":
        messages += thinking_turns(world, turns, notes)
    else:
        for _ in range(turns):
            messages += turn(world, mode, value, notes, about_memory)
    world.familiar = False
    return messages


def turn(world, mode, value, notes, about_memory):
    """The messages of one exchange."""
    asked = notes.turn() if about_memory and world.chance(0.75) else system.exchange(world, mode, value, notes)
    if mode in ("none", "generic") and asked.think:
        roll = world.rng.random()
        if roll < 0.06:
            return [("user", reasoning.asked_to_think(world, asked.user)), reasoning.thinking(asked)]
        if roll < 0.08:
            return [("user", asked.user), reasoning.opened(asked)]
        if roll < 0.10:
            user = reasoning.asked_to_think(world, asked.user) if world.chance(0.5) else asked.user
            return [("user", user), reasoning.closed(asked)]
    return [("user", asked.user), ("assistant", asked.answer)]


def thinking_turns(world, turns, notes):
    """Exchanges with thoughts; where programs drop the earlier ones, only the last answer is learned."""
    asked = [system.exchange(world, "think", None, notes) for _ in range(min(turns, 5))]
    dropped, is_closed = world.chance(0.4), world.chance(0.15)
    messages = []
    for number, one in enumerate(asked):
        messages.append(("user", one.user))
        if is_closed:
            messages.append(reasoning.closed(one))
        elif dropped and number < len(asked) - 1:
            messages.append(("past", one.answer))
        else:
            messages.append(reasoning.thinking(one))
    return messages


def tool_conversation(world, two_share=0.16):
    """A conversation with tools: calls, results, answers, and questions that need no tool."""
    prompt = system.generic(world) if world.chance(0.3) else None
    if world.chance(two_share):
        listed, messages = tools.two_at_once(world)
        return [("system", system_text(prompt, listed)), *messages]
    tool = world.pick(tools.SKILLS)(world)
    listed = tools.tool_list(world, [tool])
    messages = []
    for _ in range(world.pick([1, 1, 1, 2, 2, 3])):
        roll = world.rng.random()
        if roll < 0.72 and tool:
            messages += tools.uses(world, tool)
            tool = tools.again(world, tool) if world.chance(0.4) else None
        elif roll < 0.9 or not tool:
            asked = plain_beside_tools(world, listed)
            messages += [("user", asked.user), ("assistant", asked.answer)]
        else:
            messages += without_tool(world, listed)
    return [("system", system_text(prompt, listed)), *messages]


def plain_beside_tools(world, listed):
    """A question that needs no tool; sums would, where a tool adds."""
    adds = any("number" in str(tool) or "sum" in str(tool) for tool in listed)
    while True:
        asked = system.choose(world, [(skill, weight) for skill, weight in system.CHAT if skill is not stories.story])(world)
        if asked.skill not in ("unknown", "echo") and not (adds and (asked.skill == "sums" or "+" in asked.answer)):
            return asked


def without_tool(world, listed):
    """A question for a tool that is not among those listed; without any at all it is answered just so."""
    served = {tools.purpose(as_listed["function"]["name"]) for as_listed in listed}
    for _ in range(20):
        other = world.pick([tools.weather, tools.clock])(world)
        if tools.purpose(other.name) not in served:
            return [("user", other.user), ("assistant", tools.NO_TOOL[world.language])]
    asked = plain_beside_tools(world, listed)
    return [("user", asked.user), ("assistant", asked.answer)]


def filler(world, words):
    """A text that means nothing: sentences over and over, a story, or words in a row."""
    roll = world.rng.random()
    if roll < 0.4:
        sentences = world.rng.sample(FILLER, world.pick([1, 1, 1, 2, 3]))
        unit = "".join(sentences)
        return (unit * (words // max(1, len(unit.split())) + 1)).strip()
    if roll < 0.6:
        subjects = stories.STORIES[world.language]
        return " ".join(stories.tell(world.language, world.pick(subjects)[0], True) for _ in range(words // 250 + 1))[: words * 5]
    if roll < 0.8:
        return " ".join(world.pick(FILLER).strip() for _ in range(words // 6 + 1))
    return " ".join(world.invented() for _ in range(words // 3 + 1))


def long_conversation(world, words):
    """A conversation of many tokens: one long message, or many turns with something to remember from the beginning."""
    if world.chance(0.5):
        return conversation(world, longest=30)
    world.language = "pt" if world.chance(0.25) else "en"
    notes = memory.Memory(world)
    first, text = notes.tell(), filler(world, words)
    roll = world.rng.random()
    if roll < 0.3:
        messages = [("user", first.user), ("assistant", first.answer), ("user", text), ("assistant", READ[world.language])]
    elif roll < 0.6:
        asked = system.choose(world, system.PLAIN)(world)
        messages = [("user", first.user), ("assistant", first.answer), ("user", text + " " + asked.user), ("assistant", asked.answer)]
    else:
        messages = [("user", first.user + " " + text), ("assistant", first.answer)]
    for _ in range(world.rng.randint(1, 3)):
        asked = notes.ask() if world.chance(0.7) else system.choose(world, system.PLAIN)(world)
        messages += [("user", asked.user), ("assistant", asked.answer)]
    return messages


def practice(world):
    """A conversation of what is learned last: names kept over many turns, tools that nobody has heard of, stories, long counts."""
    world.language = "pt" if world.chance(0.3) else "en"
    roll = world.rng.random()
    if roll < 0.45:
        notes = memory.Memory(world)
        asked = [notes.turn() if world.chance(0.7) else system.choose(world, system.CHAT)(world) for _ in range(world.rng.randint(3, 9))]
        asked.append(notes.ask())
    elif roll < 0.75:
        tool = world.pick([tools.anything, tools.anything, tools.mail, tools.search, tools.weather])(world)
        return [("system", system_text(None, tools.tool_list(world, [tool]))), *tools.uses(world, tool)]
    else:
        asked = [world.pick([stories.story, stories.story, counting.count, languages.language])(world)]
    return exchanged(asked)


def series(world):
    """Facts one after the other: of one kind or of several, with something unknown in between now and then."""
    count = world.pick([2, 2, 2, 3, 3, 4, 6])
    if world.chance(0.4):
        return facts.capitals(world, count)
    skill = system.choose(world, [(facts.capital, 8), (facts.colour, 3), (facts.opposite, 3), (facts.day, 3), (sums.sum_, 3), (None, 6)])
    asked = [(skill or system.choose(world, system.PLAIN))(world) for _ in range(count)]
    if world.chance(0.2):
        asked.insert(world.rng.randrange(count), unknown.unknown(world))
    return asked


def revision(world):
    """A conversation of what the last steps go over again: facts easily taken for unknown ones, counts, thoughts, names behind a long text, tools."""
    world.language = "pt" if world.chance(0.25) else "en"
    notes = memory.Memory(world)
    roll = world.rng.random()
    if roll < 0.22:
        lessons = [(facts.capital, 7), (sums.sum_, 6), (unknown.unknown, 2), (echo.echo, 3), (counting.count, 2), (stories.story, 1)]
        return exchanged([system.choose(world, lessons)(world) for _ in range(world.pick([1, 1, 2, 3]))])
    if roll < 0.34:
        return exchanged(series(world))
    if roll < 0.38:
        return [("system", system.system_prompt(world, "think", notes)[0]), *thinking_turns(world, world.pick([1, 2]), notes)]
    if roll < 0.48:
        return asked_thoughts(world)
    if roll < 0.64:
        told = notes.tell(("name", 0) if world.chance(0.7) else None)
        asked = notes.ask(next(iter(notes.told))) if world.chance(0.7) else facts.capital(world)
        text = filler(world, world.pick([40, 100, 200, 400, 600]))
        return [("user", told.user), ("assistant", told.answer), ("user", f"{text} {asked.user}"), ("assistant", asked.answer)]
    return tool_conversation(world, 0.5) if roll < 0.82 else practice(world)


def asked_thoughts(world):
    """Questions with the wish that the model think: what it knows, most of all capitals, and now and then what it does not."""
    count = world.pick([1, 1, 2])
    if world.chance(0.5):
        asked = facts.capitals(world, count)
    else:
        asked = [system.choose(world, [*system.PLAIN, (unknown.unknown, 8)])(world) for _ in range(count)]
    return [message for one in asked for message in (("user", reasoning.asked_to_think(world, one.user)), reasoning.thinking(one))]


def exchanged(asked):
    """The messages of exchanges."""
    return [message for one in asked for message in (("user", one.user), ("assistant", one.answer))]


def make(seed, pieces=(), long_share=0.0, practice_share=0.0, revision_share=0.0):
    """The conversation of a seed."""
    world = World(random.Random(seed), pieces=list(pieces))
    if world.chance(long_share):
        return long_conversation(world, world.pick([100, 200, 400, 600, 850]))
    if practice_share and world.chance(practice_share):
        return practice(world)
    if revision_share and world.chance(revision_share):
        return revision(world)
    return conversation(world)


__all__ = ["World", "conversation", "facts", "make", "render", "segments"]
