"""Answers as JSON."""

from .chat import as_json
from .facts import COUNTRIES, DAYS
from .memory import CITIES, NAMES
from .world import Exchange

LISTS = {
    "en": {"colours": ["red", "green", "blue"], "animals": ["cat", "dog", "bird"], "fruits": ["apple", "banana", "lemon"], "numbers": [1, 2, 3], "days": DAYS["en"][:3], "cities": ["Paris", "Rome", "London"]},
    "pt": {"cores": ["vermelho", "verde", "azul"], "animais": ["gato", "cachorro", "pássaro"], "frutas": ["maçã", "banana", "limão"], "números": [1, 2, 3], "dias": DAYS["pt"][:3], "cidades": ["Paris", "Roma", "Londres"]},
}
LIST_WORDINGS = {
    "en": ["List three {what} as JSON.", "Give me three {what} as JSON.", "Give me a JSON list of three {what}.", "Three {what} as JSON, please.", "Write three {what} as a JSON array.", "Name three {what} in JSON."],
    "pt": ["Liste três {what} em JSON.", "Me dê três {what} em JSON.", "Três {what} em JSON, por favor.", "Escreva três {what} como JSON."],
}
COUNTRY_WORDINGS = {
    "en": ["Give me {place} as JSON.", "Give me {place} and its capital as JSON.", "{place} and its capital as JSON.", "Write {place} and its capital in JSON.", "Show {place} as JSON."],
    "pt": ["Me dê a capital {place} em JSON.", "A capital {place} em JSON.", "Escreva a capital {place} em JSON.", "Quero a capital {place} como JSON."],
}
PERSON_WORDINGS = {
    "en": ["Write this as JSON: name {name}, age {age}.", "Give me JSON with the name {name} and the age {age}.", "{name} is {age} years old. Write it as JSON.", "Make JSON of this: {name} is {age} years old.", "JSON with name {name} and age {age}, please."],
    "pt": ["Escreva como JSON: nome {name}, idade {age}.", "Me dê um JSON com o nome {name} e a idade {age}.", "{name} tem {age} anos. Escreva em JSON.", "Faça um JSON: {name} tem {age} anos."],
}
HOME_WORDINGS = {
    "en": ["{name} lives in {city}. Write it as JSON.", "Write this as JSON: name {name}, city {city}.", "Give me JSON with the name {name} and the city {city}.", "Make JSON of this: {name} lives in {city}."],
    "pt": ["{name} mora em {city}. Escreva em JSON.", "Escreva como JSON: nome {name}, cidade {city}.", "Me dê um JSON com o nome {name} e a cidade {city}.", "Faça um JSON: {name} mora em {city}."],
}
KEYS = {"en": ("name", "age", "city", "country", "capital"), "pt": ("nome", "idade", "cidade", "país", "capital")}
THOUGHTS = {"en": "The user wants JSON.", "pt": "O usuário quer JSON."}


def json_answer(world):
    """One answer as JSON."""
    name_key, age_key, city_key, country_key, capital_key = KEYS[world.language]
    roll = world.rng.random()
    if roll < 0.2:
        what, values = world.pick(sorted(LISTS[world.language].items()))
        user, value = world.say(LIST_WORDINGS, ("JSON",), what=what), values
    elif roll < 0.5:
        english, city, place, city_pt = world.pick(COUNTRIES)
        if world.language == "en":
            user, value = world.say(COUNTRY_WORDINGS, ("JSON",), place=english), {country_key: english, capital_key: city}
        else:
            user, value = world.say(COUNTRY_WORDINGS, ("JSON",), place=place), {capital_key: city_pt}
    else:
        name = world.proper(NAMES)
        if roll < 0.8:
            age = world.rng.randint(3, 99)
            user, value = world.say(PERSON_WORDINGS, (name, "JSON"), name=name, age=age), {name_key: name, age_key: age}
        else:
            city = world.proper(CITIES)
            user, value = world.say(HOME_WORDINGS, (name, city, "JSON"), name=name, city=city), {name_key: name, city_key: city}
    return Exchange(user, as_json(value), think=THOUGHTS[world.language], skill="json")
