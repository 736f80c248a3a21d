"""The weak orders nearest to votes on pairs (Kemeny), exactly, for many tasks at once: dynamic programming over subsets."""

from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations

import numpy as np

AT_ONCE = 4_000_000  # steps looked at together: memory stays small
_NEVER = 1 << 54  # more than any cost; 36 of them still fit into 64 bits
_VOTE = 64  # more than there are pairs, so that the number of strict ones never outweighs a vote


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


@dataclass(frozen=True)
class _Shortest:
    """The shortest paths from nothing to everything, per task."""

    least: np.ndarray  # (tasks,) their length
    count: np.ndarray  # (tasks,) how many they are
    tight: np.ndarray  # (tasks, steps): is the step on a shortest path to where it ends
    tiers: np.ndarray  # (tasks, K): 0 is best; of the finest weak order that all of them refine, which a single one is

    @property
    def several(self) -> np.ndarray:
        return np.flatnonzero(self.count > 1)


def nearest(better: np.ndarray, tied: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The weak order nearest to the votes, and how many are equally near and have as few strict pairs.

    better: (tasks, K, K) whole numbers, votes for row > column; tied: (tasks, K, K), symmetric. Returns ranks (tasks, K), 1 is best, equal is a tie, 0 for
    outputs on which there is no vote; and (tasks,), the number of nearest orders.

    The distance to a vote is 2 for a pair turned round and 1 for a tie against a strict answer: K(K-1)/2 · (1 - τ-x) for a whole ranking (Emond and Mason
    2002). Of equally near orders those with the fewest strict pairs stay: no more is claimed than the votes force. If still more than one
    stays, neither letters nor the order of votes may choose:

    1. Outputs that the votes cannot tell apart (`_kinds`) are tied, and the nearest of such orders is taken, with the fewest strict pairs. It is
       as near as any, unless none that ties them is; any other order would be another one after letters are exchanged.
    2. Then (as in a circle A > B > C > A) it is the nearest of those that tie them and keep each strict pair in which all nearest orders agree.
       There always is one: by the mean rank of the outputs of a kind, in any nearest order.
    3. Of several such, from the worst tier up: the largest tier, so that what is not clearly better stays below; that with the fewest votes won
       less lost; that with the largest sum of `_kinds`.
    """
    tasks, items = better.shape[:2]
    steps = _steps(items)
    at_once = max(1, AT_ONCE // len(steps.tier))
    if tasks > at_once:
        parts = [nearest(better[i : i + at_once], tied[i : i + at_once]) for i in range(0, tasks, at_once)]
        return np.concatenate([ranks for ranks, _ in parts]), np.concatenate([count for _, count in parts])
    better, tied = better.astype(np.int64), tied.astype(np.int64)
    strict, tie, voted = _costs(better, tied)
    found = _shortest(steps, strict, tie)
    tiers, here = found.tiers, found.several
    if len(here):
        tiers[here] = _one_of_several(steps, better[here], tied[here], strict[here], tie[here], found.least[here])
    ranks = tiers + voted.all(1, keepdims=True)  # outputs without a vote stand above all others, as one tier
    return np.where(voted, ranks, 0), found.count


def _shortest(steps: _Steps, strict: np.ndarray, tie: np.ndarray) -> _Shortest:
    cost = _cost_of_steps(steps, strict, tie)
    tasks, full = len(cost), steps.bits.shape[1] - 1
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
    through = ways * onward == ways[:, full, None]  # the sets through which every shortest path goes
    through[:, full] = False
    return _Shortest(shortest[:, full], ways[:, full], tight, through.astype(np.int64) @ (1 - steps.bits.T) - 1)


def _one_of_several(
    steps: _Steps, better: np.ndarray, tied: np.ndarray, strict: np.ndarray, tie: np.ndarray, least: np.ndarray
) -> np.ndarray:
    """(tasks, K) tiers, 0 is best: the order that `nearest` takes of several; `least` is how near they are."""
    kinds = _kinds(better, tied)
    alike = (kinds[:, :, None] == kinds[:, None, :]) & ~np.eye(kinds.shape[1], dtype=bool)
    found = _shortest(steps, np.where(alike, _NEVER, strict), tie)
    tiers, far = found.tiers, np.flatnonzero(found.least // _VOTE > least // _VOTE)
    if len(far):
        agreed = _agreed(steps, strict[far], tie[far], least[far])
        turned = agreed.transpose(0, 2, 1)
        again = _shortest(
            steps, np.where(alike[far] | turned, _NEVER, strict[far]), np.where(agreed | turned, _NEVER, tie[far])
        )
        tiers[far], found.tight[far], found.count[far] = again.tiers, again.tight, again.count
    won = (better - better.transpose(0, 2, 1)).sum(2)
    for task in found.several:
        tiers[task] = _from_below(steps, found.tight[task], won[task], kinds[task])
    return tiers


def _agreed(steps: _Steps, strict: np.ndarray, tie: np.ndarray, least: np.ndarray) -> np.ndarray:
    """(tasks, K, K): do all nearest orders have row above column; whoever forbids it comes less near."""
    items = strict.shape[1]
    agreed = np.zeros(strict.shape, bool)
    for a, b in permutations(range(items), 2):
        without = strict.copy()
        without[:, a, b] = _NEVER
        agreed[:, a, b] = _shortest(steps, without, tie).least // _VOTE > least // _VOTE
    return agreed


def _from_below(steps: _Steps, tight: np.ndarray, won: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    """(K,) tiers of the shortest path that has, from the worst tier up, the largest one, that won least, with the largest sum of kinds."""
    members = steps.bits.T.astype(bool)
    levels: list[np.ndarray] = []
    left = len(members) - 1
    while left:
        here = np.flatnonzero(tight & (steps.after == left))
        of = members[steps.tier[here]]
        best = max(range(len(here)), key=lambda i: (of[i].sum(), -won[of[i]].sum(), kinds[of[i]].sum()))
        levels.insert(0, of[best])
        left = int(steps.before[here[best]])
    return np.array(levels).argmax(0)


def _kinds(better: np.ndarray, tied: np.ndarray) -> np.ndarray:
    """(tasks, K) numbers, equal for outputs of a task that the votes cannot tell apart, and known from the votes alone, whatever the letters.

    Each pair is described by its votes, again and again by the descriptions of the pairs that it makes a triangle with (Weisfeiler and Leman in two
    dimensions). That finds exactly the outputs that some exchange of letters maps onto each other without changing any vote, for fewer than
    14 outputs (smaller coherent configurations are all Schurian). Descriptions are 64 bits of a hash.
    """
    items = better.shape[1]
    pair = np.broadcast_to(np.eye(items, dtype=np.uint64), better.shape)
    for votes in (better, better.transpose(0, 2, 1), tied):
        pair = _mixed(pair + votes.astype(np.uint64))
    for _round in range(items):
        triangles = _mixed(pair[:, :, :, None] + _mixed(~pair)[:, None])  # [a, x, b]: what a is to x, and x to b
        pair = _mixed(pair + triangles.sum(2, dtype=np.uint64))
    return np.diagonal(pair, axis1=1, axis2=2)


def _mixed(numbers: np.ndarray) -> np.ndarray:
    """Numbers of 64 bits, well mixed (splitmix64: Steele, Lea and Flood 2014)."""
    numbers = numbers + np.uint64(0x9E3779B97F4A7C15)
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))


def _costs(better: np.ndarray, tied: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(tasks, K, K) cost of row above column, of a tie, and (tasks, K) which outputs have a vote. A strict pair costs 1 more: that decides between equals."""
    turned = better.transpose(0, 2, 1)
    strict = (2 * turned + tied) * _VOTE + 1
    tie = (better + turned) * _VOTE
    voted = (better + turned + tied).any(2)
    lone = ~voted[:, :, None] & voted[:, None, :]  # row without a vote, column with one
    strict[lone], strict[lone.transpose(0, 2, 1)] = 0, _NEVER
    tie[lone | lone.transpose(0, 2, 1)] = _NEVER
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
