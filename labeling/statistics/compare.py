"""The models behind the outputs, compared: Bradley–Terry with ties over all pairs that people ranked."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from labeling.ranking import MAX_ITEMS

from .agreement import Judgements
from .figures import Figure
from .judgements import FIRST, SECOND, SILENT, Table
from .messages import Message, _
from .resampling import FEWEST_TASKS, figures, student, too_few

WIDTH = 5.0  # standard deviation of a weak prior on all parameters: finite also for who has won or lost every pair, elsewhere without weight
MOST_BLOCKS = 2000

NOTHING = Message("nothing_compared", _("No outputs of different models have been ranked against each other yet."))
NEVER = Message("never_compared", _("Its outputs have never been ranked against those of another model."))


@dataclass(frozen=True)
class Strength:
    """One source of outputs. `strength`: log-odds against the mean of its group (where ties do not count), with interval; `group`: sources are
    comparable within a group. `win_share`: of its pairs, a tie counting half. `wins`, `ties`, `losses` count pairs.
    """

    source: Hashable
    group: int
    strength: Figure
    win_share: Figure
    wins: int
    ties: int
    losses: int


@dataclass(frozen=True)
class Comparison:
    """`strengths`: strongest first within each group, the largest group first. `wins[a][b]`: how often the a-th of them beat the b-th, `ties[a][b]`
    (symmetric). `tie`: the model's tie parameter (Davidson's ν or Rao and Kupper's θ). `groups` > 1: no chain of comparisons links the sources, and
    `why` says so.
    """

    strengths: tuple[Strength, ...]
    wins: tuple[tuple[int, ...], ...]
    ties: tuple[tuple[int, ...], ...]
    tie: Figure
    groups: int
    why: Message | None


def models(
    judgements: Judgements,
    sources: Mapping[Hashable, Sequence[Hashable | None]],
    *,
    model: Literal["davidson", "rao_kupper"] = "davidson",
    seed: int = 0,
) -> Comparison:
    """The sources of outputs by strength. `sources[task][i]`: what wrote the task's canonical output i, None if unknown (left out).

    Maximum likelihood (with a prior so weak that it matters only for who won or lost everything); intervals from the scores summed over each task (the
    sandwich of Liang and Zeger 1986), as the pairs of a ranking and the rankings of a task hang together, but never narrower than those of independent
    pairs. Pairs of two outputs of the same source say nothing here.
    """
    table = Table.of(judgements)
    names, pairs = _pairs(table, sources)
    count = len(names)
    wins, ties = np.zeros((count, count), np.int64), np.zeros((count, count), np.int64)
    np.add.at(wins, (pairs.first, pairs.second), pairs.outcome == 0)
    np.add.at(wins, (pairs.second, pairs.first), pairs.outcome == 2)
    np.add.at(ties, (pairs.first, pairs.second), pairs.outcome == 1)
    ties += ties.T
    if not len(pairs.task):
        return Comparison((), (), (), Figure(None, why=NOTHING), 0, NOTHING)
    group = _groups(wins + wins.T + ties)
    fitted = _fit(wins, ties, _MODELS[model])
    tasks, number = np.unique(pairs.task, return_inverse=True)
    errors = _errors(fitted, pairs, number, len(tasks), group)
    shares = _win_shares(pairs, number, len(tasks), count, seed)

    def figure(value: float, error: float, n: int) -> Figure:
        if len(tasks) < FEWEST_TASKS:
            return Figure(value, n=n, tasks=len(tasks), why=too_few(len(tasks)))
        reach = student(len(tasks) - 1) * error
        return Figure(value, float(value - reach), float(value + reach), n, len(tasks))

    compared = (wins + wins.T + ties).sum(1)
    alone = Figure(None, why=NEVER)
    strengths = [
        Strength(
            source=name,
            group=int(group[i]),
            strength=figure(float(fitted.strength[i]), errors[i], int(compared[i])) if compared[i] else alone,
            win_share=shares[i],
            wins=int(wins[i].sum()),
            ties=int(ties[i].sum()),
            losses=int(wins[:, i].sum()),
        )
        for i, name in enumerate(names)
    ]
    order = sorted(range(count), key=lambda i: (group[i], -fitted.strength[i], str(names[i])))
    groups = int(group.max()) + 1
    text = _(
        "No chain of comparisons links all models: they form %(groups)s groups, and strengths can be compared within a group only."
    )
    return Comparison(
        strengths=tuple(strengths[i] for i in order),
        wins=_ordered(wins, order),
        ties=_ordered(ties, order),
        tie=_tie_figure(fitted, errors[-1], int(ties.sum() // 2), len(tasks)),
        groups=groups,
        why=Message("disconnected", text, {"groups": groups}) if groups > 1 else None,
    )


# ── the two models ─────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class _Chances:
    """Per pair: chances (pairs, 3) that the first wins, of a tie, that the second wins; and their logarithms' slopes along the difference and `tie`."""

    chance: np.ndarray
    by_difference: np.ndarray
    by_tie: np.ndarray


