"""What training does at which step, with the standard library alone: the learning rate, and the shares and weights of what is learned.

`train.py` asks for shares and weights at the first step of each shard of conversations, so they change there and not before.
"""

import data

FINISH = [(720, 0.12), (600, 0.1), (600, 0.1), (480, 0.1)]


def last_step(steps, finishes=True):
    """After how many steps training is done: those of the first descent, and with `finishes` those of FINISH."""
    return steps + (sum(length for length, _ in FINISH) if finishes else 0)


def rate_at(step, steps):
    """Share of the full learning rate: a warm-up, a plateau up to three twentieths, down to 1 %; then down again from each of FINISH."""
    if step < steps:
        return min(1, (step + 1) / 40, max(0.01, (steps - step) / (0.85 * steps)))
    for length, highest in FINISH:
        steps += length
        if step < steps:
            return max(0.01, highest * (steps - step) / length)
    raise ValueError(f"there is no step {step}: training ends before step {steps}")


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
