"""Calling tools and answering from their results."""

import json
from dataclasses import dataclass

from .chat import as_json, call_text, response_text
from .echo import WORDS
from .memory import CITIES, NAMES
from .unknown import THINGS

RESULTS = ["result", "value", "answer", "output", "data"]
DEGREES = ["temperature", "temperature", "degrees", "temp", "celsius", "temperature_c"]
CONDITIONS = ["condition", "sky", "sky", "weather", "conditions", "description", "summary"]
SKIES = ["sunny", "rainy", "cloudy", "windy", "snowy", "foggy"]
USUAL_KEYS = {("temperature", "condition"), ("condition", "temperature"), ("time",), ("result",), ("price",), ("value",), ("ok",), ("status",)}
VERBS = "find open read check load count delete create start stop lock paint send show move clean fetch lookup".split()
NOUNS = "door lamp file user order book song ticket room page note robot parcel alarm window photo account device server table".split()
PURPOSES = {"weather": ["weather"], "time": ["time"], "sum": ["add", "sum"], "search": ["search", "lookup"], "price": ["price"], "dice": ["roll", "throw"], "message": ["message", "mail"]}
TWO_CITIES = {
    "en": ["What is the weather in {a} and in {b}?", "What is the weather in {a} and {b}?", "Compare the weather in {a} and {b}."],
    "pt": ["Como está o tempo em {a} e em {b}?", "Compare o tempo em {a} e {b}."],
}
PARAMETERS = "name id key value title text item code path label".split()
NO_TOOL = {"en": "I do not have a tool for that.", "pt": "Não tenho uma ferramenta para isso."}


@dataclass
class Tool:
    """A tool as it is listed, and one use of it: the question, the arguments, a result and the answer to it."""

    name: str
    description: str
    properties: dict
    user: str
    arguments: dict
    result: str
    answer: str

    def listed(self, world):
        """The tool's description as JSON, in one of the forms that programs use."""
        properties = {
            name: {"type": kind, **({"description": text} if world.chance(0.3) else {})} for name, (kind, text) in self.properties.items()
        }
        parameters = {"type": "object", "properties": properties}
        if self.properties and world.chance(0.7):
            parameters["required"] = list(self.properties)
        function = {"name": self.name}
        if world.chance(0.9):
            function["description"] = self.description
        function["parameters"] = parameters
        return {"type": "function", "function": function}


def temperature(world):
    """Degrees."""
    return world.rng.randint(0, 40)


def result_text(world, **values):
    """A result as JSON; in all forms also as JavaScript writes it, and one value at times under another name."""
    if len(values) == 1 and world.has_all_forms() and world.chance(0.2):
        values = {world.pick(RESULTS): value for value in values.values()}
    return as_json(values, is_compact=world.has_all_forms() and world.chance(0.6))


def is_usual(result):
    """Whether a result has a form that it may have without `all_forms`: plain text, or spaced JSON with the usual keys in the usual order."""
    try:
        values = json.loads(result)
    except ValueError:
        return True
    return not isinstance(values, dict) or (tuple(values) in USUAL_KEYS and result == as_json(values))


def weather_result(world, degrees, sky):
    """What the weather tool returns: in all forms, every second time in one of the forms that other programs use."""
    if world.has_all_forms() and world.chance(0.5):
        values = {world.pick(DEGREES): degrees, world.pick(CONDITIONS): sky}
        if world.chance(0.25):
            values[world.pick(["humidity", "wind", "pressure"])] = world.rng.randint(1, 99)
        order = list(values)
        world.rng.shuffle(order)
        return result_text(world, **{key: values[key] for key in order})
    if world.chance(0.5):
        return result_text(world, temperature=degrees, condition=sky)
    return result_text(world, condition=sky, temperature=degrees) if world.chance(0.5) else f"{sky}, {degrees} degrees"


