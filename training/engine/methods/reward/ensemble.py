"""Several heads over one trunk: what each of them learns from, and whether their disagreement knows where the model errs."""

from collections.abc import Sequence
from hashlib import sha256
from statistics import NormalDist
from typing import Any

import numpy as np

from ...intervals import bootstrap
from .rankings import Ranking
from .report import Outcomes, Pairs, said

PARTS = 3  # of the pairs, by the heads' doubt


def shares(rankings: Sequence[Ranking], heads: int, *, seed: int) -> dict[str, np.ndarray]:
    """How much each prompt's rankings weigh for each head: (heads,) by prompt, with mean 1 over the rankings for every head.

    The Bayesian bootstrap (Rubin 1981): exponential weights in place of how often a prompt is drawn, so that no head is without any. By prompt, since
    the rankings of one hang together; they are drawn from (seed, prompt), so that the order of the rankings changes nothing.
    """
    drawn = {r.prompt: _exponential(r.prompt, heads, seed) for r in rankings}
    mean = np.mean([drawn[r.prompt] for r in rankings], axis=0)
    return {prompt: weights / mean for prompt, weights in drawn.items()}


def _exponential(prompt: str, heads: int, seed: int) -> np.ndarray:
    key = np.frombuffer(sha256(prompt.encode()).digest(), dtype=np.uint32)
    return np.random.default_rng([seed, *key.tolist()]).exponential(size=heads)


def doubt(pairs: Pairs) -> np.ndarray:
    """(n,) how likely another head would see a pair the other way round: Φ(−|mean| / standard deviation) of the heads' differences of score.

    Not the standard deviation by itself: heads differ in how far they pull outputs apart, so it grows with the difference, and is largest where the
    model is right.
    """
    apart = np.maximum(pairs.by_head.std(axis=1, ddof=1), 1e-12)
    return np.array([NormalDist().cdf(-ratio) for ratio in np.abs(pairs.difference) / apart])


def by_doubt(pairs: Pairs) -> list[dict[str, Any]]:
    """Strict pairs in the right order in thirds, from those with the least `doubt` to those with the most; `doubt` is its mean."""
    doubted = doubt(pairs)
    places = np.flatnonzero(~pairs.tied)
    places = places[np.argsort(doubted[places], kind="stable")]
    found = []
    for number, members in enumerate(np.array_split(places, PARTS), 1):
        among = np.zeros(len(doubted), dtype=bool)
        among[members] = True
        if (share := pairs.share(pairs.direction, among)) is not None:
            row = dict(zip(("value", "low", "high"), share, strict=True))
            found.append({"of": number, "doubt": float(doubted[members].mean()), **row, "pairs": len(members)})
    return found


def doubts(pairs: Pairs, outcomes: Outcomes) -> dict[str, float | None]:
    """Whether the disagreement knows where the model errs; what cannot be said is None.

    `error_auc`: how often the doubt about a pair in the wrong order is larger than about one in the right order (½: it knows nothing);
    `spread_auc` the same by the standard deviation between the heads alone, `closeness_auc` by how close the two scores are, which one head knows
    too. `log_loss_averaged`: three-way log-loss where the heads' probabilities are averaged, against that of their mean score.
    """
    strict = ~pairs.tied
    wrong, prompts = pairs.direction[strict] < 0.5, pairs.prompt[strict]
    averaged = np.mean([outcomes(each) for each in pairs.by_head.T], axis=0)
    return {
        **_auc("error_auc", doubt(pairs)[strict], wrong, prompts),
        **_auc("spread_auc", pairs.by_head.std(axis=1, ddof=1)[strict], wrong, prompts),
        **_auc("closeness_auc", -np.abs(pairs.difference[strict]), wrong, prompts),
        "log_loss_averaged": float(-np.log(np.maximum(said(pairs, averaged), 1e-12)).mean()),
    }


def _auc(name: str, value: np.ndarray, wrong: np.ndarray, prompts: np.ndarray) -> dict[str, float | None]:
    """With its interval over prompts."""
    places, prompt = np.unique(prompts, return_inverse=True)

    def of(drawn: np.ndarray) -> np.ndarray:
        return np.array([auc(value, wrong, np.bincount(row, minlength=len(places))[prompt]) for row in drawn])

    here = auc(value, wrong, np.ones(len(value)))
    if np.isnan(here):
        return {name: None, f"{name}_low": None, f"{name}_high": None}
    low, high = bootstrap(of, len(places), resamples=500)
    known = low is not None and not np.isnan(low)  # a draw without a wrong pair says nothing
    return {name: here, f"{name}_low": low if known else None, f"{name}_high": high if known else None}


def auc(value: np.ndarray, wrong: np.ndarray, weight: np.ndarray) -> float:
    """P(the value of a wrong one is larger than that of a right one), equal values half; not a number where all are wrong, or none (Mann and
    Whitney 1947). All (n,)."""
    order = np.argsort(value, kind="stable")
    levels, level = np.unique(value[order], return_inverse=True)
    right = np.bincount(level, weights=(weight * ~wrong)[order], minlength=len(levels))
    bad = np.bincount(level, weights=(weight * wrong)[order], minlength=len(levels))
    if not right.sum() or not bad.sum():
        return float("nan")
    return float((bad * (right.cumsum() - right / 2)).sum() / (right.sum() * bad.sum()))
