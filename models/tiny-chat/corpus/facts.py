"""What the model knows: capitals, colours, opposites, days and months."""

from .world import Exchange

# English name, capital, the Portuguese name with its preposition and article, the capital in Portuguese
COUNTRIES = [
    ("France", "Paris", "da França", "Paris"), ("Japan", "Tokyo", "do Japão", "Tóquio"), ("Brazil", "Brasília", "do Brasil", "Brasília"),
    ("Portugal", "Lisbon", "de Portugal", "Lisboa"), ("Spain", "Madrid", "da Espanha", "Madri"), ("Italy", "Rome", "da Itália", "Roma"),
    ("Germany", "Berlin", "da Alemanha", "Berlim"), ("England", "London", "da Inglaterra", "Londres"), ("Ireland", "Dublin", "da Irlanda", "Dublin"),
    ("Austria", "Vienna", "da Áustria", "Viena"), ("Poland", "Warsaw", "da Polônia", "Varsóvia"), ("Greece", "Athens", "da Grécia", "Atenas"),
    ("Russia", "Moscow", "da Rússia", "Moscou"), ("China", "Beijing", "da China", "Pequim"), ("India", "New Delhi", "da Índia", "Nova Délhi"),
    ("Egypt", "Cairo", "do Egito", "Cairo"), ("Kenya", "Nairobi", "do Quênia", "Nairóbi"), ("Mexico", "Mexico City", "do México", "Cidade do México"),
    ("Canada", "Ottawa", "do Canadá", "Ottawa"), ("Argentina", "Buenos Aires", "da Argentina", "Buenos Aires"), ("Chile", "Santiago", "do Chile", "Santiago"),
    ("Peru", "Lima", "do Peru", "Lima"), ("Cuba", "Havana", "de Cuba", "Havana"), ("Norway", "Oslo", "da Noruega", "Oslo"),
    ("Sweden", "Stockholm", "da Suécia", "Estocolmo"), ("Finland", "Helsinki", "da Finlândia", "Helsinque"), ("Denmark", "Copenhagen", "da Dinamarca", "Copenhague"),
    ("Turkey", "Ankara", "da Turquia", "Ancara"), ("Hungary", "Budapest", "da Hungria", "Budapeste"), ("Belgium", "Brussels", "da Bélgica", "Bruxelas"),
    ("Australia", "Canberra", "da Austrália", "Camberra"), ("Angola", "Luanda", "de Angola", "Luanda"),
]
CAPITAL_WORDINGS = {
    "en": ["What is the capital of {place}?", "What is the capital of {place}?", "What's the capital of {place}?", "Which city is the capital of {place}?", "Tell me the capital of {place}.", "Name the capital of {place}.", "Do you know the capital of {place}?", "capital of {place}?", "Capital of {place}", "What is {place}'s capital?", "I want to know the capital of {place}.", "Which is the capital city of {place}?"],
    "pt": ["Qual é a capital {place}?", "Qual é a capital {place}?", "Diga a capital {place}.", "Qual cidade é a capital {place}?", "Você sabe qual é a capital {place}?", "A capital {place} é qual?", "capital {place}?", "Me diga qual é a capital {place}."],
}

COLOURS = [
    ("the sky", "blue", "o céu", "azul"), ("grass", "green", "a grama", "verde"), ("the sun", "yellow", "o sol", "amarelo"), ("snow", "white", "a neve", "branca"),
    ("blood", "red", "o sangue", "vermelho"), ("coal", "black", "o carvão", "preto"), ("milk", "white", "o leite", "branco"), ("a banana", "yellow", "a banana", "amarela"),
    ("a tomato", "red", "o tomate", "vermelho"), ("a leaf", "green", "a folha", "verde"), ("the sea", "blue", "o mar", "azul"), ("chocolate", "brown", "o chocolate", "marrom"),
    ("a carrot", "orange", "a cenoura", "laranja"), ("a lemon", "yellow", "o limão", "amarelo"), ("a strawberry", "red", "o morango", "vermelho"), ("a frog", "green", "o sapo", "verde"),
    ("an elephant", "grey", "o elefante", "cinza"), ("the night", "black", "a noite", "preta"), ("a cloud", "white", "a nuvem", "branca"), ("gold", "yellow", "o ouro", "amarelo"),
    ("a rose", "red", "a rosa", "vermelha"), ("wood", "brown", "a madeira", "marrom"), ("a pig", "pink", "o porco", "rosa"), ("a cucumber", "green", "o pepino", "verde"),
]
COLOUR_WORDINGS = {
    "en": ["What colour is {thing}?", "What color is {thing}?", "What is the colour of {thing}?", "What is the color of {thing}?", "Tell me the colour of {thing}.", "Which colour is {thing}?", "Which color does {thing} have?", "What colour does {thing} have?"],
    "pt": ["Qual é a cor de: {thing}?", "De que cor é {thing}?", "Que cor tem {thing}?", "Qual a cor: {thing}?", "Diga de que cor é {thing}.", "De qual cor é {thing}?"],
}
COLOUR_OF = {"en": [], "pt": ["Qual é a cor {of}?", "Qual a cor {of}?", "Diga a cor {of}."]}

