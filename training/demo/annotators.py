"""Simulated annotators: programs that rank by the hidden taste, with noise, a bias of their own, and ties.

Each sees an answer's taste (taste.py) through a bias, a weight on each of its three parts, and adds Gaussian noise anew
for every answer that it reads. It calls answers equal whose scores lie less than `TIE` apart. Wherever people see them they
are called simulated (User.is_simulated, their names, their projects).
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from labeling.ranking import WeakOrder

from .taste import judge

TIE = 0.5


@dataclass(frozen=True)
class Annotator:
    """One of them. The weights are its bias: 1, 1, 1 has none."""

    username: str
    name: str
    helpful: float = 1.0
    polite: float = 1.0
    to_the_point: float = 1.0
    noise: float = 0.5  # standard deviation, in units of taste

    def score(self, prompt: str, answer: str, rng: random.Random) -> float:
        """What this annotator thinks of an answer today."""
        seen = judge(prompt, answer)
        biased = self.helpful * seen.helpful + self.polite * seen.polite + self.to_the_point * seen.to_the_point
        return biased + rng.gauss(0, self.noise)

    def rank(self, prompt: str, answers: Sequence[str], *, seed: int = 0) -> WeakOrder:
        """The ranking of `answers` by this annotator: the same for the same prompt, answers (in this order) and seed."""
        rng = random.Random(repr((self.username, seed, prompt, list(answers))))
        return order_of([self.score(prompt, answer, rng) for answer in answers])


def order_of(scores: Sequence[float]) -> WeakOrder:
    """Higher is better. A tier holds what lies less than `TIE` below the best of the tier."""
    tiers: list[list[int]] = []
    for item in sorted(range(len(scores)), key=lambda i: -scores[i]):
        if tiers and scores[tiers[-1][0]] - scores[item] < TIE:
            tiers[-1].append(item)
        else:
            tiers.append([item])
    return WeakOrder(len(scores), tuple(tuple(tier) for tier in tiers))


ANNOTATORS = [
    Annotator("simulated-1", "Simulated annotator 1"),
    Annotator("simulated-2", "Simulated annotator 2", polite=1.4, noise=0.6),
    Annotator("simulated-3", "Simulated annotator 3", to_the_point=1.6, noise=0.7),
]
