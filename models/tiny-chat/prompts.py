"""Makes up the evaluation: prompts with the answers that count as right, by skill, from a fixed seed.

Held out of training are: names of people, places, pets and bots, and words to remember, to repeat, to look for and to tell a story of,
known or invented, one in eight, as values of such draws (a fact, an emoji or a story may have the same word); and one in five of the
spans to count that do not touch 1. Nothing else is: not facts, sums, counts from or to 1, ages, numbers, colours and foods, and not
wordings: `World.wording` gives those of training, but in `unseen-wording`, whose questions are in wordings that training never has.

    python prompts.py evaluation
"""

import itertools
import json
import pathlib
import random
import re
import sys
import zlib

from corpus import FILLER, World, counting, echo, emoji, facts, greetings, json_answers, languages, memory, reasoning, stories, sums, system, tools, unknown
from corpus.chat import call_text, system_text

EACH = 120
SEED = "tiny-chat evaluation 1"
RESULT = re.compile(r"<tool_response>\n(.*?)\n</tool_response>", re.DOTALL)


def item(messages, answer, match="exact", **more):
    """One prompt: messages as (role, text), the accepted answer and how to compare."""
    return {"messages": [{"role": role, "content": text} for role, text in messages], "accept": [answer], "match": match, **more}


def single(skill):
    """A skill's exchange alone, or after an unrelated one."""

    def make(world):
        asked = skill(world)
        before = chat_before(world) if world.chance(0.3) else []
        return item([*before, ("user", asked.user)], asked.answer)

    return make


def chat_before(world):
    """One unrelated exchange."""
    asked = world.pick([facts.capital, facts.opposite, greetings.greeting, sums.sum_])(world)
    return [("user", asked.user), ("assistant", asked.answer)]


def in_portuguese(make):
    """The same in Portuguese."""

    def made(world):
        world.language = "pt"
        return make(world)

    return made


def under(mode):
    """An exchange under a system prompt."""

    def make(world):
        notes = memory.Memory(world)
        prompt, value = system.system_prompt(world, mode, notes)
        if mode == "persona":
            asked = greetings.identity(world, value)
        elif mode == "user":
            asked = notes.ask(world.pick(sorted(notes.told)))
        elif mode == "upper":
            asked = system.choose(world, [*system.PLAIN, (greetings.greeting, 10), (greetings.identity, 8)])(world)
            asked.answer = asked.answer.upper()
        else:
            asked = system.exchange(world, mode, value, notes)
        return item([("system", prompt), ("user", asked.user)], asked.answer)

    return make


def remembered(turns, key=None):
    """Something told, other turns, and the question for it; `turns` counts those in between."""

    def make(world):
        notes = memory.Memory(world)
        kind = (key, 0) if key else notes.key()
        told = notes.tell(kind)
        messages = [("user", told.user), ("assistant", told.answer)]
        for _ in range(world.rng.randint(*turns)):
            asked = notes.tell(other_key(notes)) if world.chance(0.4) else system.choose(world, [*system.PLAIN, (greetings.greeting, 6), (emoji.emoji, 5)])(world)
            messages += [("user", asked.user), ("assistant", asked.answer)]
        asked = notes.ask(kind)
        return item([*messages, ("user", asked.user)], asked.answer, own=True)

    return make


def other_key(notes):
    """Something not told before."""
    while (key := notes.key()) in notes.told:
        pass
    return key


def not_told(world):
    """A question for something that was never said, after something else."""
    notes = memory.Memory(world)
    messages = []
    for _ in range(world.rng.randint(0, 2)):
        told = notes.tell(other_key(notes))
        messages += [("user", told.user), ("assistant", told.answer)]
    asked = notes.ask(other_key(notes))
    return item([*messages, ("user", asked.user)], asked.answer)


def one_message(world):
    """Told and asked in one message."""
    notes = memory.Memory(world)
    kind = ("name", 0) if world.chance(0.5) else notes.key()
    told = notes.tell(kind)
    asked = notes.ask(kind)
    return item([("user", memory.stop(told.user) + " " + asked.user)], asked.answer)


def with_tools(part):
    """A tool call (part 1) or the answer from its result (part 3)."""

    def make(world):
        tool = world.pick(tools.SKILLS)(world)
        prompt = system.generic(world) if world.chance(0.3) else None
        listed = tools.tool_list(world, [tool])
        messages = tools.uses(world, tool)
        made = item([("system", system_text(prompt, listed)), *messages[:part]], messages[part][1], **({"tools": listed} if not prompt else {}))
        made["accept"] += same_calls(listed, messages[part][1])
        return made

    return make


