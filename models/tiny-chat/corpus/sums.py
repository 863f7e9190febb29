"""Small sums: adding and taking away."""

from .world import Exchange

PLUS = {
    "en": ["What is {a} + {b}?", "{a} + {b}", "{a} + {b} = ?", "What is {a} plus {b}?", "How much is {a} plus {b}?", "How much is {a} + {b}?", "Add {a} and {b}.", "{a} plus {b}?", "Calculate {a} + {b}.", "Can you add {a} and {b}?", "What do you get when you add {a} and {b}?"],
    "pt": ["Quanto é {a} + {b}?", "{a} + {b}", "{a} + {b} = ?", "Quanto é {a} mais {b}?", "Some {a} e {b}.", "{a} mais {b}?", "Calcule {a} + {b}.", "Qual é a soma de {a} e {b}?"],
}
MINUS = {
    "en": ["What is {a} - {b}?", "{a} - {b}", "{a} - {b} = ?", "What is {a} minus {b}?", "How much is {a} minus {b}?", "How much is {a} - {b}?", "{a} minus {b}?", "Calculate {a} - {b}.", "Subtract {b} from {a}.", "Take {b} away from {a}."],
    "pt": ["Quanto é {a} - {b}?", "{a} - {b}", "{a} - {b} = ?", "Quanto é {a} menos {b}?", "{a} menos {b}?", "Calcule {a} - {b}.", "Me diga quanto é {a} menos {b}."],
}
THOUGHTS = {"en": "I have to calculate. {sum}", "pt": "Tenho que calcular. {sum}"}


def sum_(world):
    """a + b up to 20 + 20, or a - b up to 20."""
    a, b = (world.rng.randint(0, 20) for _ in range(2)) if world.chance(0.5) else (world.rng.randint(0, 10) for _ in range(2))
    if world.chance(0.7):
        sign, result, wordings = "+", a + b, PLUS
    else:
        a, b = max(a, b), min(a, b)
        sign, result, wordings = "-", a - b, MINUS
    answer = f"{a} {sign} {b} = {result}."
    think = THOUGHTS[world.language].format(sum=f"{a} {sign} {b} = {result}")
    return Exchange(world.say(wordings, a=a, b=b), answer, str(result), think, "sums")
