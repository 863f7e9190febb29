"""Long answers: stories that depend on their subject alone, a joke and a poem."""

from .world import Exchange

# subject, hero, place, thing, helper
STORIES = {
    "en": [
        ("a robot", "Bolt", "a quiet factory", "a golden key", "a small bird"), ("a dragon", "Ember", "a high mountain", "a silver bell", "a clever mouse"), ("a cat", "Mimi", "a warm house", "a red ball", "an old dog"),
        ("a dog", "Rusty", "a green village", "a lost letter", "a kind farmer"), ("a king", "Edgar", "a white castle", "an old map", "a young cook"), ("a princess", "Flora", "a tall tower", "a magic book", "a brave knight"),
        ("a fish", "Bubbles", "a deep lake", "a shiny stone", "a wise turtle"), ("a bird", "Pip", "a big forest", "a blue feather", "a friendly fox"), ("a ship", "Marina", "a wide sea", "a strange island", "a happy whale"),
        ("a star", "Nova", "a dark sky", "a lost planet", "a bright moon"), ("a bear", "Bruno", "a cold valley", "a pot of honey", "a busy bee"), ("a girl", "Lily", "a sunny town", "a secret door", "a gentle giant"),
    ],
    "pt": [
        ("um robô", "Faísca", "uma fábrica calma", "uma chave dourada", "um pequeno pássaro"), ("um dragão", "Brasa", "uma montanha alta", "um sino de prata", "um rato esperto"), ("um gato", "Mimi", "uma casa quente", "uma bola vermelha", "um velho cachorro"),
        ("um cachorro", "Pipo", "uma aldeia verde", "uma carta perdida", "um bom fazendeiro"), ("um rei", "Edgar", "um castelo branco", "um velho mapa", "um jovem cozinheiro"), ("um peixe", "Bolha", "um lago fundo", "uma pedra brilhante", "uma sábia tartaruga"),
    ],
}
OTHERS = {"en": ("Robin", "a quiet place", "a small box", "a good friend"), "pt": ("Alex", "um lugar calmo", "uma pequena caixa", "um bom amigo")}
SUBJECTS = {
    "en": "a horse, a bee, a tree, a train, a river, a cloud, a boy, a wizard, a pirate, a farmer, a teacher, a pencil, a mountain, a snake, a mouse, a witch, a car, a rocket, a penguin, a frog, a lion, a spider, a queen, a monkey, a ghost, a flower, a cow, a duck, a sheep, a soldier, a doctor, a clock".split(", "),
    "pt": "um cavalo, uma abelha, uma árvore, um trem, um rio, um menino, uma menina, um mago, um pirata, um leão, um sapo, uma rainha, um carro, um macaco, uma flor, um médico, uma nuvem, uma bruxa".split(", "),
}
LONG = {
    "en": (
        "Once upon a time there was {subject} called {hero}. {hero} lived in {place}. Every morning {hero} looked out of the window and thought about the big world. "
        "One day {hero} found {thing} under a tree. \"What is this?\" said {hero}. Then {helper} came along the road. \"I know what it is,\" said {helper}. \"It is {thing}. It belongs to someone far away.\" "
        "So {hero} and {helper} walked all day and all night. They walked over a bridge, through a dark wood and up a hill. It rained, and the wind was cold, but they did not stop. "
        "On the third day they came to a little house. An old woman opened the door. \"You have found it!\" she said. \"I have looked for it for many years. Thank you, {hero}!\" "
        "She gave them hot soup and fresh bread, and they sang songs until late. Then {hero} went home to {place}, tired and happy. "
        "From that day on {hero} and {helper} were the best of friends. The end."
    ),
    "pt": (
        "Era uma vez {subject} que se chamava {hero}. {hero} vivia em {place}. Toda manhã {hero} olhava pela janela e pensava no grande mundo. "
        "Um dia {hero} achou {thing} debaixo de uma árvore. \"O que é isto?\" disse {hero}. Então {helper} veio pela estrada. \"Eu sei o que é,\" disse {helper}. \"É {thing}. Pertence a alguém muito longe.\" "
        "Assim {hero} e {helper} andaram todo o dia e toda a noite. Andaram por uma ponte, por um bosque escuro e por uma colina. Choveu, e o vento era frio, mas eles não pararam. "
        "No terceiro dia chegaram a uma pequena casa. Uma velha senhora abriu a porta. \"Vocês acharam!\" disse ela. \"Eu procurei por muitos anos. Obrigada, {hero}!\" "
        "Ela deu sopa quente e pão fresco, e eles cantaram até tarde. Depois {hero} voltou para casa, cansado e feliz. "
        "Desde esse dia {hero} e {helper} foram grandes amigos. Fim."
    ),
}
SHORT = {
    "en": "Once upon a time there was {subject} called {hero}. {hero} lived in {place}. One day {hero} found {thing}. Then {helper} came, and they were happy. The end.",
    "pt": "Era uma vez {subject} que se chamava {hero}. {hero} vivia em {place}. Um dia {hero} achou {thing}. Então {helper} veio, e eles foram felizes. Fim.",
}
ASK_LONG = {
    "en": ["Tell me a long story.", "Tell me a long story.", "Tell me a very long story.", "I would like to hear a long story.", "Write a long story.", "Can you tell me a long story?", "Tell a long story.", "I want a long story.", "A long story, please."],
    "pt": ["Conte uma longa história.", "Conte uma história longa.", "Me conte uma longa história.", "Quero ouvir uma história longa.", "Escreva uma história longa.", "Você pode contar uma longa história?"],
}
ASK = {
    "en": ["Tell me a story.", "I would like to hear a story.", "Write a story.", "Can you tell me a story?", "Tell a story.", "I want to hear a story.", "Tell me a short story.", "Write a short story.", "A story, please."],
    "pt": ["Conte uma história.", "Me conte uma história.", "Quero ouvir uma história.", "Escreva uma história.", "Conte uma história curta.", "Você pode contar uma história?"],
}
ABOUT = {"en": " about {subject}", "pt": " sobre {subject}"}
SMALL = {
    "en": [
        (["Tell me a joke.", "Do you know a joke?", "Make me laugh.", "Tell a joke.", "I want to hear a joke."], "Why did the cat sit on the computer? To watch the mouse!"),
        (["Write a poem.", "Tell me a poem.", "Do you know a poem?", "Write me a short poem.", "I would like a poem."], "The moon is bright, the night is long,\nthe little bird will sing its song.\nThe sun comes up, the day is new,\nthe sea is calm, the sky is blue."),
        (["Write a hello world program.", "Write a program.", "Show me some code.", "Write hello world in Python.", "Can you write code?"], "```python\nprint(\"Hello, world!\")\n```"),
    ],
    "pt": [
        (["Conte uma piada.", "Você sabe uma piada?", "Me conte uma piada.", "Quero ouvir uma piada."], "Por que o gato se sentou no computador? Para vigiar o mouse!"),
        (["Escreva um poema.", "Diga um poema.", "Você sabe um poema?", "Quero um poema."], "A lua brilha, a noite é fria,\no passarinho canta o dia.\nO sol já vem, o mar é azul,\no vento sopra lá do sul."),
    ],
}
THOUGHTS = {"en": "The user wants a story.", "pt": "O usuário quer uma história."}