def weather(world):
    """The weather in a city."""
    city, degrees, sky = world.proper(CITIES), temperature(world), world.pick(SKIES)
    english = ["What is the weather in {x}?", "What's the weather like in {x}?", "How is the weather in {x}?", "Tell me the weather in {x}.", "Weather in {x}?", "Is it cold in {x}?", "Do I need a coat in {x}?", "What is the weather like in {x} today?"]
    portuguese = ["Como está o tempo em {x}?", "Qual é o tempo em {x}?", "Como está o clima em {x}?", "Está frio em {x}?", "Me diga o tempo em {x}."]
    user = world.vary(world.wording(english if world.language == "en" else portuguese).format(x=city), (city,))
    name = world.pick(["get_weather", "get_weather", "get_weather", "weather", "get_current_weather", "getWeather", "current_weather", "getCurrentWeather"])
    key = world.pick(["city", "city", "location", "place"])
    result = weather_result(world, degrees, sky)
    answer = f"It is {sky} and {degrees} degrees in {city}." if world.language == "en" else f"Em {city} o tempo está {sky}, com {degrees} graus."
    return Tool(name, world.pick(["Get the weather of a city.", "Get the current weather", "Returns the weather for a place.", "The weather in a city"]), {key: ("string", "The city")}, user, {key: city}, result, answer)


def clock(world):
    """The time in a city."""
    city, time = world.proper(CITIES), f"{world.rng.randint(0, 23):02d}:{world.rng.randint(0, 59):02d}"
    english = ["What time is it in {x}?", "Tell me the time in {x}.", "What is the time in {x}?", "Time in {x}?", "How late is it in {x}?"]
    portuguese = ["Que horas são em {x}?", "Me diga a hora em {x}.", "Qual é a hora em {x}?", "Hora em {x}?"]
    user = world.vary(world.wording(english if world.language == "en" else portuguese).format(x=city), (city,))
    name, key = world.pick(["get_time", "get_time", "current_time", "getTime", "time"]), world.pick(["city", "city", "place", "location"])
    answer = f"It is {time} in {city}." if world.language == "en" else f"São {time} em {city}."
    return Tool(name, world.pick(["Get the time in a city.", "Returns the current time.", "The time at a place"]), {key: ("string", "The city")}, user, {key: city}, result_text(world, time=time) if world.chance(0.5) else time, answer)


def adder(world):
    """A sum that is too large for the model."""
    a, b = world.rng.randint(2, 999), world.rng.randint(2, 999)
    english = ["What is {a} + {b}?", "Use the tool to add {a} and {b}.", "Add {a} and {b}.", "What is {a} plus {b}?", "Calculate {a} + {b}."]
    portuguese = ["Quanto é {a} + {b}?", "Use a ferramenta para somar {a} e {b}.", "Some {a} e {b}.", "Quanto é {a} mais {b}?"]
    user = world.vary(world.wording(english if world.language == "en" else portuguese).format(a=a, b=b))
    name, keys = world.pick(["add", "add", "sum", "add_numbers", "addNumbers"]), world.pick([("a", "b"), ("a", "b"), ("x", "y"), ("first", "second")])
    kind = world.pick(["number", "integer"])
    result = str(a + b) if world.chance(0.5) else result_text(world, result=a + b)
    return Tool(name, world.pick(["Add two numbers.", "Adds two numbers", "The sum of two numbers."]), {keys[0]: (kind, "First number"), keys[1]: (kind, "Second number")}, user, {keys[0]: a, keys[1]: b}, result, f"{a} + {b} = {a + b}.")


def search(world):
    """A search."""
    query = world.phrase(lambda: world.draw(lambda: world.pick(THINGS) if world.chance(0.4) else world.pick(WORDS) if world.chance(0.3) else world.invented()))
    found = world.phrase(lambda: world.draw(lambda: world.pick(WORDS) if world.chance(0.4) else world.invented()))
    english = ["Search for {x}.", "Search the web for {x}.", "Look up {x}.", "Find {x} on the web.", "Can you search for {x}?"]
    portuguese = ["Procure por {x}.", "Pesquise {x}.", "Busque {x} na internet.", "Faça uma busca por {x}."]
    user = world.vary(world.wording(english if world.language == "en" else portuguese).format(x=query), (query,))
    name, key = world.pick(["search", "search", "web_search", "search_web", "lookup"]), world.pick(["query", "query", "q", "text"])
    answer = f"I found this: {found}." if world.language == "en" else f"Encontrei isto: {found}."
    return Tool(name, world.pick(["Search the web.", "Look something up", "Finds pages on the web."]), {key: ("string", "What to look for")}, user, {key: query}, result_text(world, result=found) if world.chance(0.5) else found, answer)


