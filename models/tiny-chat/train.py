"""Trains the model on generated conversations, each seen once. CPU only; can be stopped and goes on from its last checkpoint.

    python train.py --out work
"""

import argparse
import itertools
import json
import os
import pathlib
import time

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "0")

import torch
from torch.nn import functional as F

import data
from model import Config, Model

SHARD = 2000
VALIDATION_SEED = 20_000_000
FINISH = [(720, 0.12), (600, 0.1), (600, 0.1), (480, 0.1)]


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


def rate_at(step, steps):
    """Share of the full learning rate: a warm-up, a plateau up to three twentieths, down to 1 %; then down again from each of FINISH."""
    if step < steps:
        return min(1, (step + 1) / 40, max(0.01, (steps - step) / (0.85 * steps)))
    for length, highest in FINISH:
        steps += length
        if step < steps:
            return max(0.01, highest * (steps - step) / length)


def shares_at(step, steps):
    """Shares of special conversations: few long ones at first; what is hard to learn in the last quarter; all that went wrong at the end."""
    return {
        "long_share": 0.0 if step < 0.15 * steps else 0.02 if step < 0.5 * steps else 0.05,
        "practice_share": 0.25 if 0.75 * steps <= step < steps else 0.0,
        "revision_share": 0.5 if step >= steps else 0.0,
    }


def asked_at(step, steps):
    """Weight of what others say: little at first, where it teaches the language, and none once it only disturbs the answers."""
    return data.ASKED if step < 0.3 * steps else 0.0


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


def save(path, model, adam, muon, step):
    """Writes a checkpoint whole or not at all."""
    partial = path.with_suffix(".partial")
    torch.save({"config": model.config.as_dict(), "model": model.state_dict(), "adam": adam.state_dict(), "muon": muon.buffers, "step": step}, partial)
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
    return parser.parse_args()


def last_step(options):
    """After how many steps training is done."""
    return options.steps + (0 if options.no_finish else sum(length for length, _ in FINISH))


def main():
    options = parse()
    options.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    torch.set_num_threads(options.threads)
    config = Config(**options.config)
    tokenizer_path, checkpoint = options.out / "tokenizer.json", options.out / "checkpoint.pt"
    if not tokenizer_path.exists():
        data.make_tokenizer(config.vocabulary).save(tokenizer_path)
    tokenizer = data.Tokenizer.load(tokenizer_path)
    model = Model(config)
    matrices = [weight for name, weight in model.named_parameters() if name.startswith("blk") and weight.ndim == 2]
    others = [weight for name, weight in model.named_parameters() if not (name.startswith("blk") and weight.ndim == 2)]
    muon, adam, step = Muon(matrices), torch.optim.AdamW(others, lr=options.adam_rate, betas=(0.9, 0.95), weight_decay=0), 0
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(saved["model"])
        adam.load_state_dict(saved["adam"])
        muon.buffers, step = saved["muon"], saved["step"]
    if not options.no_compile:
        for block in model.blk:
            block.compile(dynamic=True)
    validation = data.batches(VALIDATION_SEED, 400 if options.shard_steps > 1 else 20, tokenizer, options.batch_tokens, long_share=0.01)
    print(f"{sum(weight.numel() for weight in model.parameters()):,} parameters, step {step} of {last_step(options)}", flush=True)
    began, seen, last = time.time(), 0, last_step(options)
    for group in stream(step, options, tokenizer):
        if step >= (options.stop or last):
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
            save(checkpoint, model, adam, muon, step)
    save(checkpoint, model, adam, muon, step)


if __name__ == "__main__":
    main()