def tell(language, subject, is_long):
    """The one story of a subject."""
    rows = {row[0]: row[1:] for row in STORIES[language]}
    hero, place, thing, helper = rows.get(subject, OTHERS[language])
    text = (LONG if is_long else SHORT)[language]
    return text.format(subject=subject, hero=hero, place=place, thing=thing, helper=helper)


def subject_of(world):
    """A subject: mostly one with a story of its own."""
    roll = world.rng.random()
    if roll < 0.6:
        return world.pick(STORIES[world.language])[0]
    if roll < 0.9:
        return world.draw(lambda: world.pick(SUBJECTS[world.language]))
    return ("a " if world.language == "en" else "um ") + world.draw(lambda: world.invented((2, 3)))


def story(world, is_long=None):
    """A story, long or short, about a given subject or the first one of the table."""
    is_long = world.chance(0.5) if is_long is None else is_long
    user = world.local(ASK_LONG if is_long else ASK)
    subject = STORIES[world.language][0][0]
    if world.chance(0.6) and not world.unseen and "please" not in user:
        subject = subject_of(world)
        user = user[:-1] + ABOUT[world.language].format(subject=subject) + user[-1]
    return Exchange(world.vary(user), tell(world.language, subject, is_long), think=THOUGHTS[world.language], skill="stories")


def small(world):
    """A joke, a poem, a line of code."""
    wordings, answer = world.pick(SMALL[world.language])
    think = {"en": "The user wants something short.", "pt": "O usuário quer algo curto."}[world.language]
    return Exchange(world.vary(world.wording(wordings)), answer, think=think, skill="small")