def price(world):
    """What something costs."""
    item, cost = world.draw(lambda: world.pick(THINGS + WORDS) if world.chance(0.6) else world.invented()), world.rng.randint(1, 99)
    english = ["How much does the {x} cost?", "What is the price of the {x}?", "Tell me the price of the {x}.", "What does the {x} cost?", "Price of the {x}?"]
    portuguese = ["Quanto custa: {x}?", "Qual é o preço de {x}?", "Me diga o preço de {x}.", "Preço de {x}?"]
    user = world.vary(world.wording(english if world.language == "en" else portuguese).format(x=item), (item,))
    name, key = world.pick(["get_price", "get_price", "price", "find_price", "getPrice"]), world.pick(["item", "item", "product", "name"])
    answer = f"The price is {cost} euros." if world.language == "en" else f"O preço é {cost} euros."
    return Tool(name, world.pick(["Get the price of an item.", "Returns what something costs", "The price of a product."]), {key: ("string", "The item")}, user, {key: item}, result_text(world, price=cost) if world.chance(0.6) else str(cost), answer)


def dice(world):
    """A die to roll."""
    sides = world.rng.randint(4, 100)
    rolled = world.rng.randint(1, sides)
    english = ["Roll a die with {x} sides.", "Roll a {x}-sided die.", "Throw a die with {x} sides.", "Please roll a die with {x} sides."]
    portuguese = ["Jogue um dado de {x} lados.", "Role um dado de {x} lados.", "Lance um dado de {x} lados.", "Por favor, jogue um dado de {x} lados."]
    user = world.vary(world.wording(english if world.language == "en" else portuguese).format(x=sides))
    name = world.pick(["roll_dice", "roll_dice", "roll", "rollDice", "throw_die"])
    answer = f"You rolled a {rolled}." if world.language == "en" else f"Saiu o número {rolled}."
    return Tool(name, world.pick(["Roll a die.", "Rolls a die with some sides"]), {"sides": ("integer", "Number of sides")}, user, {"sides": sides}, result_text(world, value=rolled) if world.chance(0.5) else str(rolled), answer)


def mail(world):
    """A message to send."""
    name_to, text = world.proper(NAMES), " ".join(world.draw(lambda: world.pick(WORDS) if world.chance(0.7) else world.invented()) for _ in range(world.rng.randint(1, 3)))
    english = ["Send a message to {x}: {text}", "Write to {x}: {text}", "Send {x} this message: {text}", "Message {x}: {text}"]
    portuguese = ["Mande uma mensagem para {x}: {text}", "Escreva para {x}: {text}", "Envie a {x} esta mensagem: {text}", "Mensagem para {x}: {text}"]
    user = world.wording(english if world.language == "en" else portuguese).format(x=name_to, text=text)
    name = world.pick(["send_message", "send_message", "send_mail", "sendMessage", "message"])
    answer = f"I sent the message to {name_to}." if world.language == "en" else f"Enviei a mensagem para {name_to}."
    return Tool(name, world.pick(["Send a message.", "Sends a message to somebody"]), {"to": ("string", "Who gets it"), "text": ("string", "The message")}, user, {"to": name_to, "text": text}, world.pick([result_text(world, ok=True), "ok", "sent", result_text(world, status="sent")]), answer)


def anything(world):
    """A tool that nobody has heard of, to be used from its description alone."""
    verb, noun, key = world.pick(VERBS), world.pick(NOUNS) if world.chance(0.7) else world.draw(world.invented), world.pick(PARAMETERS)
    value = world.phrase(lambda: world.draw(lambda: world.pick(WORDS) if world.chance(0.4) else world.invented())) if world.chance(0.7) else str(world.rng.randint(1, 999))
    found = world.phrase(lambda: world.draw(lambda: world.pick(WORDS) if world.chance(0.5) else world.invented()))
    english = ["{verb} the {noun} {x}.", "Please {verb} the {noun} {x}.", "Can you {verb} the {noun} {x}?", "I want to {verb} the {noun} {x}.", "Use {name} with {x}.", "Call {name} with {x}.", "{verb} {noun} {x}"]
    portuguese = ["Use {name} com {x}.", "Chame {name} com {x}.", "Use a ferramenta {name} com {x}.", "Execute {name} com {x}."]
    name = f"{verb}_{noun}" if world.chance(0.75) else verb + noun.capitalize()
    text = world.wording(english if world.language == "en" else portuguese).format(verb=verb, noun=noun, x=value, name=name)
    user = text[0].upper() + text[1:] if world.chance(0.9) and not text.startswith(name) else text
    answer = f"The result is {found}." if world.language == "en" else f"O resultado é {found}."
    return Tool(name, f"{verb.capitalize()} a {noun}.", {key: ("string", f"The {key}")}, user, {key: value}, world.pick([found, result_text(world, result=found)]), answer)


