"""Trains the model on generated conversations, each seen once. CPU only; can be stopped and goes on from its last checkpoint.

    python train.py --out work
"""

import argparse
import hashlib
import itertools
import json
import os
import pathlib
import sys
import time

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "0")

import torch
from torch.nn import functional as F

import data
from model import Config, Model
from schedule import FINISH, asked_at, last_step, rate_at, shares_at

HERE = pathlib.Path(__file__).resolve().parent
SHARD = 2000
VALIDATION_SEED = 20_000_000


def orthogonal(gradients):
    """The nearest orthogonal matrices, by five Newton-Schulz steps; gradients are (count, rows, columns)."""
    x = gradients.bfloat16()
    flipped = x.shape[1] > x.shape[2]
    x = x.mT if flipped else x
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(5):
        a = x @ x.mT
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return (x.mT if flipped else x).float()


class Muon:
    """Momentum with orthogonal steps, for the matrices of the layers; those of one shape are stepped together."""

    def __init__(self, parameters, momentum=0.95, decay=0.01):
        self.groups = {}
        for parameter in parameters:
            self.groups.setdefault(tuple(parameter.shape), []).append(parameter)
        self.momentum, self.decay = momentum, decay
        self.buffers = {shape: torch.zeros(len(group), *shape) for shape, group in self.groups.items()}

    @torch.no_grad()
    def step(self, rate):
        """One step of this length."""
        for shape, group in self.groups.items():
            gradients = torch.stack([parameter.grad for parameter in group])
            buffer = self.buffers[shape].mul_(self.momentum).add_(gradients, alpha=1 - self.momentum)
            update = orthogonal(gradients.lerp(buffer, self.momentum)) * max(1, shape[0] / shape[1]) ** 0.5
            for parameter, change in zip(group, update):
                parameter.mul_(1 - rate * self.decay).add_(change, alpha=-rate)


def tensors(batch):
    """A batch as tensors: tokens to read, tokens to predict, their weights."""
    longest = max(len(tokens) for tokens, _ in batch)
    tokens = torch.zeros(len(batch), longest, dtype=torch.long)
    weights = torch.zeros(len(batch), longest)
    for row, (numbers, values) in enumerate(batch):
        tokens[row, : len(numbers)] = torch.tensor(numbers)
        weights[row, : len(values)] = torch.tensor(values)
    return tokens[:, :-1], tokens[:, 1:], weights[:, 1:]


def losses(model, batch):
    """Summed weighted loss and sum of weights."""
    inputs, targets, weights = tensors(batch)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(inputs)
    each = F.cross_entropy(logits.float().flatten(0, 1), targets.flatten(), reduction="none")
    return (each * weights.flatten()).sum(), weights.sum()


@torch.no_grad()
def validate(model, batches):
    """Mean loss over the answers' tokens, and the share of answers that greedy decoding would give exactly."""
    loss = count = right = answers = 0
    for batch in batches:
        inputs, targets, weights = tensors(batch)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model(inputs).float()
        learned = weights > data.ASKED
        each = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none").view(targets.shape)
        loss += float(each[learned].sum())
        count += int(learned.sum())
        wrong = (logits.argmax(-1) != targets) & learned
        for row_wrong, row_learned in zip(wrong.tolist(), learned.tolist()):
            for is_answer, group in itertools.groupby(zip(row_learned, row_wrong), key=lambda pair: pair[0]):
                if is_answer:
                    answers += 1
                    right += not any(bad for _, bad in group)
    return loss / count, right / answers


def stream(step, options, tokenizer):
    """Batches from a step on: the same for the same step, however often training was stopped."""
    shard = step // options.shard_steps
    skip = step % options.shard_steps
    while True:
        first = shard * options.shard_steps
        shares, asked = shares_at(first, options.steps), asked_at(first, options.steps)
        count = SHARD if options.shard_steps > 1 else 60
        made = data.batches(shard * 100_000, count, tokenizer, options.batch_tokens, asked, **shares)
        groups = [made[index : index + options.micro] for index in range(0, options.shard_steps * options.micro, options.micro)]
        for group in groups[skip:]:
            yield group
        shard, skip = shard + 1, 0


def save(path, model, adam, muon, step, made_with):
    """Writes a checkpoint whole or not at all."""
    partial = path.with_suffix(".partial")
    torch.save({"config": model.config.as_dict(), "model": model.state_dict(), "adam": adam.state_dict(), "muon": muon.buffers, "step": step, "recipe": made_with}, partial)
    partial.replace(path)