def davidson(difference: np.ndarray, nu: float) -> np.ndarray:
    """(…, 3): chances that the first wins, of a tie, that the second wins: weights e^(d/2), ν, e^(-d/2) (Davidson 1970), ν ≥ 0."""
    half = np.asarray(difference) / 2
    weights = np.stack([np.exp(half - abs(half)), nu * np.exp(-abs(half)), np.exp(-half - abs(half))], axis=-1)
    return weights / weights.sum(-1, keepdims=True)


def rao_kupper(difference: np.ndarray, theta: float) -> np.ndarray:
    """(…, 3): chances of winning e^d/(e^d + θ) and 1/(1 + θ·e^d), the rest is a tie (Rao and Kupper 1967), θ ≥ 1 (1: no ties)."""
    first, second = 1 / (1 + theta * np.exp(-difference)), 1 / (1 + theta * np.exp(difference))
    return np.stack([first, (theta**2 - 1) * first * second, second], axis=-1)


def _davidson(difference: np.ndarray, tie: float) -> _Chances:
    """`tie` is log ν."""
    chance = davidson(difference, np.exp(tie))
    first, tied, second = chance.T
    lean = (first - second) / 2  # of what is expected
    by_difference = np.stack([0.5 - lean, -lean, -0.5 - lean], axis=1)
    return _Chances(chance, by_difference, np.stack([-tied, 1 - tied, -tied], axis=1))


def _rao_kupper(difference: np.ndarray, tie: float) -> _Chances:
    """`tie` is log(θ - 1)."""
    theta = 1 + np.exp(tie)
    chance = rao_kupper(difference, theta)
    first, _tied, second = chance.T
    by_difference = np.stack([1 - first, second - first, second - 1], axis=1)
    of_theta = (theta - 1) / theta  # change of log θ along `tie`
    by_tie = np.stack([first - 1, 2 / (1 - theta**-2) - 2 + first + second, second - 1], axis=1) * of_theta
    return _Chances(chance, by_difference, by_tie)


_MODELS = {"davidson": _davidson, "rao_kupper": _rao_kupper}


# ── fitting ────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class _Pairs:
    """Ranked pairs of outputs of different sources, (pairs,) each: the task, the numbers of the two, and who won (0 the first, 1 a tie, 2 the second)."""

    task: np.ndarray
    first: np.ndarray
    second: np.ndarray
    outcome: np.ndarray


@dataclass(frozen=True)
class _Fitted:
    """`tie`: log ν or log(θ - 1). `covariance`: (sources + 1, sources + 1), of the strengths and `tie`, for independent pairs."""

    strength: np.ndarray
    tie: float
    covariance: np.ndarray
    chances: Callable[[np.ndarray, float], _Chances]


def _pairs(table: Table, sources: Mapping[Hashable, Sequence[Hashable | None]]) -> tuple[list[Hashable], _Pairs]:
    known = {name for key in table.tasks for name in sources.get(key, ()) if name is not None}
    number = {name: place for place, name in enumerate(sorted(known, key=str))}
    wrote = np.full((len(table.tasks), MAX_ITEMS), -1)
    for place, key in enumerate(table.tasks):
        for item, name in enumerate(sources.get(key, ())):
            if name is not None:
                wrote[place, item] = number[name]
    rows = table.firsts
    signs, task = table.signs[rows], table.task[rows]
    first, second = wrote[:, FIRST][task], wrote[:, SECOND][task]
    row, pair = np.nonzero((signs != SILENT) & (first >= 0) & (second >= 0) & (first != second))
    return list(number), _Pairs(task[row], first[row, pair], second[row, pair], 1 - signs[row, pair].astype(np.int64))


def _groups(compared: np.ndarray) -> np.ndarray:
    """(sources,) the group of each: linked by a chain of comparisons; the largest is 0."""
    group = np.arange(len(compared))
    while True:
        linked = np.where((compared > 0) | np.eye(len(compared), dtype=bool), group[None, :], len(compared)).min(1)
        if (linked == group).all():
            break
        group = linked
    _numbers, number, sizes = np.unique(group, return_inverse=True, return_counts=True)
    place = np.empty(len(sizes), np.int64)
    place[np.argsort(-sizes, kind="stable")] = np.arange(len(sizes))
    return place[number]


