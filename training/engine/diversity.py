"""How varied outputs are: distinct three-word runs within an output and across all of them."""

from collections.abc import Sequence

N = 3


def distinct_ngrams(texts: Sequence[str], n: int = N) -> tuple[float | None, float | None]:
    """(within, across), both 0..1: the mean over outputs of its own share of distinct n-word runs, and the share of distinct runs among all
    runs of all outputs. Li et al. (2016) call them distinct-n. Texts of fewer than n words have no runs; None if none has any.

    Across falls with the number of texts: compare only sets of the same size.
    """
    within: list[float] = []
    every: set[tuple[str, ...]] = set()
    total = 0
    for text in texts:
        words = text.lower().split()
        runs = [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
        if runs:
            within.append(len(set(runs)) / len(runs))
            every.update(runs)
            total += len(runs)
    return (sum(within) / len(within), len(every) / total) if total else (None, None)
