"""Remembering what the user said: name, home, age, pet, favourite colour and food."""

from .echo import WORDS, WORDS_PT
from .world import Exchange

NAMES = "Ana Bob Maria João Pedro Lucas Sofia Julia Miguel Carlos Rita Paulo Bruno Clara Diego Elena Felipe Gabriela Hugo Isabel Jorge Laura Marta Nuno Oscar Paula Rafael Sara Teresa Vera Anna Emma Liam Noah Olivia Ava Mia James Oliver Jack Harry George Charlie Emily Grace Alice Lucy Henry Thomas William David Peter Paul Mark John Mary Linda Susan Karen Nancy Betty Helen Ruth Eva Max Leo Finn Ben Tom Tim Kim Kai Mei Yuki Hana Ken Aiko Raj Priya Omar Layla Fatima Hassan Ali Ivan Olga Nina Boris Lars Ingrid Sven Erik Astrid Zoe Chloe Pierre Marie Luc Hans Greta Otto Klaus Giulia Marco Luca Chiara Andrea Beatriz Tiago Inês Álvaro José Conceição Zé Luísa Mônica André Renée Zoë Søren Łukasz".split()
CITIES = "Paris Rome London Lisbon Berlin Madrid Tokyo Vienna Oslo Dublin Porto Milan Lyon Munich Boston Chicago Denver Seattle Toronto Sydney Mumbai Nairobi Lima Quito Recife Salvador Curitiba Braga Coimbra Faro Sevilla Valencia Zurich Geneva Prague Krakow Riga Venice Naples Turin Leeds York Bath Austin Dallas Miami Atlanta Kyoto Osaka Brasília Belém Manaus".split()
PET_NAMES = "Rex Bella Luna Max Bolt Milo Coco Rocky Daisy Toby Nala Simba Oreo Lucky Shadow Ginger Pepper Biscuit Snowy Tiger Mimi Kitty Fluffy Pipoca Bidu Amora Thor Mel".split()
PETS = {"en": ["dog", "cat", "bird", "fish", "horse"], "pt": ["cachorro", "gato", "pássaro", "peixe", "cavalo"]}
COLOURS = {"en": "red green blue yellow black white brown orange pink grey purple".split(), "pt": "vermelho verde azul amarelo preto branco marrom laranja rosa cinza roxo".split()}
FOODS = {"en": "pizza soup rice bread pasta salad cheese fish cake chocolate ice-cream bananas".split(), "pt": "pizza sopa arroz pão macarrão salada queijo peixe bolo chocolate sorvete bananas".split()}

