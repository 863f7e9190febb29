"""Smoke test of the whole pipeline: python -m unittest, from this folder.

Corpus, tokenizer and evaluation need the standard library alone; the tests of template and training are skipped without the
packages of requirements.txt.
"""

import hashlib
import importlib.util
import json
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

import corpus
import data
import evaluate
import prompts
import schedule
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

    def test_no_tool_is_missed_that_is_listed(self):
        kinds = {}

        def noted(make, kind):
            def made(source):
                tool = make(source)
                kinds[tool.user] = kind
                return tool

            return made

        refused = 0
        with mock.patch.object(tools, "weather", noted(tools.weather, "weather")), mock.patch.object(tools, "clock", noted(tools.clock, "time")):
            for seed in range(1500):
                kinds.clear()
                messages = corpus.tool_conversation(world.World(random.Random(seed), language="pt" if seed % 3 == 0 else "en"))
                names = [json.loads(line)["function"]["name"].lower() for line in messages[0][1].split("\n") if line.startswith('{"type"')]
                for (_, question, *_), (_, answer, *_) in zip(messages, messages[1:]):
                    if answer in tools.NO_TOOL.values():
                        refused += 1
                        self.assertFalse([name for name in names if kinds[question] in name], question)
        self.assertGreater(refused, 100)

    def test_results_come_in_all_forms_in_training_alone_or_when_asked_for(self):
        for split, all_forms, expected in (("train", False, False), ("test", False, True), ("test", True, False)):
            source = world.World(random.Random(1), all_forms=all_forms)
            source.split = split
            results = [source.pick(tools.SKILLS)(source).result for _ in range(500)]
            self.assertEqual(all(map(tools.is_usual, results)), expected, (split, all_forms))

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

    def test_results_in_many_forms_have_none_that_the_other_prompts_have(self):
        def forms(skill):
            for one in prompts.make_all()[skill]:
                for result in prompts.results_of(one["messages"]):
                    values = json.loads(result) if result.startswith("{") else {}
                    yield tuple(values), bool(values) and ": " not in result

        others = {*forms("tool-answer"), *forms("tool-two-calls")}
        self.assertIn((("temperature", "condition"), False), others)
        self.assertEqual(others.intersection(forms("tool-many-results")), set())

    def test_pairs_of_capitals(self):
        pairs = prompts.pairs()
        self.assertEqual(len({tuple(message["content"] for message in one["messages"]) for one in pairs}), 32 * 31)
        self.assertEqual(len({one["id"] for one in pairs}), 32 * 31)

    def test_what_is_written_is_the_whole_evaluation(self):
        ended = subprocess.run([sys.executable, HERE / "evaluate.py", "--model", "none.gguf", "--limit", "1"], capture_output=True, text=True)
        self.assertEqual(ended.returncode, 2)
        self.assertIn("--limit needs --only-print", ended.stderr)

    def test_file_results_and_card_belong_together(self):
        file, card = (HERE / "tiny-chat.gguf").read_bytes(), (HERE / "MODEL_CARD.md").read_text()
        results = json.loads((HERE / "evaluation" / "results.json").read_text())
        digest = hashlib.sha256(file).hexdigest()
        self.assertEqual((results["sha256"], results["bytes"]), (digest, len(file)))
        self.assertIn(f"size: {len(file):,} bytes, sha256: `{digest}`", card)
        self.assertIn("<!-- table -->\n" + evaluate.table(results) + "<!-- end -->", card)
        self.assertEqual({skill: row["asked"] for skill, row in results["skills"].items()}, {skill: len(items) for skill, items in prompts.make_all().items()})

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
        for skill, items in prompts.make_all().items():
            lines = (HERE / "evaluation" / f"{skill}.jsonl").read_text().splitlines()
            self.assertEqual([json.loads(line) for line in lines], items)


class ScheduleTest(unittest.TestCase):
    def test_every_step_has_a_rate_and_the_last_ones_of_a_descent_are_low(self):
        for steps in (1, 4, 6200):
            rates = [schedule.rate_at(step, steps) for step in range(schedule.last_step(steps))]
            self.assertTrue(all(0 < rate <= 1 for rate in rates))
            end = steps
            for length, highest in schedule.FINISH:
                self.assertAlmostEqual(rates[end], highest)
                end += length
                self.assertEqual(rates[end - 1], 0.01)
            self.assertEqual(len(rates), end)
            with self.assertRaises(ValueError):
                schedule.rate_at(end, steps)
        self.assertEqual((rates[0], max(rates), rates[6199]), (1 / 40, 1, 0.01))
        self.assertEqual(schedule.last_step(6200, False), 6200)

    def test_shares_and_weights_change_at_their_borders(self):
        wanted = {0: (0.0, 0.0, 0.0), 930: (0.02, 0.0, 0.0), 3100: (0.05, 0.0, 0.0), 4650: (0.05, 0.25, 0.0), 6200: (0.05, 0.0, 0.5)}
        borders = [*wanted, schedule.last_step(6200)]
        for (first, shares), end in zip(wanted.items(), borders[1:]):
            for step in (first, end - 1):
                self.assertEqual(tuple(schedule.shares_at(step, 6200).values()), shares, step)
        self.assertEqual([schedule.asked_at(step, 6200) for step in (0, 1859, 1860, 8119)], [data.ASKED, data.ASKED, 0, 0])


class MakeTest(unittest.TestCase):
    def test_unknown_arguments_are_refused_before_anything_is_done(self):
        for arguments in (["--replce"], ["--replace", "--test"], ["test"]):
            with tempfile.TemporaryDirectory() as folder:
                build = pathlib.Path(folder, "build")
                ended = subprocess.run([HERE / "make", *arguments], capture_output=True, text=True, env={**os.environ, "TINY_CHAT_BUILD": str(build)})
                self.assertEqual(ended.returncode, 2)
                self.assertIn("usage", ended.stderr)
                self.assertFalse(build.exists())


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

    def refused(self, *arguments):
        """The last line of what training says when it ends with an error."""
        ended = subprocess.run([sys.executable, HERE / "train.py", *map(str, arguments)], capture_output=True, text=True)
        self.assertNotEqual(ended.returncode, 0)
        return ended.stderr.splitlines()[-1]

    def test_training_goes_on_where_it_stopped_and_can_be_exported(self):
        import torch

        import export
        import margin

        with tempfile.TemporaryDirectory() as folder:
            out, file = pathlib.Path(folder), pathlib.Path(folder, "tiny.gguf")
            data.make_tokenizer(512, conversations=200).save(out / "tokenizer.json")
            config = json.dumps({**TINY, "vocabulary": 512})
            options = ["--out", out, "--steps", 4, "--no-finish", "--micro", 1, "--batch-tokens", 2000, "--shard-steps", 1, "--no-compile", "--config", config]
            self.assertIn("at most 4, the last step", self.refused(*options, "--stop", 5))
            self.assertIn("at least 0", self.refused(*options, "--stop", -1))
            self.run_script("train.py", *options, "--stop", 0)
            self.assertEqual(torch.load(out / "checkpoint.pt", weights_only=True)["step"], 0)
            self.run_script("train.py", *options, "--stop", 2)
            self.assertIn("made with another steps:", self.refused(*options, "--steps", 5))
            saved = torch.load(out / "checkpoint.pt", weights_only=True)
            torch.save({**saved, "recipe": {**saved["recipe"], "corpus": "other"}}, out / "checkpoint.pt")
            self.assertIn("made with another corpus:", self.refused(*options))
            self.assertIn("step 2 of 4", self.run_script("train.py", *options, "--continue-anyway"))
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