def _fit(wins: np.ndarray, ties: np.ndarray, chances: Callable[[np.ndarray, float], _Chances]) -> _Fitted:
    """Fisher scoring on the counts of wins and ties (sources, sources)."""
    count = len(wins)
    first, second = np.triu_indices(count, 1)
    seen = np.stack([wins[first, second], ties[first, second], wins[second, first]], axis=1).astype(float)
    kept = seen.any(1)
    first, second, seen = first[kept], second[kept], seen[kept]
    values, precision = np.zeros(count + 1), np.eye(count + 1) / WIDTH**2
    for _step in range(100):
        at = chances(values[first] - values[second], values[-1])
        gradient = _scores(first, second, (seen * at.by_difference).sum(1), count)
        gradient[-1] = (seen * at.by_tie).sum()
        information = precision + _information(first, second, seen.sum(1), at, count)
        step = np.clip(np.linalg.solve(information, gradient - precision @ values), -1, 1)
        values = values + step
        if np.abs(step).max() < 1e-10:
            break
    return _Fitted(values[:-1], float(values[-1]), np.linalg.inv(information), chances)


def _scores(first: np.ndarray, second: np.ndarray, by_difference: np.ndarray, count: int) -> np.ndarray:
    """(sources + 1,) the slope along each strength; the last place is left for the tie parameter."""
    return np.bincount(first, by_difference, count + 1) - np.bincount(second, by_difference, count + 1)


def _information(first: np.ndarray, second: np.ndarray, seen: np.ndarray, at: _Chances, count: int) -> np.ndarray:
    """Expected information of `seen` comparisons of each pair (pairs,)."""
    of_difference = seen * (at.chance * at.by_difference**2).sum(1)
    crossed = seen * (at.chance * at.by_difference * at.by_tie).sum(1)
    information = np.zeros((count + 1, count + 1))
    np.add.at(information, (first, second), -of_difference)
    information += information.T
    information[np.arange(count), np.arange(count)] = -information[:count, :count].sum(1)
    information[-1] = information[:, -1] = _scores(first, second, crossed, count)
    information[-1, -1] = (seen[:, None] * at.chance * at.by_tie**2).sum()
    return information


def _errors(fitted: _Fitted, pairs: _Pairs, task: np.ndarray, tasks: int, group: np.ndarray) -> np.ndarray:
    """(sources + 1,) standard errors of the strengths against the mean of their group, and of the tie parameter. `task`: 0 … tasks - 1 of each pair."""
    count = len(fitted.strength)
    at = fitted.chances(fitted.strength[pairs.first] - fitted.strength[pairs.second], fitted.tie)
    here = np.arange(len(task)), pairs.outcome
    blocks = min(tasks, MOST_BLOCKS)
    cell = task % blocks * (count + 1)
    size = blocks * (count + 1)
    scores = np.bincount(cell + pairs.first, at.by_difference[here], size)
    scores -= np.bincount(cell + pairs.second, at.by_difference[here], size)
    scores += np.bincount(cell + count, at.by_tie[here], size)
    each = scores.reshape(blocks, count + 1)
    sandwich = fitted.covariance @ (each.T @ each) @ fitted.covariance * tasks / max(1, tasks - 1)
    centre = np.eye(count + 1)
    same = group[:, None] == group
    centre[:-1, :-1] -= same / same.sum(1)
    variances = [np.diagonal(centre @ matrix @ centre.T) for matrix in (sandwich, fitted.covariance)]
    return np.sqrt(np.maximum(*variances))


def _tie_figure(fitted: _Fitted, error: float, n: int, tasks: int) -> Figure:
    """ν or θ, with the interval of its logarithm's scale."""
    least = 1.0 if fitted.chances is _rao_kupper else 0.0
    value = least + float(np.exp(fitted.tie))
    if tasks < FEWEST_TASKS:
        return Figure(value, n=n, tasks=tasks, why=too_few(tasks))
    reach = student(tasks - 1) * error
    low, high = (least + float(np.exp(fitted.tie + sign * reach)) for sign in (-1, 1))
    return Figure(value, low, high, n, tasks)


def _win_shares(pairs: _Pairs, task: np.ndarray, tasks: int, count: int, seed: int) -> list[Figure]:
    """Of each source, with intervals over tasks."""
    won, played = np.zeros((2, tasks * count))
    for source, share in ((pairs.first, 1 - pairs.outcome / 2), (pairs.second, pairs.outcome / 2)):
        won += np.bincount(task * count + source, share, tasks * count)
        played += np.bincount(task * count + source, minlength=tasks * count)

    def statistic(totals: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore", divide="ignore"):
            return totals[:, :count] / totals[:, count:]

    columns = np.hstack([won.reshape(tasks, count), played.reshape(tasks, count)])
    n = columns[:, count:].sum(0)
    return [
        Figure(value, low, high, int(pairs_), tasks, why=NEVER if value is None else why)
        for (value, low, high, why), pairs_ in zip(figures(columns, statistic, seed=seed), n, strict=True)
    ]


def _ordered(matrix: np.ndarray, order: list[int]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(int(value) for value in row) for row in matrix[np.ix_(order, order)])