SKILLS = [weather, weather, weather, clock, clock, adder, adder, search, price, dice, mail, anything, anything, anything]


def tool_list(world, used):
    """The tools used, among up to two others, in any order; no two of one name."""
    tools = {tool.name: tool for tool in used}
    for _ in range(world.pick([0, 0, 1, 1, 2])):
        other = world.pick(SKILLS)(world)
        clash = same_purpose if world.split == "train" else same_kind
        if not any(clash(other, tool) for tool in tools.values()):
            tools[other.name] = other
    listed = [tool.listed(world) for tool in tools.values()]
    world.rng.shuffle(listed)
    return listed


def same_kind(a, b):
    """Whether two tools would both do for a question."""
    return a.name == b.name or a.description.split()[-1] == b.description.split()[-1] or {a.name.lower(), b.name.lower()} <= {"search", "web_search", "search_web", "lookup"}


def purpose(name):
    """What a tool of this name is for; one that nobody has heard of is for itself."""
    words = name.lower()
    return next((purpose for purpose, parts in PURPOSES.items() if any(part in words for part in parts)), words)


def same_purpose(a, b):
    """Whether two tools are for the same, by their names: training never has to choose between such."""
    return purpose(a.name) == purpose(b.name)


def uses(world, tool):
    """The messages of one use of a tool."""
    call = call_text(tool.name, tool.arguments)
    return [("user", tool.user), ("assistant", call), ("user", response_text(tool.result)), ("assistant", tool.answer)]


def again(world, tool):
    """The same tool with other arguments, or None."""
    for _ in range(40):
        maker = world.pick(SKILLS)
        other = maker(world)
        if other.name == tool.name and set(other.arguments) == set(tool.arguments):
            return other
    return None


def same_form(world, weathers):
    """Results of one tool, so all in one form; of all forms, at times with other keys than the usual ones."""
    keys, is_compact, is_turned = ["temperature", "condition"], False, False
    if world.has_all_forms():
        keys = keys if world.chance(0.5) else [world.pick(DEGREES), world.pick(CONDITIONS)]
        is_compact, is_turned = world.chance(0.6), world.chance(0.3)
    pairs = [list(zip(keys, values)) for values in weathers]
    return [as_json(dict(pair[::-1] if is_turned else pair), is_compact) for pair in pairs]


def two_at_once(world):
    """Two calls in one answer: (tools, messages)."""
    a = weather(world)
    key = next(iter(a.arguments))
    first = city = a.arguments[key]
    while city == first:
        city = world.proper(CITIES)
    degrees, sky = temperature(world), world.pick(SKIES)
    user = world.local(TWO_CITIES)
    degrees_a, sky_a = temperature(world), world.pick(SKIES)
    results = same_form(world, [(degrees_a, sky_a), (degrees, sky)])
    sentences = ["It is {sky} and {degrees} degrees in {city}." if world.language == "en" else "Em {city} o tempo está {sky}, com {degrees} graus."] * 2
    answer = " ".join(text.format(sky=s, degrees=d, city=c) for text, s, d, c in zip(sentences, (sky_a, sky), (degrees_a, degrees), (first, city)))
    calls = call_text(a.name, {key: first}) + "\n" + call_text(a.name, {key: city})
    messages = [("user", user.format(a=first, b=city)), ("assistant", calls), ("user", "\n".join(map(response_text, results))), ("assistant", answer)]
    return tool_list(world, [a]), messages