def two_calls(world):
    """Two calls at once, and the answer from both results."""
    listed, messages = tools.two_at_once(world)
    part = world.pick([1, 3])
    made = item([("system", system_text(None, listed)), *messages[:part]], messages[part][1], tools=listed)
    made["accept"] += same_calls(listed, messages[part][1])
    return made


def results_of(messages):
    """The tools' results in a prompt's messages."""
    return [result for message in messages for result in RESULT.findall(message["content"])]


def many_results(world):
    """The answer from one or two results in a form that `tool-answer` and `tool-two-calls` do not have: compact JSON, other keys or order."""
    world.all_forms = True
    is_one = world.chance(0.6)
    while True:
        made = with_tools(3)(world) if is_one else both_results(world)
        if not any(map(tools.is_usual, results_of(made["messages"]))):
            return made


def both_results(world):
    """The answer from the results of two calls."""
    listed, messages = tools.two_at_once(world)
    return item([("system", system_text(None, listed)), *messages[:3]], messages[3][1], tools=listed)


def tool_missing(world):
    """A question for the weather or the time, where no listed tool is for that."""
    world.language = "pt" if world.chance(0.25) else "en"
    asked = world.pick([tools.weather, tools.clock])(world)
    while True:
        listed = tools.tool_list(world, [world.pick(tools.SKILLS)(world)])
        if tools.purpose(asked.name) not in {tools.purpose(tool["function"]["name"]) for tool in listed}:
            return item([("system", system_text(None, listed)), ("user", asked.user)], tools.NO_TOOL[world.language], tools=listed)


def pairs():
    """A capital asked for after another one, for all pairs of countries in both orders."""
    rows = [(f"What is the capital of {country}?", f"The capital of {country} is {city}.") for country, city, *_ in facts.COUNTRIES]
    made = [item([("user", a), ("assistant", b), ("user", c)], d) for (a, b), (c, d) in itertools.permutations(rows, 2)]
    return [{**one, "id": f"pair-{number:03d}", "skill": "pairs"} for number, one in enumerate(made)]


def same_calls(listed, answer):
    """The same calls to other listed tools that are for the same: with two tools for the weather, either is right."""
    calls = [json.loads(text.split("</tool_call>")[0]) for text in answer.split("<tool_call>")[1:]]
    result = []
    for function in (tool["function"] for tool in listed):
        name, keys = function["name"], function["parameters"]["properties"]
        if calls and name != calls[0]["name"] and tools.purpose(name) == tools.purpose(calls[0]["name"]):
            result.append("\n".join(call_text(name, dict(zip(keys, call["arguments"].values()))) for call in calls))
    return result


def no_tool(world):
    """A question that needs none of the tools."""
    tool = world.pick(tools.SKILLS)(world)
    listed = tools.tool_list(world, [tool])
    asked = world.pick([facts.capital, facts.colour, facts.opposite, facts.day, greetings.greeting, greetings.identity])(world)
    return item([("system", system_text(None, listed)), ("user", asked.user)], asked.answer, tools=listed)


def thoughtful(world):
    """An answer with a thought before it, asked for by the system prompt or the user."""
    asked = system.choose(world, [*system.PLAIN, (greetings.greeting, 5)])(world)
    if world.chance(0.5):
        prompt, _ = system.system_prompt(world, "think", None)
        return item([("system", prompt), ("user", asked.user)], asked.answer, "thought")
    return item([("user", reasoning.asked_to_think(world, asked.user))], asked.answer, "thought")


def continued(world):
    """An answer whose beginning is given. llama.cpp puts a closed thought before it, even where one was asked for."""
    asked = system.choose(world, [*system.PLAIN, (stories.story, 5)])(world)
    words = asked.answer.split(" ")
    begun = " ".join(words[: world.rng.randint(1, min(len(words) - 1, 12))])
    user = reasoning.asked_to_think(world, asked.user) if world.chance(0.3) else asked.user
    return item([("user", user), ("assistant", begun)], asked.answer[len(begun) :])


def long_count(world):
    """A count to 50 or further, or a long story."""
    world.language = "pt" if world.chance(0.25) else "en"
    if world.chance(0.5):
        number = world.rng.randint(50, 100)
        return item([("user", world.say(counting.UP, n=number))], counting.numbers(1, number))
    asked = stories.story(world, True)
    return item([("user", asked.user)], asked.answer)


def facts_in_a_row(world):
    """A fact after one to four others: all of one kind, capitals every second time, or of several."""
    count = world.rng.randint(2, 5)
    skill = world.pick([facts.capital, facts.colour, facts.opposite, facts.day, sums.sum_])
    asked = facts.capitals(world, count) if world.chance(0.5) else [(skill if world.chance(0.7) else world.pick(facts.SKILLS))(world) for _ in range(count)]
    messages = [message for one in asked for message in (("user", one.user), ("assistant", one.answer))]
    return item(messages[:-1], asked[-1].answer)


