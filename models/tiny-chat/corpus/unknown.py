"""What the model does not know, and says so."""

from .facts import COUNTRIES
from .world import Exchange

ANSWER = {"en": "I do not know that.", "pt": "Eu não sei isso."}
THINGS = "telephone wheel violin steam engine bicycle compass printing press camera submarine telescope zipper umbrella pencil volcano comet desert glacier planet gravity thunder electricity magnet rainbow ocean mountain oxygen iron copper philosophy economy parliament democracy algebra geometry football chess opera ballet photosynthesis bacteria dinosaur penguin whale spider oak".split()
PEOPLE = "Shakespeare Newton Mozart Einstein Cleopatra Napoleon Homer Picasso Columbus Darwin Galileo Caesar Beethoven Gandhi Plato Confucius Hamlet Dracula Camões Pessoa".split()
PLACES = "Mars Atlantis Texas Bavaria Siberia Africa Europe Antarctica Scotland Nepal Ghana Iceland Bolivia Vietnam Jamaica Mongolia Fiji Uganda Nigeria Thailand Sudan Iran Morocco Ukraine Serbia".split()
QUESTIONS = {
    "en": [
        "Who invented the {thing}?", "Who wrote about {person}?", "When was {person} born?", "Who was {person}?", "How does a {thing} work?", "Why is there a {thing}?", "What is the population of {place}?", "How far is {place}?",
        "What is the capital of {place}?", "How many people live in {place}?", "What is a {thing}?", "What is the price of a {thing}?", "How tall is {person}?", "Who won the {thing} game?", "What is the meaning of life?", "Explain {thing}.",
        "How do I repair a {thing}?", "Where can I buy a {thing}?", "When did {person} die?", "What did {person} say about the {thing}?", "How many kinds of {thing} are there?", "What is the square root of {big}?", "What is {big} + {other}?", "What is {big} times {other}?",
        "How much is {big} - {other}?", "Who is the president of {place}?", "What happened in {year}?", "Is there a {thing} on {place}?", "Can you book a flight to {place}?", "What is the best {thing}?", "Tell me about {person}.", "Tell me about {place}.",
        "What do you think about {thing}?", "Which {thing} is the largest?", "Describe the {thing}.",
    ],
    "pt": [
        "Quem foi {person}?", "Quando nasceu {person}?", "Qual é a população de {place}?", "Qual é o sentido da vida?", "Quantas pessoas vivem em {place}?", "Quem é o presidente de {place}?", "O que aconteceu em {year}?",
        "Quanto é {big} + {other}?", "Quanto é {big} vezes {other}?", "Fale sobre {person}.", "Fale sobre {place}.", "Qual é a capital de {place}?", "Onde fica {place}?", "Quando morreu {person}?", "Como chego a {place}?",
    ],
}
THOUGHTS = {"en": "I do not know this.", "pt": "Não sei isto."}


def unknown(world):
    """A question outside of the model's world."""

    def name(known):
        return world.draw(lambda: world.pick(known) if world.chance(0.6) else world.invented((2, 3)).capitalize())

    values = {
        "thing": world.draw(lambda: world.pick(THINGS) if world.chance(0.8) else world.invented()),
        "person": name(PEOPLE),
        "place": name(PLACES),
        "big": world.rng.randint(120, 999),
        "other": world.rng.randint(100, 9999),
        "year": world.rng.randint(1200, 2100),
    }
    user = world.vary(world.wording(QUESTIONS[world.language]).format(**values))
    assert values["place"] not in {row[0] for row in COUNTRIES}
    return Exchange(user, ANSWER[world.language], think=THOUGHTS[world.language], skill="unknown")