TELL = {
    "en": {
        "name": ["My name is {x}.", "My name is {x}.", "I am {x}.", "I'm {x}.", "Call me {x}.", "Hi, my name is {x}.", "Hello, I am {x}.", "You can call me {x}.", "Hello! My name is {x}.", "People call me {x}.", "Hi! I'm {x}, nice to meet you."],
        "city": ["I live in {x}.", "My home is in {x}.", "I live in {x} now.", "I am from {x}.", "My city is {x}.", "My home town is {x}."],
        "age": ["I am {x} years old.", "I'm {x} years old.", "My age is {x}.", "I am {x} years old now.", "I turned {x} today."],
        "pet": ["My {pet} is called {x}.", "I have a {pet} called {x}.", "My {pet}'s name is {x}.", "I have a {pet} named {x}.", "The name of my {pet} is {x}."],
        "colour": ["My favourite colour is {x}.", "My favorite color is {x}.", "I like the colour {x} best.", "The colour I like best is {x}."],
        "food": ["My favourite food is {x}.", "My favorite food is {x}.", "I like to eat {x} best.", "The food I like best is {x}."],
        "word": ["The secret word is {x}.", "Remember this word: {x}.", "Remember the word {x}.", "The password is {x}.", "Please keep this word in mind: {x}."],
        "number": ["Remember this number: {x}.", "Remember the number {x}.", "My number is {x}.", "The number is {x}.", "Please keep this number in mind: {x}."],
    },
    "pt": {
        "name": ["Meu nome é {x}.", "Meu nome é {x}.", "Eu sou {x}.", "Me chamo {x}.", "Oi, meu nome é {x}.", "Olá, eu me chamo {x}.", "O meu nome é {x}.", "Pode me chamar de {x}."],
        "city": ["Eu moro em {x}.", "Moro em {x}.", "Minha cidade é {x}.", "Eu vivo em {x}.", "A minha casa fica em {x}."],
        "age": ["Eu tenho {x} anos.", "Tenho {x} anos.", "Minha idade é {x}.", "Hoje fiz {x} anos."],
        "pet": ["Meu {pet} se chama {x}.", "Tenho um {pet} chamado {x}.", "O nome do meu {pet} é {x}.", "O meu {pet} chama-se {x}."],
        "colour": ["Minha cor favorita é {x}.", "A minha cor favorita é {x}.", "Minha cor preferida é {x}.", "A cor de que mais gosto é {x}."],
        "food": ["Minha comida favorita é {x}.", "A minha comida favorita é {x}.", "Minha comida preferida é {x}.", "A comida de que mais gosto é {x}."],
        "word": ["A palavra secreta é {x}.", "Lembre esta palavra: {x}.", "A senha é {x}.", "Guarde esta palavra: {x}."],
        "number": ["Lembre este número: {x}.", "Meu número é {x}.", "O número é {x}.", "Guarde este número: {x}."],
    },
}
REPLY = {
    "en": {"name": "Nice to meet you, {x}!", "city": "I will remember that you live in {x}.", "age": "I will remember that you are {x} years old.", "pet": "{x} is a nice name for a {pet}!", "colour": "I will remember that you like {x}.", "food": "I will remember that you like {x}.", "word": "I will remember the word {x}.", "number": "I will remember the number {x}."},
    "pt": {"name": "Prazer em conhecer você, {x}!", "city": "Vou lembrar que você mora em {x}.", "age": "Vou lembrar que você tem {x} anos.", "pet": "{x} é um bom nome para um {pet}!", "colour": "Vou lembrar que você gosta de {x}.", "food": "Vou lembrar que você gosta de {x}.", "word": "Vou lembrar a palavra {x}.", "number": "Vou lembrar o número {x}."},
}
ASK = {
    "en": {
        "name": ["What is my name?", "What is my name?", "What's my name?", "Who am I?", "Do you know my name?", "Tell me my name.", "Do you remember my name?", "What did I say my name was?", "Can you tell me my name?", "What am I called?"],
        "city": ["Where do I live?", "Which city do I live in?", "What is my city?", "Do you remember where I live?", "Tell me where I live.", "In which city do I live?"],
        "age": ["How old am I?", "What is my age?", "Do you remember my age?", "Tell me my age.", "Do you know how old I am?"],
        "pet": ["What is my {pet} called?", "What is the name of my {pet}?", "What is my {pet}'s name?", "Tell me the name of my {pet}.", "Do you remember the name of my {pet}?"],
        "colour": ["What is my favourite colour?", "What is my favorite color?", "Which colour do I like?", "Do you remember my favourite colour?", "Tell me my favourite colour."],
        "food": ["What is my favourite food?", "What is my favorite food?", "What do I like to eat?", "Do you remember my favourite food?", "Tell me my favourite food."],
        "word": ["What is the secret word?", "What was the word?", "Which word did I tell you?", "What is the password?", "Tell me the word.", "Do you remember the word?"],
        "number": ["What was the number?", "What is my number?", "Which number did I tell you?", "Tell me the number.", "Do you remember the number?"],
    },
    "pt": {
        "name": ["Qual é o meu nome?", "Qual é o meu nome?", "Qual é meu nome?", "Quem sou eu?", "Como eu me chamo?", "Você sabe o meu nome?", "Diga o meu nome.", "Você lembra o meu nome?"],
        "city": ["Onde eu moro?", "Em que cidade eu moro?", "Qual é a minha cidade?", "Diga onde eu moro.", "Você lembra onde eu moro?"],
        "age": ["Quantos anos eu tenho?", "Qual é a minha idade?", "Diga a minha idade.", "Você lembra a minha idade?"],
        "pet": ["Como se chama meu {pet}?", "Qual é o nome do meu {pet}?", "Diga o nome do meu {pet}.", "Você lembra o nome do meu {pet}?"],
        "colour": ["Qual é a minha cor favorita?", "De que cor eu gosto?", "Diga a minha cor favorita.", "Você lembra a minha cor favorita?"],
        "food": ["Qual é a minha comida favorita?", "O que eu gosto de comer?", "Diga a minha comida favorita.", "Você lembra a minha comida favorita?"],
        "word": ["Qual é a palavra secreta?", "Qual era a palavra?", "Qual é a senha?", "Diga a palavra.", "Você lembra a palavra?"],
        "number": ["Qual era o número?", "Qual é o meu número?", "Diga o número.", "Você lembra o número?"],
    },
}
TOLD = {
    "en": {"name": "Your name is {x}.", "city": "You live in {x}.", "age": "You are {x} years old.", "pet": "Your {pet} is called {x}.", "colour": "Your favourite colour is {x}.", "food": "Your favourite food is {x}.", "word": "The word is {x}.", "number": "The number is {x}."},
    "pt": {"name": "Seu nome é {x}.", "city": "Você mora em {x}.", "age": "Você tem {x} anos.", "pet": "Seu {pet} se chama {x}.", "colour": "Sua cor favorita é {x}.", "food": "Sua comida favorita é {x}.", "word": "A palavra é {x}.", "number": "O número é {x}."},
}
NOT_TOLD = {
    "en": {"name": "I do not know your name yet.", "city": "I do not know where you live yet.", "age": "I do not know your age yet.", "pet": "I do not know the name of your {pet} yet.", "colour": "I do not know your favourite colour yet.", "food": "I do not know your favourite food yet.", "word": "I do not know the word yet.", "number": "I do not know the number yet."},
    "pt": {"name": "Ainda não sei o seu nome.", "city": "Ainda não sei onde você mora.", "age": "Ainda não sei a sua idade.", "pet": "Ainda não sei o nome do seu {pet}.", "colour": "Ainda não sei a sua cor favorita.", "food": "Ainda não sei a sua comida favorita.", "word": "Ainda não sei a palavra.", "number": "Ainda não sei o número."},
}
THOUGHTS = {
    "en": {"tell": "The user tells me something: {x}.", "ask": "The user told me: {x}.", "none": "The user has not told me."},
    "pt": {"tell": "O usuário me conta algo: {x}.", "ask": "O usuário me disse: {x}.", "none": "O usuário não me disse."},
}
SYSTEM = {
    "en": {"name": ["The user is called {x}.", "The user's name is {x}.", "You talk to {x}.", "You are talking with {x}."], "city": ["The user lives in {x}.", "The user's city is {x}."], "age": ["The user is {x} years old."]},
    "pt": {"name": ["O usuário se chama {x}.", "O nome do usuário é {x}.", "Você fala com {x}.", "Você está falando com {x}."], "city": ["O usuário mora em {x}."], "age": ["O usuário tem {x} anos."]},
}
CONFUSED = [("name", "city"), ("city", "name"), ("name", "age"), ("age", "name"), ("age", "number"), ("number", "age"), ("word", "number"), ("number", "word"), ("colour", "food"), ("food", "colour"), ("word", "name")]
KEYS = ["name"] * 6 + ["city"] * 3 + ["age"] * 2 + ["pet"] * 3 + ["colour", "food", "word", "word", "number"]


