"""A byte-level n-gram model with interpolated modified Kneser–Ney smoothing: what a language model without a network reaches.

Chen and Goodman 1998, sections 2.7 and 3: the highest order counts how often an n-gram comes, the lower ones how many different symbols it comes
after; counts of 1, 2 and more have a discount each. Below all orders lies the uniform distribution over the 256 bytes and the end of a text.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

END, PAD = (
    256,
    257,
)  # the end of a text is predicted like a byte; padding stands before its beginning and is only looked at
SYMBOLS = 258


@dataclass(frozen=True)
class Table:
    """Counts of the n-grams of one order, by their numbers, and what their contexts have: all (numbers,) or (contexts,)."""

    counts: np.ndarray
    discounts: np.ndarray  # of a count of 0, 1, 2, 3 and more
    totals: np.ndarray
    left: np.ndarray  # the mass that the discounts leave for the lower order

    @classmethod
    def of(cls, counts: np.ndarray, contexts: np.ndarray, number_of_contexts: int) -> "Table":
        having = [int((counts == n).sum()) for n in range(5)]
        y = having[1] / max(having[1] + 2 * having[2], 1)
        discounts = np.zeros(4)
        for n in (1, 2, 3):
            if having[n]:
                discounts[n] = min(max(n - (n + 1) * y * having[n + 1] / having[n], 0.0), n)
        totals = np.bincount(contexts, counts, number_of_contexts)
        mass = np.bincount(contexts, discounts[np.minimum(counts, 3)], number_of_contexts)
        return cls(counts, discounts, totals, np.divide(mass, totals, out=np.ones_like(totals), where=totals > 0))

    def probability(self, grams: np.ndarray, contexts: np.ndarray, lower: np.ndarray) -> np.ndarray:
        """Of n-grams after their contexts, given that of the lower order; −1 is a number that was never seen."""
        count = np.where(grams >= 0, self.counts[grams], 0)
        seen = (contexts >= 0) & (self.totals[contexts] > 0)
        total = np.where(seen, self.totals[contexts], 1.0)
        own = (count - self.discounts[np.minimum(count, 3)]) / total
        return np.where(seen, own + self.left[contexts] * lower, lower)


class KneserNey:
    """Learned from texts; `order` is the longest n-gram. `bits` then tells about every order from 1 to it at once."""

    def __init__(self, texts: Sequence[bytes], order: int) -> None:
        self.order = order
        self._keys: list[np.ndarray] = []
        symbols, predicted = self._symbols(texts)
        grams = self._numbers(symbols, learn=True)
        self._top: list[Table] = []  # by order, as the highest
        self._lower: list[Table] = []  # by order, below another
        for n in range(1, order + 1):
            contexts = grams[n - 1][predicted - 1]
            own, first, often = np.unique(grams[n][predicted], return_index=True, return_counts=True)
            size, number_of_contexts = len(self._keys[n - 1]), max(len(self._keys[n - 2]) if n > 1 else 1, 1)

            def table(counts: np.ndarray, own=own, first=first, contexts=contexts, number=number_of_contexts) -> Table:
                made = Table.of(counts[own], contexts[first], number)
                return Table(counts, made.discounts, made.totals, made.left)

            counts = np.zeros(size, dtype=np.int64)
            counts[own] = often
            self._top.append(table(counts))
            if n < order:
                # Distinct (n + 1)-grams that end in this n-gram: how many different symbols it comes after.
                _, longer = np.unique(grams[n + 1][predicted], return_index=True)
                self._lower.append(table(np.bincount(grams[n][predicted][longer], minlength=size)))

    def bits(self, texts: Sequence[bytes]) -> list[float]:
        """Total bits of the texts, their ends included, under the model of each order 1 … order."""
        return [float(-np.log2(p).sum()) for p in self.probabilities(texts)]

    def probabilities(self, texts: Sequence[bytes]) -> list[np.ndarray]:
        """By order: the probability of every byte and every end of the texts, one after the other."""
        symbols, predicted = self._symbols(texts)
        grams = self._numbers(symbols, learn=False)
        lower = np.full(len(predicted), 1 / (SYMBOLS - 1))
        found = []
        for n in range(1, self.order + 1):
            own, contexts = grams[n][predicted], grams[n - 1][predicted - 1]
            found.append(self._top[n - 1].probability(own, contexts, lower))
            if n < self.order:
                lower = self._lower[n - 1].probability(own, contexts, lower)
        return found

    def _symbols(self, texts: Sequence[bytes]) -> tuple[np.ndarray, np.ndarray]:
        """The texts as one row of symbols, padded in front of each, and the places that are predicted."""
        pad = np.full(max(self.order - 1, 1), PAD)
        parts = [part for text in texts for part in (pad, np.frombuffer(text, dtype=np.uint8), [END])]
        symbols = np.concatenate(parts).astype(np.int64)
        return symbols, np.flatnonzero(symbols != PAD)

    def _numbers(self, symbols: np.ndarray, *, learn: bool) -> list[np.ndarray]:
        """By order from 0: the number of the n-gram that ends at each place, −1 for one that was not learned.

        An n-gram is the (n − 1)-gram before its last symbol, and that symbol.
        """
        numbers = [np.zeros(len(symbols), dtype=np.int64)]
        for n in range(1, self.order + 1):
            before = np.append(0 if n == 1 else -1, numbers[-1][:-1])
            keys = np.where(before >= 0, before * SYMBOLS + symbols, -1)
            if learn:
                self._keys.append(np.unique(keys[keys >= 0]))
            known = self._keys[n - 1]
            place = np.minimum(np.searchsorted(known, keys), len(known) - 1)
            numbers.append(np.where(known[place] == keys, place, -1))
        return numbers


def best_order(train: Sequence[bytes], heldout: Sequence[bytes], most: int = 8) -> tuple[int, float]:
    """(the order up to `most` that does best on the held-out texts, its bits a byte)."""
    bits = KneserNey(train, most).bits(heldout)
    best = min(range(most), key=lambda n: bits[n])
    size = sum(map(len, heldout))
    return best + 1, bits[best] / size if size else math.nan
