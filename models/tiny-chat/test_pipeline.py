"""Smoke test of the whole pipeline: python -m unittest, from this folder.

Corpus, tokenizer and evaluation need the standard library alone; the tests of template and training are skipped without the
packages of requirements.txt.
"""

import importlib.util
import json
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import unittest

import corpus
import data
import evaluate
import prompts
from corpus import chat, counting, echo, emoji, facts, greetings, json_answers, languages, memory, stories, sums, tools, world
from corpus.template import TEMPLATE
from corpus.tokenizer import SPECIAL, Tokenizer

HERE = pathlib.Path(__file__).resolve().parent
TINY = {"width": 32, "layers": 2, "heads": 2, "key_heads": 1, "head_width": 32, "inner": 64}


def wording_lists():
    """Every list of wordings in the corpus whose last one is for the evaluation alone."""
    modules = counting, echo, emoji, facts, greetings, json_answers, languages, memory, stories, sums
    tables = [value for module in modules for value in vars(module).values()]
    while tables:
        table = tables.pop()
        if isinstance(table, dict):
            tables += table.values()
        elif isinstance(table, (list, tuple)) and not all(isinstance(text, str) for text in table):
            tables += table
        elif isinstance(table, list) and len(table) > 3 and " " in "".join(table):
            yield table


def has(*modules):
    """Whether these modules are installed."""
    return all(importlib.util.find_spec(module) for module in modules)


