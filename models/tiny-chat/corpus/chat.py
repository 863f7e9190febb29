"""How a conversation is written for the model: ChatML, exactly as the chat template in the GGUF file renders it."""

import json

from .template import EMPTY_THOUGHT


def as_json(value, is_compact=False):
    """JSON with the spacing of Jinja's `tojson`, or without any, as JavaScript writes it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":") if is_compact else None)


def call_text(name, arguments):
    """A tool call as the assistant writes it."""
    return f'<tool_call>\n{{"name": "{name}", "arguments": {as_json(arguments)}}}\n</tool_call>'


def response_text(result):
    """A tool's result as the user's turn carries it."""
    return f"<tool_response>\n{result}\n</tool_response>"


def tools_text(tools):
    """The list of tools as the system message carries it."""
    return "# Tools\n<tools>" + "".join("\n" + as_json(tool) for tool in tools) + "\n</tools>"


def thought_text(thought, answer):
    """An answer with the thought before it."""
    return f"<think>\n{thought}\n</think>\n\n{answer}"


def system_text(system, tools):
    """The system message, or None."""
    if tools:
        return (system + "\n\n" if system else "") + tools_text(tools)
    return system


def segments(messages):
    """The pieces of the training text as (text, whether the model has to say it).

    A message is (role, text) or, for an assistant whose thought is opened or closed by the template, (role, text, prefix). The
    role "past" is an assistant's answer that is not to be learned.
    """
    for role, text, *prefix in messages:
        is_answer = role == "assistant"
        yield f"<|im_start|>{'assistant' if role == 'past' else role}\n" + "".join(prefix), False
        yield text + "<|im_end|>", is_answer
        yield "\n", False


def render(messages, generate=True):
    """The prompt for a list of messages."""
    text = "".join(piece for piece, _ in segments(messages))
    return text + "<|im_start|>assistant\n" if generate else text


__all__ = ["EMPTY_THOUGHT", "as_json", "call_text", "render", "response_text", "segments", "system_text", "thought_text", "tools_text"]
