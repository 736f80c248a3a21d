"""What people say of a task against the scores of a model: how unlikely the model finds it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from labeling.ranking import WeakOrder

from .compare import rao_kupper

FITTED_ON = 100_000  # pairs, at most: it is one number
THETAS = np.exp(np.linspace(0.01, 4, 100))
LEAST = 1e-12  # of a probability: its logarithm stays a number


@dataclass(frozen=True)
class Against:
    """`surprise`: -log of the probability that the model gives to what people say of a pair, mean over the pairs they say something about, in nats;
    `opposite` of the `strict` pairs the model sees the other way round. `order`: the model's own."""

    surprise: float
    opposite: int
    strict: int
    order: WeakOrder


def against(rows: Sequence[tuple[WeakOrder, Sequence[Sequence[float]]]]) -> list[Against | None]:
    """Of each (what people say, scores (K, heads) of the outputs on the scale on which differences are log-odds); None where they say nothing of any
    pair.

    Probabilities are Rao and Kupper's (1967), with the θ under which all rows together are likeliest, averaged over the heads of an ensemble:
    where those disagree, the model is less surprised.
    """
    pairs = [_pairs(order, np.asarray(scores, float)) for order, scores in rows]
    if not any(len(tied) for _difference, tied in pairs):
        return [None for _row in rows]
    theta = _theta(np.concatenate([d for d, _tied in pairs]), np.concatenate([tied for _d, tied in pairs]))
    found: list[Against | None] = []
    for (_said, scores), (difference, tied) in zip(rows, pairs, strict=True):
        if not len(tied):
            found.append(None)
            continue
        strict = int((~tied).sum())
        opposite = int((difference.mean(1)[~tied] < 0).sum())
        mean = np.asarray(scores, float).mean(1)
        own = WeakOrder.from_ranks([1 + int((mean > score).sum()) for score in mean])
        found.append(Against(float(_surprise(difference, tied, theta).mean()), opposite, strict, own))
    return found


def _pairs(order: WeakOrder, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(pairs, heads) differences of score, first minus second, the first being the better one; (pairs,) whether they are tied."""
    strict, tied = order.strict_pairs(), order.tied_pairs()
    both = np.array([*strict, *tied], np.int64).reshape(-1, 2)
    return scores[both[:, 0]] - scores[both[:, 1]], np.arange(len(both)) >= len(strict)


def _surprise(difference: np.ndarray, tied: np.ndarray, theta: float) -> np.ndarray:
    with np.errstate(over="ignore"):  # e^d may be too large for a number: the chance is 0 then, and rightly
        chances = rao_kupper(difference, theta).mean(1)
    return -np.log(np.maximum(np.where(tied, chances[:, 1], chances[:, 0]), LEAST))


def _theta(difference: np.ndarray, tied: np.ndarray) -> float:
    """By which ties are called where the loss that the model learned by knows none, or is not known."""
    step = max(1, -(-len(tied) // FITTED_ON))
    some, said = difference[::step], tied[::step]
    return float(min(THETAS, key=lambda theta: _surprise(some, said, theta).mean()))