class CorpusTest(unittest.TestCase):
    def test_the_same_seed_makes_the_same_conversation(self):
        for seed in range(200):
            self.assertEqual(corpus.make(seed, ["an", "or"], 0.1, 0.3, 0.5), corpus.make(seed, ["an", "or"], 0.1, 0.3, 0.5))

    def test_conversations_alternate_and_end_with_an_answer(self):
        for seed in range(500):
            roles = [message[0] for message in corpus.make(seed, (), 0.1, 0.3, 0.5)]
            if roles[0] == "system":
                roles = roles[1:]
            self.assertEqual(roles[0::2], ["user"] * (len(roles) // 2))
            self.assertTrue(set(roles[1::2]) <= {"assistant", "past"}, roles)
            self.assertEqual(roles[-1], "assistant")

    def test_every_skill_turns_up(self):
        text = "\n".join(corpus.render(corpus.make(seed), False) for seed in range(1500))
        for part in ("The capital of", "A capital d", "é um", "Nice to meet you", "<tool_call>", "<tool_response>", "<think>", "I do not know that.", "🐱", '{"name":', "Once upon a time", "Era uma vez", "1, 2, 3"):
            self.assertIn(part, text)

    def test_what_is_practised_last_turns_up_when_it_is_asked_for(self):
        alone = [corpus.render(corpus.make(seed, (), 0.0, 1.0), False) for seed in range(300)]
        for part in ("<tool_call>", "Once upon a time", "Nice to meet you"):
            self.assertGreater(sum(part in text for text in alone), 10)
        self.assertEqual(corpus.make(7), corpus.make(7, (), 0.0, 0.0))

    def test_facts_come_in_series_and_tools_answer_in_many_forms(self):
        texts = [corpus.render(corpus.make(seed, (), 0.0, 0.0, 1.0), False) for seed in range(1500)]
        series = [text for text in texts if len(set(re.findall(r"The capital of (\w+) is", text))) > 1]
        self.assertGreater(len(series), 50)
        for form in (r'{"temperature": \d+, "condition"', r'{"sky": "\w+", "\w+": \d+}', r'"temp":\s?\d+', r'\n{"temperature":\d+,"condition":"\w+"}\n.+\n<tool_response>\n{"temperature":\d+,"condition"'):
            self.assertTrue(any(re.search(form, text) for text in texts), form)

    def test_held_out_words_stay_out_of_training(self):
        source = world.World(random.Random(1))
        self.assertFalse(any(world.is_held_out(source.proper(memory.NAMES)) for _ in range(500)))
        source.split = "test"
        self.assertTrue(all(world.is_held_out(source.proper(memory.NAMES)) for _ in range(500)))
        held_out = {name for name in memory.NAMES if world.is_held_out(name)}
        self.assertGreater(len(held_out), 5)
        self.assertNotIn("Ana", held_out)

    def test_held_out_wordings_stay_out_of_training(self):
        held_out = [re.escape(world.bare(options[-1].replace("{emoji}", ""))) for options in wording_lists()]
        self.assertGreater(len(held_out), 100)
        unseen = re.compile("|".join(held_out).replace(r"\{\}", r"\S+(?: \S+)?"))
        for seed in range(4000):
            for role, text, *_ in corpus.make(seed, (), 0.1, 0.3, 0.5):
                if role == "user":
                    self.assertIsNone(unseen.fullmatch(world.bare(text)), text)

    def test_a_story_depends_on_its_subject_alone(self):
        self.assertEqual(stories.tell("en", "a robot", True), stories.tell("en", "a robot", True))
        self.assertNotEqual(stories.tell("en", "a robot", True), stories.tell("en", "a dragon", True))

    def test_counting(self):
        self.assertEqual(counting.numbers(1, 4), "1, 2, 3, 4.")
        self.assertEqual(counting.numbers(3, 1), "3, 2, 1.")


class TokenizerTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tokenizer = data.make_tokenizer(600, conversations=300)

    def test_round_trip(self):
        texts = [corpus.render(corpus.make(seed), False) for seed in range(300)]
        for text in [*texts, "", " ", "\n\n  x", "É ção 日本 🐱❤️ 12345 a_b --- don't DON'T"]:
            self.assertEqual(self.tokenizer.decode(self.tokenizer.encode(text)), text)

    def test_numbers_up_to_100_are_one_token_and_emoji_several(self):
        for number in range(101):
            self.assertEqual(len(self.tokenizer.encode(str(number))), 1)
        for emoji, *_ in corpus.system.EMOJI:
            self.assertGreater(len(self.tokenizer.encode(emoji)), 2)

    def test_special_tokens_are_one_token(self):
        for token in SPECIAL:
            self.assertEqual(self.tokenizer.encode(token), [SPECIAL.index(token)])

    def test_what_is_saved_can_be_loaded(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "tokenizer.json")
            self.tokenizer.save(path)
            self.assertEqual(Tokenizer.load(path).tokens, self.tokenizer.tokens)

    def test_only_answers_weigh_fully(self):
        tokens, weights = data.encode([("user", "Hello"), ("assistant", "Hi!")], self.tokenizer)
        self.assertEqual(len(tokens), len(weights))
        answer = self.tokenizer.encode("Hi!<|im_end|>")
        self.assertEqual([token for token, weight in zip(tokens, weights) if weight == 1], answer)


class EvaluationTest(unittest.TestCase):
    def test_every_skill_has_at_least_100_prompts_and_they_never_change(self):
        skills = prompts.make_all()
        self.assertEqual(skills, prompts.make_all())
        self.assertEqual({skill for skill, items in skills.items() if len(items) < 100}, {"fixed"})

    def test_of_two_tools_for_the_same_either_is_right(self):
        source = world.World(random.Random(1))
        listed = []
        for name in ("get_weather", "weather", "get_time"):
            tool = tools.weather(source)
            tool.name, tool.properties = name, {"place": ("string", "The city")}
            listed.append(tool.listed(source))
        same = prompts.same_calls(listed, chat.call_text("get_weather", {"city": "Paris"}))
        self.assertEqual(same, [chat.call_text("weather", {"place": "Paris"})])

    def test_judging(self):
        exact = {"match": "exact", "accept": ["Yes."]}
        self.assertTrue(evaluate.is_right(exact, "Yes."))
        self.assertFalse(evaluate.is_right(exact, "<think>\nHm.\n</think>\n\nYes."))
        thought = {"match": "thought", "accept": ["Yes."]}
        self.assertTrue(evaluate.is_right(thought, "<think>\nHm.\n</think>\n\nYes."))
        self.assertFalse(evaluate.is_right(thought, "Yes."))

    def test_the_committed_evaluation_is_what_the_code_makes(self):
        folder = HERE / "evaluation"
        if not folder.exists():
            self.skipTest("there is none yet")
        for skill, items in prompts.make_all().items():
            lines = (folder / f"{skill}.jsonl").read_text().splitlines()
            self.assertEqual([json.loads(line) for line in lines], items)


@unittest.skipUnless(has("jinja2"), "needs jinja2")
class TemplateTest(unittest.TestCase):
    def render(self, **values):
        """What the template makes of messages, as llama.cpp and transformers would have it."""
        import jinja2

        environment = jinja2.Environment()
        environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "sort_keys": False}
        environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
        return environment.from_string(TEMPLATE).render(**values)

    def test_it_writes_what_training_reads(self):
        for seed in range(200):
            messages = [message for message in corpus.make(seed, (), 0.1) if len(message) == 2 and message[0] != "past"]
            as_given = [{"role": role, "content": text} for role, text in messages]
            self.assertEqual(self.render(messages=as_given), corpus.render(messages, False))
            self.assertEqual(self.render(messages=as_given, add_generation_prompt=True), corpus.render(messages))

    def test_tools(self):
        source = world.World(random.Random(3))
        tool = tools.weather(source)
        listed = tools.tool_list(source, [tool])
        wanted = corpus.render([("system", chat.system_text("Be kind.", listed)), *tools.uses(source, tool)], False)
        messages = [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": tool.user},
            {"role": "assistant", "content": None, "tool_calls": [{"type": "function", "function": {"name": tool.name, "arguments": tool.arguments}}]},
            {"role": "tool", "content": tool.result},
            {"role": "assistant", "content": tool.answer},
        ]
        self.assertEqual(self.render(messages=messages, tools=listed), wanted)

    def test_several_calls_and_results(self):
        listed, messages = tools.two_at_once(world.World(random.Random(3)))
        calls = [json.loads(call) for call in messages[1][1].replace("</tool_call>", "").split("<tool_call>")[1:]]
        results = messages[2][1].replace("</tool_response>", "").split("<tool_response>")[1:]
        given = [{"role": "user", "content": messages[0][1]}, {"role": "assistant", "content": "", "tool_calls": [{"function": call} for call in calls]}]
        given += [{"role": "tool", "content": result.strip()} for result in results] + [{"role": "assistant", "content": messages[3][1]}]
        self.assertEqual(self.render(messages=given, tools=listed), corpus.render([("system", chat.system_text(None, listed)), *messages], False))

    def test_thoughts(self):
        messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!", "reasoning_content": "Hm."}]
        wanted = corpus.render([("user", "Hi"), ("assistant", chat.thought_text("Hm.", "Hello!"))], False)
        self.assertEqual(self.render(messages=messages), wanted)
        asked = {"messages": messages[:1], "add_generation_prompt": True}
        for enable_thinking in ({}, {"enable_thinking": True}):
            self.assertTrue(self.render(**asked, **enable_thinking).endswith("<|im_start|>assistant\n"))
        self.assertTrue(self.render(**asked, enable_thinking=False).endswith("assistant\n" + chat.EMPTY_THOUGHT))
        self.assertTrue(self.render(**asked, thinking=True).endswith("assistant\n<think>\n"))


@unittest.skipUnless(has("torch", "numpy"), "needs torch and numpy")
class TrainingTest(unittest.TestCase):
    def run_script(self, name, *arguments):
        """Runs a script of the pipeline; its output."""
        return subprocess.run([sys.executable, HERE / name, *map(str, arguments)], capture_output=True, text=True, check=True).stdout

    def test_training_goes_on_where_it_stopped_and_can_be_exported(self):
        import torch

        import export
        import margin

        with tempfile.TemporaryDirectory() as folder:
            out, file = pathlib.Path(folder), pathlib.Path(folder, "tiny.gguf")
            data.make_tokenizer(512, conversations=200).save(out / "tokenizer.json")
            config = json.dumps({**TINY, "vocabulary": 512})
            options = ["--out", out, "--steps", 4, "--no-finish", "--micro", 1, "--batch-tokens", 2000, "--shard-steps", 1, "--no-compile", "--config", config]
            self.run_script("train.py", *options, "--stop", 2)
            self.assertIn("step 2 of 4", self.run_script("train.py", *options))
            self.assertIn("step 4", self.run_script("export.py", "--from", out, "--to", file))
            saved = torch.load(out / "checkpoint.pt", weights_only=True)
            model, tokenizer = margin.load(file)
            self.assertEqual(tokenizer.tokens, Tokenizer.load(out / "tokenizer.json").tokens)
            for name, weight in export.tensors(saved["model"], saved["config"]).items():
                self.assertEqual(margin.Reader(file).tensors[name].shape, weight.shape)
            for name, weight in model.state_dict().items():
                torch.testing.assert_close(weight, saved["model"][name], atol=0.03, rtol=0.05)


if __name__ == "__main__":
    unittest.main()
