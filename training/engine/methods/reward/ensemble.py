"""Several heads over one trunk: what each of them learns from, and whether their disagreement knows where the model errs."""

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import numpy as np

from ...intervals import bootstrap
from .rankings import Ranking
from .report import Outcomes, Pairs, said

PARTS = 3  # of the pairs, by how far the heads stand apart


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


def doubts(pairs: Pairs, outcomes: Outcomes) -> dict[str, Any]:
    """Whether the heads' disagreement about a pair, the standard deviation between their differences of its scores, knows where the model errs.

    `thirds`: strict pairs in the right order, from those about which the heads agree most to those about which they do least. `error_auc`: how
    often a pair in the wrong order has the larger disagreement, of one in the wrong and one in the right order (½: it knows nothing); `closeness_auc`
    the same by how close the two scores are, which one head knows too. `log_loss_averaged`: three-way log-loss where the heads' probabilities are
    averaged, against that of their mean score. What cannot be said is None.
    """
    apart = pairs.by_head.std(axis=1, ddof=1)
    strict = ~pairs.tied
    places = np.flatnonzero(strict)
    places = places[np.argsort(apart[places], kind="stable")]
    thirds = []
    for number, members in enumerate(np.array_split(places, PARTS), 1):
        among = np.zeros(len(strict), dtype=bool)
        among[members] = True
        if (found := pairs.share(pairs.direction, among)) is not None:
            row = dict(zip(("value", "low", "high"), found, strict=True))
            thirds.append({"of": number, "apart": float(apart[members].mean()), **row, "pairs": len(members)})
    wrong = pairs.direction[strict] < 0.5
    prompts = pairs.prompt[strict]
    averaged = np.mean([outcomes(each) for each in pairs.by_head.T], axis=0)
    return {
        "thirds": thirds,
        **_auc("error_auc", apart[strict], wrong, prompts),
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