class Memory:
    """What the user has said so far in one conversation."""

    def __init__(self, world):
        self.world = world
        self.told = {}

    def key(self):
        """Something that can be told, with the pet where it is one."""
        kind = self.world.pick(KEYS)
        return (kind, self.world.rng.randrange(len(PETS["en"]))) if kind == "pet" else (kind, 0)

    def near(self):
        """Something that is easily mistaken for what was told: another pet, the word for the number."""
        kinds = {kind for kind, _ in self.told}
        if "pet" in kinds:
            return "pet", self.world.rng.randrange(len(PETS["en"]))
        others = [other for kind, other in CONFUSED if kind in kinds]
        return (self.world.pick(others), 0) if others else self.key()

    def value(self, kind):
        """Something new to tell."""
        world = self.world
        if kind == "name":
            return world.proper(NAMES)
        if kind == "city":
            return world.proper(CITIES)
        if kind == "pet":
            return world.proper(PET_NAMES)
        if kind == "word":
            return world.proper(WORDS if world.language == "en" else WORDS_PT, capital=False)
        if kind == "age":
            return str(world.rng.randint(3, 99))
        if kind == "number":
            return str(world.rng.randint(2, 9999) if world.chance(0.6) else world.rng.randint(2, 100))
        return world.pick((COLOURS if kind == "colour" else FOODS)[world.language])

    def remember(self, key, value):
        """Notes a value without a turn."""
        self.told[key] = value

    def text(self, table, key, **values):
        """A canonical sentence of the assistant."""
        kind, pet = key
        return table[self.world.language][kind].format(pet=PETS[self.world.language][pet], **values)

    def sentence(self, table, key, keep=(), **values):
        """A varied sentence of the user."""
        kind, pet = key
        return self.world.vary(self.world.wording(table[self.world.language][kind]).format(pet=PETS[self.world.language][pet], **values), keep)

    def tell(self, key=None):
        """The user says something about themselves."""
        key = key or self.key()
        value = self.value(key[0])
        self.remember(key, value)
        think = THOUGHTS[self.world.language]["tell"].format(x=value)
        return Exchange(self.sentence(TELL, key, (value,), x=value), self.text(REPLY, key, x=value), think=think, skill="memory")

    def tell_two(self):
        """Two things at once; the reply is to the name."""
        first, second = ("name", 0), self.world.pick([("city", 0), ("age", 0), ("pet", 0), ("pet", 1)])
        values = self.value("name"), self.value(second[0])
        sentences = [self.sentence(TELL, key, (value,), x=value) for key, value in zip((first, second), values)]
        for key, value in zip((first, second), values):
            self.remember(key, value)
        think = THOUGHTS[self.world.language]["tell"].format(x=f"{values[0]}, {values[1]}")
        return Exchange(stop(sentences[0]) + " " + sentences[1], self.text(REPLY, first, x=values[0]), think=think, skill="memory")

    def ask(self, key=None):
        """The user asks for something, told or not."""
        known = list(self.told)
        key = key or (self.world.pick(known) if known and self.world.chance(0.64) else self.near() if self.world.chance(0.4) else self.key())
        user = self.sentence(ASK, key)
        if key in self.told:
            value = self.told[key]
            return Exchange(user, self.text(TOLD, key, x=value), value, THOUGHTS[self.world.language]["ask"].format(x=value), "memory")
        return Exchange(user, self.text(NOT_TOLD, key), None, THOUGHTS[self.world.language]["none"], "memory")

    def tell_and_ask(self):
        """Told and asked in one message, at times with a second thing told in between."""
        told = self.tell()
        user = stop(told.user)
        if self.world.chance(0.3):
            user += " " + stop(self.tell().user)
        asked = self.ask()
        asked.user = user + " " + asked.user
        return asked

    def turn(self):
        """One exchange about what is remembered."""
        roll = self.world.rng.random()
        if roll < 0.12:
            return self.tell_two()
        if roll < 0.27:
            return self.tell_and_ask()
        if roll < 0.52 or (not self.told and roll < 0.9):
            return self.tell()
        return self.ask()

    def system(self):
        """A system prompt that tells something about the user."""
        sentences = []
        for kind in self.world.rng.sample(["name", "name", "city", "age"], self.world.rng.randint(1, 2)):
            if (kind, 0) in self.told:
                continue
            value = self.value(kind)
            self.remember((kind, 0), value)
            sentences.append(self.world.pick(SYSTEM[self.world.language][kind]).format(x=value))
        return " ".join(sentences)


def stop(sentence):
    """The sentence with a full stop at its end."""
    return sentence if sentence[-1] in ".?!" else sentence + "."