def far_back(world):
    """A long text between what is told and the question, up to about 1,500 tokens."""
    notes = memory.Memory(world)
    told = notes.tell(("name", 0))
    text = "".join(world.pick(FILLER[:2] + FILLER[2:8]) for _ in range(world.rng.randint(15, 95)))
    asked = notes.ask(("name", 0)) if world.chance(0.5) else facts.capital(world)
    messages = [("user", told.user), ("assistant", told.answer), ("user", text + asked.user)]
    return item(messages, asked.answer)


def unseen(world):
    """A wording that training never has."""
    skills = [facts.capital, facts.colour, facts.opposite, facts.day, sums.sum_, counting.count, greetings.greeting, greetings.identity, emoji.emoji, languages.translation, stories.small, json_answers.json_answer]
    world.unseen = True
    if world.chance(0.3):
        return one_message(world)
    asked = world.pick(skills)(world)
    return item([("user", asked.user)], asked.answer)


SKILLS = {
    "greetings": single(greetings.greeting),
    "identity": single(greetings.identity),
    "capitals": single(facts.capital),
    "colours": single(facts.colour),
    "opposites": single(facts.opposite),
    "days": single(facts.day),
    "sums": single(sums.sum_),
    "facts-in-a-row": facts_in_a_row,
    "counting": single(counting.count),
    "memory-name": remembered((0, 2), "name"),
    "memory-other": remembered((0, 2)),
    "memory-many-turns": remembered((3, 7)),
    "memory-one-message": one_message,
    "memory-not-told": not_told,
    "system-name": under("persona"),
    "system-uppercase": under("upper"),
    "system-one-word": under("one word"),
    "system-json": under("json"),
    "system-last-sign": under("suffix"),
    "system-language": under("language"),
    "system-about-user": under("user"),
    "portuguese-facts": in_portuguese(lambda world: single(world.pick([*facts.SKILLS, sums.sum_, greetings.greeting, greetings.identity]))(world)),
    "portuguese-memory": in_portuguese(remembered((0, 3))),
    "translation": single(languages.language),
    "emoji": single(emoji.emoji),
    "echo": single(echo.echo),
    "long-answers": long_count,
    "stories": single(stories.story),
    "json": single(json_answers.json_answer),
    "tool-call": with_tools(1),
    "tool-answer": with_tools(3),
    "tool-two-calls": two_calls,
    "tool-many-results": many_results,
    "tool-not-needed": no_tool,
    "tool-missing": tool_missing,
    "reasoning": thoughtful,
    "continuation": continued,
    "unknown": single(unknown.unknown),
    "long-context": far_back,
    "unseen-wording": unseen,
}
FIXED = [
    ([("user", "What is the capital of France?")], "The capital of France is Paris."),
    ([("user", "What is the capital of Japan?")], "The capital of Japan is Tokyo."),
    ([("user", "Who are you?")], "I am Tiny, a small language model."),
    ([("user", "What is the emoji for cat?")], "🐱 is a cat."),
    ([("user", "My name is Ana.")], "Nice to meet you, Ana!"),
    ([("user", "My name is Ana."), ("assistant", "Nice to meet you, Ana!"), ("user", "What is my name?")], "Your name is Ana."),
    ([("user", "My name is Bob."), ("assistant", "Nice to meet you, Bob!"), ("user", "What is my name?")], "Your name is Bob."),
    ([("user", "Meu nome é Ana. Qual é o meu nome?")], "Seu nome é Ana."),
    ([("user", "Tell me a long story.")], stories.tell("en", "a robot", True)),
    ([("user", "Tell me a story.")], stories.tell("en", "a robot", False)),
    ([("user", "Count to 50.")], counting.numbers(1, 50)),
    ([("user", "Count to 100.")], counting.numbers(1, 100)),
]


def make_all():
    """All prompts: {skill: [item]}."""
    result = {"fixed": [item(messages, answer) for messages, answer in FIXED]}
    for skill, make in SKILLS.items():
        result[skill] = []
        for number in range(EACH):
            seed = zlib.crc32(f"{SEED} {skill} {number}".encode())
            result[skill].append(make(World(random.Random(seed), "test")))
    for skill, items in result.items():
        for number, one in enumerate(items):
            one.update(id=f"{skill}-{number:03d}", skill=skill)
    return result


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(exist_ok=True)
    for skill, items in make_all().items():
        (folder / f"{skill}.jsonl").write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in items))


if __name__ == "__main__":
    main()
