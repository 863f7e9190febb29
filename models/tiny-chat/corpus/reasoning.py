"""Thinking before an answer: asked for in the system prompt or by the user, opened or closed by the template."""

from .chat import EMPTY_THOUGHT, thought_text
from .template import OPEN_THOUGHT

ASK = {
    "en": ["Think step by step: {text}", "Think first: {text}", "Think before you answer: {text}", "{text} Think before you answer.", "{text} Think step by step.", "Reason first: {text}"],
    "pt": ["Pense passo a passo: {text}", "Pense primeiro: {text}", "Pense antes de responder: {text}", "{text} Pense antes de responder.", "Raciocine primeiro: {text}"],
}


def asked_to_think(world, text):
    """The user's message with the wish that the model think."""
    return world.local(ASK).format(text=text if text[-1] in ".?!" else text + ".")


def thinking(exchange):
    """The answer with its thought."""
    return ("assistant", thought_text(exchange.think, exchange.answer))


def opened(exchange):
    """The answer after a thought that the template has opened."""
    return ("assistant", thought_text(exchange.think, exchange.answer)[len(OPEN_THOUGHT):], OPEN_THOUGHT)


def closed(exchange):
    """The answer after a thought that the template has closed before it began."""
    return ("assistant", exchange.answer, EMPTY_THOUGHT)
