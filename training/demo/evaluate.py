"""What PPO has changed, on held-out questions: reward, hidden taste, KL, and how often the new model wins.

The PPO run has let both models answer every held-out prompt with the same random numbers, and scored the answers; the taste,
which no run knows, is added here.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from .taste import HELPFUL, judge


@dataclass(frozen=True)
class Written:
    """The answers of one model."""

    reward: float  # mean, by the reward model
    taste: float  # mean
    helpful: float  # share that says what was asked
    polite: float  # mean of courteous (1) and rude (−1)
    words: float  # mean length


@dataclass(frozen=True)
class Comparison:
    """`before` is the finetuned model, `after` the one tuned with PPO. `kl`: nats an answer, from `after` to `before`."""

    before: Written
    after: Written
    kl: float
    wins: int
    ties: int
    losses: int
    pairs: list[dict]  # {"prompt", "before", "after", …}

    @property
    def win_rate(self) -> float:
        """By the hidden taste; a tie counts half."""
        return (self.wins + self.ties / 2) / len(self.pairs)


def compare(run_folder: Path) -> Comparison:
    """Judge what a complete PPO run left in its folder: the pairs of samples.jsonl and the figures of its result."""
    pairs = [json.loads(line) for line in (run_folder / "samples.jsonl").read_text("utf-8").splitlines()]
    figures = json.loads((run_folder / "output" / "metrics.json").read_text("utf-8"))
    before, tastes_before = _written(pairs, "before")
    after, tastes_after = _written(pairs, "after")
    # Sums of tenths may differ in the last bit and still be the same taste.
    gains = [round(new - old, 6) for old, new in zip(tastes_before, tastes_after, strict=True)]
    wins, ties = sum(gain > 0 for gain in gains), sum(gain == 0 for gain in gains)
    return Comparison(before, after, figures["kl"], wins, ties, len(gains) - wins - ties, pairs)


def _written(pairs: list[dict], which: str) -> tuple[Written, list[float]]:
    judged = [judge(pair["prompt"], pair[which]) for pair in pairs]
    tastes = [taste.total for taste in judged]
    written = Written(
        reward=fmean(pair[f"reward_{which}"] for pair in pairs),
        taste=fmean(tastes),
        helpful=fmean(taste.helpful / HELPFUL for taste in judged),
        polite=fmean(taste.polite for taste in judged),
        words=fmean(len(pair[which].split()) for pair in pairs),
    )
    return written, tastes
