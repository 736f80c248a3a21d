"""95 % intervals by resampling tasks: the pairs of one task hang together, tasks do not."""

from collections.abc import Callable
from math import sqrt
from statistics import NormalDist

import numpy as np

from .figures import Figure
from .messages import Message, _

DRAWS = 1000
MOST_BLOCKS = 1000
FEWEST_TASKS = 5


class Resampling:
    """Bootstrap over tasks (Efron and Tibshirani 1993, chapter 13) of anything that is a function of sums over tasks.

    `keys` (tasks,): any number that goes with a task's content. Tasks are sorted by it, so that intervals depend neither on names nor on the order of
    judgements. Where there are more than 1,000 tasks, equal numbers of them are put together at random and drawn as blocks, which
    leaves the spread of a sum as it is and keeps the cost small.
    """

    def __init__(self, keys: np.ndarray, *, seed: int) -> None:
        self.tasks = len(keys)
        generator = np.random.default_rng(seed)
        size = -(-self.tasks // MOST_BLOCKS) or 1
        place = np.arange(self.tasks) if size == 1 else generator.permutation(self.tasks)
        self.block = np.empty(self.tasks, np.int64)
        self.block[np.argsort(keys, kind="stable")] = place // size
        self.blocks = -(-self.tasks // size)
        self._generator = generator

    def sums(self, columns: np.ndarray) -> np.ndarray:
        """(tasks, columns) → (blocks, columns)."""
        if self.blocks == self.tasks:
            ordered = np.empty_like(columns)
            ordered[self.block] = columns
            return ordered
        return np.stack([np.bincount(self.block, column, self.blocks) for column in columns.T], axis=1)

    def drawn(self, sums: np.ndarray) -> np.ndarray:
        """(blocks, columns) → (draws, columns): the totals of each draw."""
        picks = self._generator.integers(0, self.blocks, (DRAWS, self.blocks))
        flat = (picks + np.arange(DRAWS)[:, None] * self.blocks).ravel()
        weights = np.bincount(flat, minlength=DRAWS * self.blocks).reshape(DRAWS, self.blocks)
        return weights.astype(float) @ sums

    def interval(self, values: np.ndarray) -> tuple[float | None, float | None]:
        """Of drawn values (draws,), nan where one has none: expanded percentiles (Hesterberg 2015), right for few tasks too."""
        values = values[np.isfinite(values)]
        if not len(values):
            return None, None
        tail = NormalDist().cdf(-sqrt(self.blocks / (self.blocks - 1)) * student(self.blocks - 1))
        low, high = np.quantile(values, [tail, 1 - tail])
        return float(low), float(high)


def figures(
    columns: np.ndarray, statistic: Callable[[np.ndarray], np.ndarray], *, seed: int
) -> list[tuple[float | None, float | None, float | None, Message | None]]:
    """(value, low, high, why not) of statistics that are functions of sums over tasks.

    `columns`: (tasks, columns), a row for each task that takes part. `statistic`: (draws, columns) totals → (draws, statistics), nan where undefined.
    """
    values = statistic(columns.sum(0, keepdims=True))[0]
    if len(columns) < FEWEST_TASKS:
        why = too_few(len(columns))
        return [
            (float(value), None, None, why) if np.isfinite(value) else (None, None, None, None) for value in values
        ]
    mix = np.random.default_rng(0).random(columns.shape[1])
    resampling = Resampling(np.round(columns @ mix, 9), seed=seed)
    drawn = statistic(resampling.drawn(resampling.sums(columns)))
    return [
        (float(value), *resampling.interval(drawn[:, number]), None)
        if np.isfinite(value)
        else (None, None, None, None)
        for number, value in enumerate(values)
    ]


def ratio(over: np.ndarray, under: np.ndarray, *, seed: int, n: int, why: Message, left_out: int = 0) -> Figure:
    """Σ over / Σ under, both (tasks,); tasks without anything under the line take no part. `why`: if there are none."""
    part = under != 0
    tasks = int(part.sum())
    if not tasks:
        return Figure(None, n=n, left_out=left_out, why=why)

    def share(totals: np.ndarray) -> np.ndarray:
        return totals[:, :1] / totals[:, 1:]

    columns = np.stack([over[part], under[part]], axis=1).astype(float)
    value, low, high, reason = figures(columns, share, seed=seed)[0]
    return Figure(value, low, high, n=n, tasks=tasks, left_out=left_out, why=reason)


def too_few(tasks: int) -> Message:
    text = _("An interval needs at least %(least)s tasks; these are %(tasks)s.")
    return Message("few_tasks", text, {"least": FEWEST_TASKS, "tasks": tasks})


def student(degrees: int) -> float:
    """The 97.5 % point of Student's t: the expansion of Fisher and Cornish (1960) around the normal, right to 0.001 from four degrees of freedom on."""
    z = NormalDist().inv_cdf(0.975)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / degrees**power for power, term in enumerate(terms, 1))