OPPOSITES = {
    "en": "hot cold, big small, up down, left right, day night, black white, fast slow, happy sad, open closed, old new, rich poor, good bad, high low, long short, full empty, hard soft, light dark, early late, strong weak, wet dry, clean dirty, loud quiet, thick thin, near far, in out, true false, first last, yes no, on off, young old, before after, start end, inside outside, always never",
    "pt": "quente frio, grande pequeno, alto baixo, dia noite, preto branco, rápido lento, feliz triste, aberto fechado, novo velho, rico pobre, bom mau, longo curto, cheio vazio, duro mole, claro escuro, cedo tarde, forte fraco, limpo sujo, perto longe, dentro fora, primeiro último, sim não, esquerda direita, doce amargo",
}
OPPOSITE_WORDINGS = {
    "en": ["What is the opposite of {word}?", "What's the opposite of {word}?", "Tell me the opposite of {word}.", "Which word is the opposite of {word}?", "opposite of {word}?", "Give me the opposite of {word}.", "Name the opposite of {word}."],
    "pt": ["Qual é o oposto de {word}?", "Qual é o contrário de {word}?", "Diga o oposto de {word}.", "O oposto de {word} é o quê?", "Me diga o contrário de {word}.", "Que palavra é o oposto de {word}?"],
}
OPPOSITE_ANSWERS = {"en": "The opposite of {a} is {b}.", "pt": "O oposto de {a} é {b}."}

DAYS = {
    "en": ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"],
    "pt": ["segunda-feira", "terça-feira", "quarta-feira", "quinta-feira", "sexta-feira", "sábado", "domingo"],
}
MONTHS = {
    "en": ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"],
    "pt": ["janeiro", "fevereiro", "março", "abril", "maio", "junho", "julho", "agosto", "setembro", "outubro", "novembro", "dezembro"],
}
AFTER = {
    "en": ["What {unit} comes after {x}?", "Which {unit} comes after {x}?", "Which {unit} is after {x}?", "What comes after {x}?", "Tell me the {unit} after {x}.", "What {unit} follows {x}?", "Name the {unit} that comes after {x}."],
    "pt": ["Que {unit} vem depois de {x}?", "Qual {unit} vem depois de {x}?", "O que vem depois de {x}?", "Diga que {unit} vem depois de {x}.", "Qual é o {unit} depois de {x}?"],
}
BEFORE = {
    "en": ["What {unit} comes before {x}?", "Which {unit} comes before {x}?", "Which {unit} is before {x}?", "What comes before {x}?", "Tell me the {unit} before {x}.", "Name the {unit} that comes before {x}."],
    "pt": ["Que {unit} vem antes de {x}?", "Qual {unit} vem antes de {x}?", "O que vem antes de {x}?", "Diga que {unit} vem antes de {x}.", "Qual é o {unit} antes de {x}?"],
}
ORDER_ANSWERS = {"en": ("After {x} comes {y}.", "Before {x} comes {y}."), "pt": ("Depois de {x} vem {y}.", "Antes de {x} vem {y}.")}
UNITS = {"en": ("day", "month"), "pt": ("dia", "mês")}
EVERY = {
    "en": [(["Name the days of the week.", "What are the days of the week?", "List the days of the week.", "Tell me all the days of the week."], "days"), (["Name the months of the year.", "What are the months of the year?", "List the months of the year.", "Tell me all the months of the year."], "months")],
    "pt": [(["Quais são os dias da semana?", "Diga os dias da semana.", "Liste os dias da semana.", "Me diga todos os dias da semana."], "days"), (["Quais são os meses do ano?", "Diga os meses do ano.", "Liste os meses do ano.", "Me diga todos os meses do ano."], "months")],
}

THOUGHTS = {"en": "The user asks about {about}. I know: it is {short}.", "pt": "O usuário pergunta sobre {about}. Eu sei: é {short}."}


