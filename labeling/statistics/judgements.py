"""What all statistics are computed from: one person's ranking of one task, and many of them as arrays."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations

import numpy as np

from labeling.ranking import MAX_ITEMS, WeakOrder

# Every pair (a, b) with a < b; those of K items come before those that need a further item, so that tasks of all sizes fit into one array.
PAIRS = sorted(combinations(range(MAX_ITEMS), 2), key=lambda pair: (pair[1], pair[0]))
FIRST, SECOND = np.array(PAIRS).T
SILENT = 2  # beside 1, 0, -1: nothing is said about the pair


@dataclass(frozen=True, slots=True)
class Judgement:
    """One person's ranking of one task. Everything but the first three may be missing where it is not known.

    `order` is in canonical letters. `repeat`: 0 for the first judgement of this task by this person, 1, 2, … for later ones: those count for nothing but
    agreement with themselves. `display[i]`: the canonical position of the output shown as letter i. `lengths`: characters of each output, canonical.
    `seconds` of active work. `answers`: per question with numbers (a scale), one per output, canonical, None where not answered.
    `slices`: {name: value}, e.g. {"round": "3", "language": "de"}; the number of outputs is the slice "K" by itself.
    """

    task: Hashable
    annotator: Hashable
    order: WeakOrder
    repeat: int = 0
    display: tuple[int, ...] = ()
    lengths: tuple[int, ...] = ()
    seconds: float | None = None
    answers: Mapping[str, Sequence[float | None]] = field(default_factory=dict)
    slices: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Comparisons:
    """Every two rankings of one task (rows `a` and `b` of a table), and on how many pairs of outputs they say what. All arrays: (comparisons,).

    `both`: both say something; `same`, `opposite`: a strict answer each; `both_tied`; `a_tied`, `b_tied`: of `both`.
    """

    a: np.ndarray
    b: np.ndarray
    both: np.ndarray
    same: np.ndarray
    opposite: np.ndarray
    both_tied: np.ndarray
    a_tied: np.ndarray
    b_tied: np.ndarray

    @cached_property
    def one_tied(self) -> np.ndarray:
        return self.a_tied + self.b_tied - 2 * self.both_tied

    @cached_property
    def tau_x(self) -> np.ndarray:
        """Emond and Mason (2002): 1 for each pair with the same answer, -1 for an opposite one, over the pairs of which both speak; nan if there are none."""
        with np.errstate(invalid="ignore"):
            return (self.same + self.both_tied - self.opposite) / self.both

    @cached_property
    def tau_b(self) -> np.ndarray:
        """Kendall (1945): (same - opposite) / √(strict of a · strict of b); nan if one of them tied everything."""
        strict = np.sqrt((self.both - self.a_tied).astype(float) * (self.both - self.b_tied))
        with np.errstate(invalid="ignore"):
            return (self.same - self.opposite) / strict


class Table:
    """Judgements as arrays. Every statistic takes judgements or a Table; a page that asks for many makes the Table once: `Table.of(judgements)`.

    task, person: (n,) numbers of `tasks` and `people`; repeat, items: (n,); signs: (n, 36), for each of PAIRS 1 if the first is better, -1 if the
    second, 0 if they tie, SILENT if nothing is said.
    """

    def __init__(self, judgements: Sequence[Judgement]) -> None:
        self.judgements = list(judgements)
        tasks: dict[Hashable, int] = {}
        people: dict[Hashable, int] = {}
        orders: dict[WeakOrder, int] = {}
        codes = np.array(
            [
                (
                    tasks.setdefault(one.task, len(tasks)),
                    people.setdefault(one.annotator, len(people)),
                    orders.setdefault(one.order, len(orders)),
                    one.repeat,
                    one.order.items,
                )
                for one in self.judgements
            ],
            dtype=np.int64,
        ).reshape(-1, 5)
        self.tasks, self.people, self._orders = list(tasks), list(people), list(orders)
        self.task, self.person, self._order, self.repeat, self.items = codes.T
        size = np.zeros(len(tasks), np.int64)
        size[self.task] = self.items
        if (size[self.task] != self.items).any():
            raise ValueError("two rankings of one task rank different numbers of outputs")

    @classmethod
    def of(cls, judgements: "Sequence[Judgement] | Table") -> "Table":
        return judgements if isinstance(judgements, Table) else cls(judgements)

    def __len__(self) -> int:
        return len(self.judgements)

    def take(self, rows: np.ndarray) -> "Table":
        """A table of some rows."""
        return Table([self.judgements[row] for row in rows])

    @cached_property
    def ranks(self) -> np.ndarray:
        """(n, 9): the level of each output, 1 is best, 0 if nothing is said."""
        return self._ranks[self._order]

    @cached_property
    def signs(self) -> np.ndarray:
        ranks, rest = self._ranks, self._rest
        a, b = ranks[:, FIRST], ranks[:, SECOND]
        signs = np.sign(b - a)
        signs[(a == 0) | (b == 0) | (rest[:, FIRST] & rest[:, SECOND])] = SILENT
        return signs[self._order]

    @cached_property
    def rest(self) -> np.ndarray:
        """(n, 9): which outputs stand behind `*`."""
        return self._rest[self._order]

    @cached_property
    def _ranks(self) -> np.ndarray:
        ranks = np.zeros((len(self._orders), MAX_ITEMS), np.int8)
        for row, order in enumerate(self._orders):
            ranks[row, : order.items] = [rank or 0 for rank in order.ranks()]
        return ranks

    @cached_property
    def _rest(self) -> np.ndarray:
        rest = np.zeros((len(self._orders), MAX_ITEMS), bool)
        for row, order in enumerate(self._orders):
            rest[row, list(order.rest)] = True
        return rest

    @cached_property
    def firsts(self) -> np.ndarray:
        """The rows of each person's first judgement of each task: what counts everywhere but in agreement with themselves."""
        order = np.lexsort((self.repeat, self.person, self.task))
        task, person = self.task[order], self.person[order]
        new = np.ones(len(order), bool)
        new[1:] = (task[1:] != task[:-1]) | (person[1:] != person[:-1])
        return np.sort(order[new])

    @cached_property
    def between(self) -> Comparisons:
        """Every two people on the same task, by the first judgement of each."""
        return self._compare(*_within(self.task[self.firsts], self.firsts))

    @cached_property
    def repeats(self) -> Comparisons:
        """Every two judgements of the same task by the same person."""
        return self._compare(*_within(self.task * max(1, len(self.people)) + self.person, np.arange(len(self))))

    @cached_property
    def votes(self) -> tuple[np.ndarray, np.ndarray]:
        """(tasks, 3, 36): how many people say >, =, < about each of PAIRS; and (tasks,): how many ranked the task. First judgements only."""
        rows, count = self.firsts, len(self.tasks)
        signs, task = self.signs[rows], self.task[rows]
        found = np.zeros((count, 3, len(PAIRS)), np.int32)
        for outcome, sign in enumerate((1, 0, -1)):
            row, pair = np.nonzero(signs == sign)
            flat = np.bincount(task[row] * len(PAIRS) + pair, minlength=count * len(PAIRS))
            found[:, outcome] = flat.reshape(count, len(PAIRS))
        return found, np.bincount(task, minlength=count)

    def _compare(self, a: np.ndarray, b: np.ndarray) -> Comparisons:
        counts = np.zeros((6, len(a)), np.int64)
        at_once = 100_000  # comparisons whose pairs are looked at together: memory stays small
        for begin in range(0, len(a), at_once):
            part = slice(begin, begin + at_once)
            x, y = self.signs[a[part]], self.signs[b[part]]
            said = (x != SILENT) & (y != SILENT)
            x_tied, y_tied, equal = said & (x == 0), said & (y == 0), said & (x == y)
            both_tied = x_tied & y_tied
            strict = said & ~x_tied & ~y_tied
            for number, mask in enumerate((said, equal & ~both_tied, strict & ~equal, both_tied, x_tied, y_tied)):
                counts[number, part] = np.count_nonzero(mask, axis=1)
        return Comparisons(a, b, *counts)


def _within(group: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every two rows of the same group: (comparisons,), (comparisons,). `group`: (rows,)."""
    order = np.argsort(group, kind="stable")
    rows, group = rows[order], group[order]
    begins = np.flatnonzero(np.r_[True, group[1:] != group[:-1]]) if len(group) else np.zeros(0, np.int64)
    sizes = np.diff(np.r_[begins, len(group)])
    firsts, seconds = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for size in np.unique(sizes[sizes > 1]):
        members = rows[begins[sizes == size][:, None] + np.arange(size)]
        a, b = np.triu_indices(size, 1)
        firsts.append(members[:, a].ravel())
        seconds.append(members[:, b].ravel())
    return np.concatenate(firsts), np.concatenate(seconds)


def groups(numbers: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Each number that occurs, with the positions where it does."""
    order = np.argsort(numbers, kind="stable")
    present, begins = np.unique(numbers[order], return_index=True)
    ends = [*begins[1:], len(order)][: len(begins)]
    for number, begin, end in zip(present, begins, ends, strict=True):
        yield int(number), order[begin:end]