def parse():
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--steps", type=int, default=6200)
    parser.add_argument("--no-finish", action="store_true", help="end after those steps, without the ones for what went wrong")
    parser.add_argument("--stop", type=int, default=None, help="end before this step, as if interrupted")
    parser.add_argument("--micro", type=int, default=2, help="batches for each step")
    parser.add_argument("--batch-tokens", type=int, default=2560)
    parser.add_argument("--shard-steps", type=int, default=72, help="steps for each %d conversations" % SHARD)
    parser.add_argument("--muon-rate", type=float, default=0.012)
    parser.add_argument("--adam-rate", type=float, default=3e-3)
    parser.add_argument("--config", type=json.loads, default={}, help="sizes other than the usual ones, as JSON")
    parser.add_argument("--validate-every", type=int, default=250)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--no-compile", action="store_true")
    parser.add_argument("--continue-anyway", action="store_true", help="go on from a checkpoint that was made otherwise")
    options = parser.parse_args()
    if options.steps < 1:
        parser.error("--steps is at least 1")
    last = last_step(options.steps, not options.no_finish)
    if options.stop is not None and not 0 <= options.stop <= last:
        parser.error(f"--stop is at least 0 and at most {last}, the last step")
    return options


def recipe(options, tokenizer_path):
    """What a checkpoint depends on: it is gone on from only with the same."""
    sources = [*sorted((HERE / "corpus").glob("*.py")), HERE / "data.py", HERE / "schedule.py"]
    return {
        "steps": options.steps, "finish": [] if options.no_finish else [list(part) for part in FINISH],
        "micro": options.micro, "batch tokens": options.batch_tokens, "shard steps": options.shard_steps,
        "corpus": hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest(),
        "tokenizer": hashlib.sha256(tokenizer_path.read_bytes()).hexdigest(),
    }


def check_recipe(saved, wanted):
    """Ends with one sentence where a checkpoint was made otherwise than it would be gone on from."""
    other = [name for name in wanted if saved.get(name) != wanted[name]]
    if other:
        sys.exit(f"the checkpoint was made with another {', another '.join(other)}: begin in an empty folder, or go on from it with --continue-anyway")


def main():
    options = parse()
    options.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    torch.set_num_threads(options.threads)
    config = Config(**options.config)
    tokenizer_path, checkpoint = options.out / "tokenizer.json", options.out / "checkpoint.pt"
    if not tokenizer_path.exists():
        data.make_tokenizer(config.vocabulary).save(tokenizer_path)
    tokenizer, made_with = data.Tokenizer.load(tokenizer_path), recipe(options, tokenizer_path)
    model = Model(config)
    matrices = [weight for name, weight in model.named_parameters() if name.startswith("blk") and weight.ndim == 2]
    others = [weight for name, weight in model.named_parameters() if not (name.startswith("blk") and weight.ndim == 2)]
    muon, adam, step = Muon(matrices), torch.optim.AdamW(others, lr=options.adam_rate, betas=(0.9, 0.95), weight_decay=0), 0
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        if not options.continue_anyway:
            check_recipe(saved.get("recipe", {}), made_with)
        model.load_state_dict(saved["model"])
        adam.load_state_dict(saved["adam"])
        muon.buffers, step = saved["muon"], saved["step"]
    if not options.no_compile:
        for block in model.blk:
            block.compile(dynamic=True)
    last = last_step(options.steps, not options.no_finish)
    stop = last if options.stop is None else options.stop
    validation = data.batches(VALIDATION_SEED, 400 if options.shard_steps > 1 else 20, tokenizer, options.batch_tokens, long_share=0.01)
    print(f"{sum(weight.numel() for weight in model.parameters()):,} parameters, step {step} of {last}", flush=True)
    began, seen = time.time(), 0
    for group in stream(step, options, tokenizer):
        if step >= stop:
            break
        share = rate_at(step, options.steps)
        total = weight = 0
        for parameter in model.parameters():
            parameter.grad = None
        for batch in group:
            loss, weights = losses(model, batch)
            (loss / 1000).backward()
            total, weight = total + float(loss.detach()), weight + float(weights)
            seen += sum(len(tokens) for tokens, _ in batch)
        # Conversations that are cut off before their first answer have nothing to teach.
        weight = weight or 1.0
        for parameter in others:
            parameter.grad.mul_(1000 / weight)
        for adam_group in adam.param_groups:
            adam_group["lr"] = options.adam_rate * share
        muon.step(options.muon_rate * share)
        adam.step()
        step += 1
        if step % 50 == 0:
            print(f"step {step} loss {total / weight:.4f} rate {share:.3f} tokens {seen:,} seconds {time.time() - began:.0f}", flush=True)
        if step % options.validate_every == 0 or step == last:
            loss, right = validate(model, validation)
            print(f"step {step} validation {loss:.4f} exact {right:.4f}", flush=True)
            save(checkpoint, model, adam, muon, step, made_with)
    save(checkpoint, model, adam, muon, step, made_with)


if __name__ == "__main__":
    main()
