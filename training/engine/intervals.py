"""95 % intervals, so that no figure stands alone."""

from collections.abc import Callable, Iterator, Sequence
from math import sqrt

import numpy as np

DRAWN_AT_ONCE = 4_000_000  # numbers; a large data set is resampled in several goes

Z = 1.959963984540054  # of the normal distribution, two-sided 95 %


def wilson(successes: float, n: int) -> tuple[float, float]:
    """Of a share of n independent trials (Wilson 1927); also right near 0 and 1. Half successes (ties) are allowed. n ≥ 1."""
    share = successes / n
    centre = (share + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z * sqrt(share * (1 - share) / n + Z * Z / (4 * n * n)) / (1 + Z * Z / n)
    return max(0.0, centre - half), min(1.0, centre + half)


def clustered_share(
    successes: Sequence[float], counts: Sequence[int], *, resamples: int = 2000
) -> tuple[float, float]:
    """Of Σ successes / Σ counts where trials of one cluster (a prompt) hang together: percentile bootstrap over clusters.

    The same input gives the same interval. One cluster alone says nothing about the others: (0, 1).
    """
    if len(counts) < 2:
        return 0.0, 1.0
    drawn = np.random.default_rng(0).integers(0, len(counts), size=(resamples, len(counts)))
    shares = np.asarray(successes, float)[drawn].sum(1) / np.asarray(counts, float)[drawn].sum(1)
    low, high = np.quantile(shares, [0.025, 0.975])
    return float(low), float(high)


def draws(n: int, *, resamples: int, seed: int = 0) -> Iterator[np.ndarray]:
    """Bootstrap samples of n things, with replacement, as parts (some, n) of `resamples` rows. The same seed gives the same draws."""
    generator = np.random.default_rng(seed)
    at_once = max(1, DRAWN_AT_ONCE // n)
    for begin in range(0, resamples, at_once):
        yield generator.integers(0, n, size=(min(at_once, resamples - begin), n))


def bootstrap(
    statistic: Callable[[np.ndarray], np.ndarray], n: int, *, resamples: int = 2000, seed: int = 0
) -> tuple[float | None, float | None]:
    """Of any statistic of n things: percentile bootstrap (Efron and Tibshirani 1993, chapter 13). One thing alone says nothing: (None, None).

    `statistic`: (draws, n) numbers of the drawn things → (draws,).
    """
    if n < 2:
        return None, None
    values = np.concatenate([statistic(drawn) for drawn in draws(n, resamples=resamples, seed=seed)])
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)
