"""Is the difference between two versions more than luck? Both judged the same rows, so each row is held against itself. Light.

Interval: bootstrap over rows, the same draws for both. p: McNemar's exact test for shares of right answers (McNemar 1947); for every
other figure a permutation test that swaps the two versions' answers row by row at random (Fisher 1935; Noreen 1989). Two-sided.
"""

from collections.abc import Callable, Sequence
from math import comb
from typing import Literal, TypedDict

import numpy as np

from ..intervals import draws
from .figures import METRICS, Metric, Row, clusters_of, labels_in, macro_f1, parts_of


class Difference(TypedDict):
    """Of a less b. `p` is None where nothing can be said; `n`: rows, or clusters of rows, that were compared."""

    difference: float
    low: float | None
    high: float | None
    p: float | None
    test: Literal["mcnemar", "permutation"]
    n: int


Sides = Callable[[np.ndarray, np.ndarray], np.ndarray]  # (drawn, swapped), both (draws, n) → differences (draws,)


def paired(
    a: Sequence[Row], b: Sequence[Row], *, only: str = "", resamples: int = 2000, seed: int = 0
) -> dict[str, Difference]:
    """Every figure that both lists of rows have, by name, or `only` one. Rows belong together by their number `row`; the order does not matter.

    Raises ValueError when the two lists are not about the same rows of the same data.
    """
    first, second = _together(a, b)
    found: dict[str, Difference] = {}
    for name, metric in METRICS.items():
        sides = _sides(metric, first, second) if only in ("", name) else None
        if sides is None:
            continue
        difference_of, n, each = sides
        found[name] = _difference(difference_of, n, each, resamples=resamples, seed=seed)
    return found


def _together(a: Sequence[Row], b: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    by_number: list[dict[int, Row]] = [{row["row"]: row for row in rows} for rows in (a, b)]
    if by_number[0].keys() != by_number[1].keys():
        raise ValueError("the two evaluations are not about the same rows")
    numbers = sorted(by_number[0])
    first, second = ([rows[number] for number in numbers] for rows in by_number)
    for one, other in zip(first, second, strict=True):
        if any(
            one.get(key) != other.get(key)
            for key in ("label", "bytes", "cluster", "pairs")
            if key in one and key in other
        ):
            raise ValueError(f"row {one['row']} is not the same in the two evaluations")
    return first, second


def _sides(metric: Metric, a: Sequence[Row], b: Sequence[Row]) -> tuple[Sides, int, np.ndarray | None] | None:
    """The difference of a metric as a function of what is drawn and swapped; how many clusters; for a share of single trials, each
    row's (right in a, right in b)."""
    if metric.parts is None:
        if not all("prediction" in row and "label" in row for row in (*a, *b)) or not a:
            return None
        names = {label: number for number, label in enumerate(labels_in([*a, *b]))}
        cells = [
            np.array([names[row["label"]] * len(names) + names[row["prediction"]] for row in rows]) for rows in (a, b)
        ]

        def of_labels(drawn: np.ndarray, swapped: np.ndarray) -> np.ndarray:
            one, other = cells[0][drawn], cells[1][drawn]
            return macro_f1(np.where(swapped, other, one), len(names)) - macro_f1(
                np.where(swapped, one, other), len(names)
            )

        return of_labels, len(a), None
    parts = []
    for row, other in zip(a, b, strict=True):
        mine, theirs = parts_of(metric, row), parts_of(metric, other)
        if mine is not None and theirs is not None:
            parts.append((row, mine, theirs))
    if not parts:
        return None
    cluster = clusters_of([row for row, _mine, _theirs in parts])
    values = np.array([[*mine, *theirs] for _row, mine, theirs in parts], float)
    above_a, below_a, above_b, below_b = (np.bincount(cluster, column) for column in values.T)

    def of_sums(drawn: np.ndarray, swapped: np.ndarray) -> np.ndarray:
        def ratio(one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
            above, below = (np.where(swapped, o[drawn], m[drawn]).sum(1) for m, o in zip(one, other, strict=True))
            return metric.finish(above / below)

        mine, theirs = (above_a, below_a), (above_b, below_b)
        return ratio(mine, theirs) - ratio(theirs, mine)

    single = (values[:, [1, 3]] == 1).all() and np.isin(values[:, [0, 2]], (0, 1)).all()
    alone = metric.share and single and len(above_a) == len(values)
    return of_sums, len(above_a), values[:, [0, 2]] if alone else None


def _difference(difference_of: Sides, n: int, each: np.ndarray | None, *, resamples: int, seed: int) -> Difference:
    same = np.arange(n)[None]
    difference = float(difference_of(same, np.zeros((1, n), bool))[0])
    low = high = p = None
    if n > 1:
        values = np.concatenate(
            [difference_of(drawn, np.zeros(drawn.shape, bool)) for drawn in draws(n, resamples=resamples, seed=seed)]
        )
        low, high = (float(value) for value in np.quantile(values, [0.025, 0.975]))
        p = mcnemar(each) if each is not None else _permuted(difference_of, difference, n, resamples, seed)
    return Difference(
        difference=difference, low=low, high=high, p=p, test="mcnemar" if each is not None else "permutation", n=n
    )


def mcnemar(right: np.ndarray) -> float:
    """(n, 2) of 0/1, is a right, is b right → two-sided p of the exact test: among rows where one alone is right, each is as likely."""
    only_a, only_b = (int(((right[:, i] == 1) & (right[:, 1 - i] == 0)).sum()) for i in (0, 1))
    total, fewer = only_a + only_b, min(only_a, only_b)
    return min(1.0, 2 * sum(comb(total, k) for k in range(fewer + 1)) / 2**total)


def _permuted(difference_of: Sides, difference: float, n: int, resamples: int, seed: int) -> float:
    """Share of random swaps that give a difference at least as large; the one seen counts as one of them (Phipson and Smyth 2010)."""
    generator = np.random.default_rng([seed, 1])
    as_large = 0
    for drawn in draws(n, resamples=resamples, seed=seed):
        swapped = generator.integers(0, 2, size=drawn.shape).astype(bool)
        values = difference_of(np.broadcast_to(np.arange(n), drawn.shape), swapped)
        as_large += int((np.abs(values) >= abs(difference) - 1e-12).sum())
    return (as_large + 1) / (resamples + 1)