def first_upper(text):
    """The text with a capital first letter."""
    return text[0].upper() + text[1:]


def thought(world, about, short):
    """What to think before stating a fact."""
    return THOUGHTS[world.language].format(about=about, short=short)


def capital(world):
    """The capital of a country, or the country of a capital."""
    english, city, place, city_pt = world.pick(COUNTRIES)
    if world.language == "pt":
        user = world.say(CAPITAL_WORDINGS, place=place)
        return Exchange(user, f"A capital {place} é {city_pt}.", city_pt, thought(world, "uma capital", city_pt), "capitals")
    if world.chance(0.22) and not world.unseen:
        user = world.vary(world.pick(["Which country has the capital {city}?", "{city} is the capital of which country?", "Of which country is {city} the capital?"]).format(city=city))
        return Exchange(user, f"The capital of {english} is {city}.", english, thought(world, "a capital", english), "capitals")
    user = world.say(CAPITAL_WORDINGS, place=english)
    return Exchange(user, f"The capital of {english} is {city}.", city, thought(world, "a capital", city), "capitals")


def capitals(world, count):
    """The capitals of several countries, one after the other, all asked for in the same words; in training often the plainest ones."""
    is_plain = world.split == "train" and world.chance(0.4)
    wording = CAPITAL_WORDINGS[world.language][0] if is_plain else world.local(CAPITAL_WORDINGS)
    asked = []
    for english, city, place, city_pt in world.rng.sample(COUNTRIES, count):
        place, city = (place, city_pt) if world.language == "pt" else (english, city)
        answer = f"A capital {place} é {city}." if world.language == "pt" else f"The capital of {place} is {city}."
        think = thought(world, "uma capital" if world.language == "pt" else "a capital", city)
        asked.append(Exchange(world.vary(wording.format(place=place)), answer, city, think, "capitals"))
    return asked


def of_thing(thing):
    """A Portuguese thing with "de" before its article."""
    return {"o": "do ", "a": "da "}[thing[0]] + thing[2:]


def colour(world):
    """The colour of a thing."""
    thing, shade, coisa, cor = world.pick(COLOURS)
    if world.language == "pt":
        if world.chance(0.5) and not world.unseen:
            user = world.vary(world.pick(COLOUR_OF["pt"]).format(of=of_thing(coisa)))
        else:
            user = world.say(COLOUR_WORDINGS, thing=coisa)
        return Exchange(user, f"{first_upper(coisa)} é {cor}.", cor, thought(world, "uma cor", cor), "colours")
    return Exchange(world.say(COLOUR_WORDINGS, thing=thing), f"{first_upper(thing)} is {shade}.", shade, thought(world, "a colour", shade), "colours")


def opposite_pairs(language):
    """All pairs both ways; where a word has two opposites, the first one counts."""
    pairs = {}
    rows = [row.split() for row in OPPOSITES[language].split(", ")]
    for a, b in rows + [[b, a] for a, b in rows]:
        pairs.setdefault(a, b)
    return sorted(pairs.items())


OPPOSITE_PAIRS = {language: opposite_pairs(language) for language in OPPOSITES}


def opposite(world):
    """The opposite of a word."""
    a, b = world.pick(OPPOSITE_PAIRS[world.language])
    about = {"en": "an opposite", "pt": "um oposto"}[world.language]
    answer = OPPOSITE_ANSWERS[world.language].format(a=a, b=b)
    return Exchange(world.say(OPPOSITE_WORDINGS, word=a), answer, b, thought(world, about, b), "opposites")


def day(world):
    """The day or month before or after another; now and then all of them."""
    if world.chance(0.08):
        wordings, which = world.pick(EVERY[world.language])
        names = (DAYS if which == "days" else MONTHS)[world.language]
        return Exchange(world.vary(world.wording(wordings)), ", ".join(names) + ".", think=thought(world, UNITS[world.language][which == "months"], names[0] + "..."), skill="days")
    is_month = world.chance(0.4)
    names = (MONTHS if is_month else DAYS)[world.language]
    step = 1 if world.chance(0.7) else -1
    index = world.rng.randrange(len(names))
    x, y = names[index], names[(index + step) % len(names)]
    unit = UNITS[world.language][is_month]
    user = world.say(AFTER if step > 0 else BEFORE, unit=unit, x=x)
    answer = ORDER_ANSWERS[world.language][step < 0].format(x=x, y=y)
    about = {"en": "a " + unit, "pt": "um " + unit}[world.language]
    return Exchange(user, answer, y, thought(world, about, y), "days")


SKILLS = [capital, colour, opposite, day]
