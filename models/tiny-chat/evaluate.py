"""Evaluates a GGUF file through the project's own addon and writes results, a fixed sample for the test suite, and the card's table.

    python evaluate.py --model tiny-chat.gguf            # writes evaluation/ and the table in MODEL_CARD.md
    python evaluate.py --model other.gguf --only-print
    python evaluate.py --model other.gguf --pairs        # instead asks for each capital after each other one, and writes nothing
"""

import argparse
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import prompts

HERE = pathlib.Path(__file__).resolve().parent
SAMPLE_EACH, CANDIDATES = 3, 20
TABLE = re.compile(r"(<!-- table -->\n).*?(<!-- end -->)", re.DOTALL)
THOUGHT = re.compile(r"<think>\n(?:(?!</?think>).)+?\n</think>\n\n", re.DOTALL)


def ask(model, items):
    """The model's answers: {id: answer}."""
    with tempfile.TemporaryFile("w+") as questions:
        questions.writelines(json.dumps(one, ensure_ascii=False) + "\n" for one in items)
        questions.seek(0)
        output = subprocess.run(["node", str(HERE / "ask.js"), str(model)], stdin=questions, capture_output=True, text=True, check=True).stdout
    return {answer["id"]: answer for answer in map(json.loads, output.splitlines())}


def is_right(one, text):
    """Whether an answer counts as right."""
    if one["match"] == "exact":
        return text in one["accept"]
    thought = THOUGHT.match(text)
    return bool(thought) and text[thought.end() :] in one["accept"]


def judge(skills, answers):
    """{skill: (right, asked, [wrong])}."""
    result = {}
    for skill, items in skills.items():
        wrong = [one for one in items if not is_right(one, answers[one["id"]]["text"])]
        result[skill] = (len(items) - len(wrong), len(items), wrong)
    return result


def margins(model, items):
    """How sure the model is of an answer: the least lead of the accepted token over the next best, {id: lead}; needs torch."""
    import margin

    return margin.margins(model, items)


def sample(skills, judged, model):
    """A few prompts of every skill: of the first ones answered rightly, those with the surest answers."""
    chosen = []
    for skill, items in skills.items():
        wrong = {one["id"] for one in judged[skill][2]}
        right = [one for one in items if one["id"] not in wrong]
        if skill != "fixed":
            right = right[:CANDIDATES]
            lead = margins(model, right)
            right = sorted(right, key=lambda one: -lead[one["id"]])[:SAMPLE_EACH]
        chosen += right
    return sorted(chosen, key=lambda one: one["id"])


def table(results):
    """The accuracy table of the model card."""
    rows = ["| skill | right | of | % |", "| --- | --- | --- | --- |"]
    for skill, row in results["skills"].items():
        rows.append(f"| {skill} | {row['right']} | {row['asked']} | {100 * row['right'] / row['asked']:.1f} |")
    rows.append(f"| **all** | {results['right']} | {results['asked']} | {100 * results['right'] / results['asked']:.1f} |")
    return "\n".join(rows) + "\n"


def write_card(results):
    """Puts table, size and hash into the model card."""
    card = HERE / "MODEL_CARD.md"
    text = TABLE.sub(lambda found: found[1] + table(results) + found[2], card.read_text())
    text = re.sub(r"sha256: `\w*`", f"sha256: `{results['sha256']}`", text)
    text = re.sub(r"size: [\d,]+ bytes", f"size: {results['bytes']:,} bytes", text)
    card.write_text(text)


def print_wrong(judged, answers, count):
    """Prints so many wrong answers of each skill, and all that failed; how many did."""
    failed = 0
    for skill, (_, _, wrong) in judged.items():
        for one in wrong:
            if "error" in answers[one["id"]]:
                failed += 1
                print(f"{one['id']}: {answers[one['id']]['error']}")
        for one in wrong[:count]:
            print(f"{one['id']}: {one['messages'][-1]['content'][-90:]!r} -> {answers[one['id']]['text'][-160:]!r}, not {one['accept'][0][-120:]!r}")
    return failed


def ask_pairs(options):
    """Asks for each capital after each other one and prints how many are right."""
    items = prompts.pairs()[: options.limit]
    answers = ask(options.model, items)
    judged = judge({"pairs": items}, answers)
    failed = print_wrong(judged, answers, options.wrong)
    print(f"{judged['pairs'][0]} of {judged['pairs'][1]} pairs of capitals")
    if failed:
        sys.exit(f"{failed} prompts were answered by an error")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--only-print", action="store_true", help="write nothing")
    parser.add_argument("--limit", type=int, default=None, help="prompts for each skill")
    parser.add_argument("--wrong", type=int, default=0, help="wrong answers to print for each skill")
    parser.add_argument("--pairs", action="store_true", help="ask for each capital after each other one instead; write nothing")
    options = parser.parse_args()
    if options.limit is not None and not (options.only_print or options.pairs):
        parser.error("--limit needs --only-print: what is written is the whole evaluation")
    if options.pairs:
        return ask_pairs(options)
    skills = {skill: items[: options.limit] for skill, items in prompts.make_all().items()}
    everything = [one for items in skills.values() for one in items]
    answers = ask(options.model, everything)
    judged = judge(skills, answers)
    data = options.model.read_bytes()
    results = {
        "sha256": hashlib.sha256(data).hexdigest(),
        "bytes": len(data),
        "right": sum(row[0] for row in judged.values()),
        "asked": sum(row[1] for row in judged.values()),
        "skills": {skill: {"right": row[0], "asked": row[1]} for skill, row in judged.items()},
    }
    print(table(results), end="")
    failed = print_wrong(judged, answers, options.wrong)
    if failed:
        sys.exit(f"{failed} prompts were answered by an error, so nothing is written")
    if options.only_print:
        return
    folder = HERE / "evaluation"
    folder.mkdir(exist_ok=True)
    for skill, items in skills.items():
        (folder / f"{skill}.jsonl").write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in items))
    (folder / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    chosen = sample(skills, judged, options.model)
    (folder / "sample.jsonl").write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in chosen))
    write_card(results)


if __name__ == "__main__":
    main()
