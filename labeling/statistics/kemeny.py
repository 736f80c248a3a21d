"""The weak orders nearest to votes on pairs (Kemeny), exactly, for many tasks at once: dynamic programming over subsets."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

AT_ONCE = 4_000_000  # steps looked at together: memory stays small
_FREE = 1 << 54  # more than any cost; 36 of them still fit into 64 bits


@dataclass(frozen=True)
class _Steps:
    """Every step (S, T): below the outputs of S, which are placed already, comes the tier T; then U = S + T are placed. Sorted by U, fewest first."""

    before: np.ndarray  # S as bits, (steps,)
    after: np.ndarray  # U
    tier: np.ndarray  # T
    below: np.ndarray  # all that is not in U
    arriving: list[
        tuple[slice, np.ndarray, np.ndarray]
    ]  # per size of U: its steps, where each U begins among them, the U
    leaving: list[
        tuple[np.ndarray, np.ndarray, np.ndarray]
    ]  # per size of S, most first: its steps, where each S begins, the S
    bits: np.ndarray  # (items, subsets): is the output in the subset


@lru_cache(maxsize=9)
def _steps(items: int) -> _Steps:
    everything = (1 << items) - 1
    pairs = [(before, tier) for before in range(everything + 1) for tier in _subsets(everything & ~before)]
    before, tier = np.array(pairs).T
    after = before | tier
    bits = (np.arange(everything + 1)[None] >> np.arange(items)[:, None]) & 1
    size = bits.sum(0)
    order = np.lexsort((before, after, size[after]))
    before, tier, after = before[order], tier[order], after[order]
    arriving, leaving = [], []
    for count in range(1, items + 1):
        here = np.flatnonzero(size[after] == count)
        sets, begins = np.unique(after[here], return_index=True)
        arriving.append((slice(here[0], here[-1] + 1), begins, sets))
    for count in range(items - 1, -1, -1):
        here = np.flatnonzero(size[before] == count)
        here = here[np.argsort(before[here], kind="stable")]
        sets, begins = np.unique(before[here], return_index=True)
        leaving.append((here, begins, sets))
    return _Steps(before, after, tier, everything & ~after, arriving, leaving, bits)


def _subsets(of: int) -> list[int]:
    """The subsets with anything in them, as bits."""
    found, subset = [], of
    while subset:
        found.append(subset)
        subset = (subset - 1) & of
    return found


def nearest(better: np.ndarray, tied: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the nearest weak orders have in common, and how many they are.

    better: (tasks, K, K) whole numbers, votes for row > column; tied: (tasks, K, K), symmetric. Returns ranks (tasks, K), 1 is best, equal is a tie, 0 for
    outputs on which there is no vote; and (tasks,), the number of nearest orders.

    The distance to a vote is 2 for a pair turned round and 1 for a tie against a strict answer: K(K-1)/2 · (1 - τ-x) for a whole ranking (Emond and Mason
    2002). Of equally near orders those with the fewest strict pairs stay: no more is claimed than the votes force. If still more than one
    stays, the result is the finest weak order that all of them refine; so what they disagree about is tied, and neither letters nor the order of
    votes can matter. It consists of the sets through which every shortest path from nothing to everything goes.
    """
    tasks, items = better.shape[:2]
    steps = _steps(items)
    at_once = max(1, AT_ONCE // len(steps.tier))
    if tasks > at_once:
        parts = [nearest(better[i : i + at_once], tied[i : i + at_once]) for i in range(0, tasks, at_once)]
        return np.concatenate([ranks for ranks, _ in parts]), np.concatenate([count for _, count in parts])
    strict, tie, voted = _costs(better.astype(np.int64), tied.astype(np.int64))
    cost = _cost_of_steps(steps, strict, tie)

    full = (1 << items) - 1
    shortest = np.zeros((tasks, full + 1), np.int64)
    ways = np.ones((tasks, full + 1), np.int64)
    tight = np.empty(cost.shape, bool)
    for part, begins, sets in steps.arriving:
        length = shortest[:, steps.before[part]] + cost[:, part]
        shortest[:, sets] = np.minimum.reduceat(length, begins, axis=1)
        tight[:, part] = length == shortest[:, steps.after[part]]
        ways[:, sets] = np.add.reduceat(np.where(tight[:, part], ways[:, steps.before[part]], 0), begins, axis=1)
    onward = np.ones((tasks, full + 1), np.int64)
    for here, begins, sets in steps.leaving:
        onward[:, sets] = np.add.reduceat(np.where(tight[:, here], onward[:, steps.after[here]], 0), begins, axis=1)

    count = ways[:, full]
    bottleneck = ways * onward == count[:, None]
    bottleneck[:, full] = False
    ranks = bottleneck.astype(np.int64) @ (1 - steps.bits.T)
    ranks -= 1 - voted.all(1, keepdims=True)  # outputs without a vote stand above all others, as one tier
    return np.where(voted, ranks, 0), count


def _costs(better: np.ndarray, tied: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(tasks, K, K) cost of row above column, of a tie, and (tasks, K) which outputs have a vote. A strict pair costs 1 more: that decides between equals."""
    pairs = 64  # more than there are pairs, so that the number of strict ones never outweighs a vote
    turned = better.transpose(0, 2, 1)
    strict = (2 * turned + tied) * pairs + 1
    tie = (better + turned) * pairs
    voted = (better + turned + tied).any(2)
    lone = ~voted[:, :, None] & voted[:, None, :]  # row without a vote, column with one
    strict[lone], strict[lone.transpose(0, 2, 1)] = 0, _FREE
    tie[lone | lone.transpose(0, 2, 1)] = _FREE
    itself = np.arange(better.shape[1])
    strict[:, itself, itself] = tie[:, itself, itself] = 0
    return strict, tie, voted


def _cost_of_steps(steps: _Steps, strict: np.ndarray, tie: np.ndarray) -> np.ndarray:
    """(tasks, steps): the ties within the tier, and the tier above all that is left."""
    bits = steps.bits
    above = strict @ bits  # (tasks, K, subsets): one output above a subset
    cost = ((tie @ bits * bits).sum(1) // 2)[:, steps.tier]
    for item, member in enumerate(bits):
        here = np.flatnonzero(member[steps.tier])
        cost[:, here] += above[:, item, steps.below[here]]
    return cost
