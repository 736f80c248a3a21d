"""How far people agree: three-way agreement on pairs, Krippendorff's α, Kendall's τ-b and τ-x."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from labeling.ranking import MAX_ITEMS

from .alpha import nominal_alpha, ordinal_alpha, places
from .figures import Figure
from .judgements import Comparisons, Judgement, Table, groups
from .messages import Message, _
from .resampling import figures

Judgements = Sequence[Judgement] | Table


@dataclass(frozen=True)
class Agreement:
    """Of two people who both said something about a pair of outputs. `n` of every figure counts such comparisons.

    raw: share with the same answer of >, =, <. chance_corrected: Scott's π. strict: share of the same direction where neither tied.
    ties: share of ties among their answers. The comparisons add up: same (direction) + opposite + both_tied + one_tied.
    """

    raw: Figure
    chance_corrected: Figure
    strict: Figure
    ties: Figure
    same: int
    opposite: int
    both_tied: int
    one_tied: int


@dataclass(frozen=True)
class Summary:
    """The agreement of some judgements: of all, of one person with the others, or of one slice."""

    rankings: int
    three_way: Agreement
    tau_b: Figure
    tau_x: Figure


@dataclass(frozen=True)
class Themselves:
    """How far people agree with what they said about the same task before."""

    everyone: Summary
    people: dict[Hashable, Summary]


NO_OVERLAP = Message(
    "no_overlap", _("No two people have ranked the same outputs yet. Let more than one person rank each task.")
)
ALONE = Message("alone", _("Nobody else has ranked the same tasks yet."))
NO_REPEATS = Message("no_repeats", _("Nobody has ranked a task twice yet. Have some tasks shown again."))
ALL_TIED = Message("all_tied", _("Everything is tied, so that chance would give the same."))
ONE_TIES_ALL = Message("one_ties_all", _("In every two rankings of a task, one ties everything."))
NO_STRICT = Message("no_strict", _("There is no pair on which neither tied."))


def three_way(judgements: Judgements, *, seed: int = 0) -> Agreement:
    """Agreement of different people on the pairs of a task that both named.

    Scott's π (1955): (raw - chance) / (1 - chance). What is first in a pair is arbitrary, so > and < have the same chance: with t the share of ties
    among all answers compared, chance = t² + 2·((1 - t)/2)². Each two people of a task count once (as in WMT, Callison-Burch et al. 2012).
    """
    return summary(judgements, seed=seed).three_way


def tau_b(judgements: Judgements, *, seed: int = 0) -> Figure:
    """Kendall's τ-b, mean over every two people on the same task (`n`); left out are those of whom one tied everything."""
    return summary(judgements, seed=seed).tau_b


def tau_x(judgements: Judgements, *, seed: int = 0) -> Figure:
    """τ-x (Emond and Mason 2002), mean over every two people on the same task (`n`)."""
    return summary(judgements, seed=seed).tau_x


def summary(judgements: Judgements, *, seed: int = 0) -> Summary:
    """Three-way agreement, τ-b and τ-x of all."""
    table = Table.of(judgements)
    rows = _rows(table.between)
    return _summary(rows, table.task[table.between.a], len(table.firsts), seed=seed, why=NO_OVERLAP)


def by_annotator(judgements: Judgements, *, seed: int = 0) -> dict[Hashable, Summary]:
    """Each person's agreement with the others on the same tasks; everybody who ranked is listed."""
    table = Table.of(judgements)
    between = table.between
    rankings = np.bincount(table.person[table.firsts], minlength=len(table.people))
    rows, task = _rows(between), table.task[between.a]
    person = np.concatenate([table.person[between.a], table.person[between.b]])
    of_person = dict(groups(person))
    found = {}
    for number, name in enumerate(table.people):
        mine = of_person.get(number, np.zeros(0, np.int64)) % max(1, len(task))
        found[name] = _summary(rows[mine], task[mine], int(rankings[number]), seed=seed, why=ALONE)
    return found


def with_themselves(judgements: Judgements, *, seed: int = 0) -> Themselves:
    """Agreement between a person's repeated judgements of the same task; `people` holds those who have some."""
    table = Table.of(judgements)
    repeats = table.repeats
    rows, task, person = _rows(repeats), table.task[repeats.a], table.person[repeats.a]

    def of(part: np.ndarray) -> Summary:
        rankings = len(np.unique(np.concatenate([repeats.a[part], repeats.b[part]])))
        return _summary(rows[part], task[part], rankings, seed=seed, why=NO_REPEATS)

    return Themselves(
        everyone=of(np.arange(len(task))),
        people={table.people[number]: of(part) for number, part in groups(person)},
    )


def by_slice(judgements: Judgements, name: str, *, seed: int = 0) -> dict[str, Summary]:
    """Agreement within each value of a slice, sorted by value; the slice "K" is the number of outputs. Who has no value is left out."""
    table = Table.of(judgements)
    rows: dict[str, list[int]] = {}
    for row, judgement in enumerate(table.judgements):
        value = judgement.slices.get(name, str(judgement.order.items) if name == "K" else None)
        if value is not None:
            rows.setdefault(value, []).append(row)
    return {value: summary(table.take(np.array(rows[value])), seed=seed) for value in sorted(rows)}


def alpha(judgements: Judgements, *, metric: Literal["ordinal", "nominal"] = "ordinal", seed: int = 0) -> Figure:
    """Krippendorff's α (2004, chapter 11) with its interval over tasks; people may have left out what they like. `n`: pairable values.

    ordinal: the values are the places of outputs within a ranking (tied ones share the mean of their places; the rest behind `*` has none), and chance
    is taken among tasks with the same number of outputs. nominal: the values are the answers >, =, < to pairs; as it is arbitrary which output of a pair comes
    first, each pair counts in both directions, so that no order of items matters.
    """
    table = Table.of(judgements)
    if metric == "nominal":
        return nominal_alpha(*table.votes, seed=seed, why=NO_OVERLAP)
    rows = table.firsts
    return ordinal_alpha(
        places(table.ranks[rows], table.rest[rows]), table.task[rows], table.items[rows], seed=seed, why=NO_OVERLAP
    )


def on_question(judgements: Judgements, key: str, *, seed: int = 0) -> Figure:
    """Krippendorff's α, ordinal, of the answers to a question with numbers about each output. `n`: pairable values."""
    table = Table.of(judgements)
    rows = table.firsts
    values = np.full((len(rows), MAX_ITEMS), np.nan)
    for row, number in enumerate(rows):
        given = table.judgements[number].answers.get(key, ())
        values[row, : len(given)] = [np.nan if answer is None else answer for answer in given]
    text = _("No two people have answered this question about the same outputs yet.")
    one_scale = np.zeros(len(rows), np.int64)  # a scale means the same whatever the number of outputs
    return ordinal_alpha(values, table.task[rows], one_scale, seed=seed, why=Message("no_answers", text))


def _rows(compared: Comparisons) -> np.ndarray:
    """(comparisons, 9): what `_summary` adds up over tasks."""
    tau_b, tau_x = compared.tau_b, compared.tau_x
    has_b, has_x = np.isfinite(tau_b), np.isfinite(tau_x)
    return np.stack(
        [
            compared.both,
            compared.same,
            compared.opposite,
            compared.both_tied,
            compared.one_tied,
            np.where(has_b, tau_b, 0.0),
            has_b,
            np.where(has_x, tau_x, 0.0),
            has_x,
        ],
        axis=1,
    ).astype(float)


def _summary(rows: np.ndarray, task: np.ndarray, rankings: int, *, seed: int, why: Message) -> Summary:
    """`rows` of `_rows` with the task of each (comparisons,)."""
    heard = rows[:, 0] > 0
    rows, task = rows[heard], task[heard]
    tasks, number = np.unique(task, return_inverse=True)
    columns = np.stack([np.bincount(number, column, len(tasks)) for column in rows.T], axis=1)
    both, same, opposite, both_tied, one_tied, _sum_b, has_b, _sum_x, has_x = (round(x) for x in columns.sum(0))
    if not both:
        nothing = Figure(None, why=why)
        return Summary(
            rankings,
            Agreement(nothing, nothing, nothing, nothing, same, opposite, both_tied, one_tied),
            nothing,
            nothing,
        )
    found = figures(columns, _agreements, seed=seed)

    def figure(which: int, n: int, otherwise: Message | None = None, left_out: int = 0) -> Figure:
        value, low, high, reason = found[which]
        return Figure(value, low, high, n, len(tasks), left_out, otherwise if value is None else reason)

    agreement = Agreement(
        raw=figure(0, both),
        chance_corrected=figure(1, both, ALL_TIED),
        strict=figure(2, same + opposite, NO_STRICT),
        ties=figure(3, 2 * both),
        same=same,
        opposite=opposite,
        both_tied=both_tied,
        one_tied=one_tied,
    )
    return Summary(rankings, agreement, figure(4, has_b, ONE_TIES_ALL, len(rows) - has_b), figure(5, has_x))


def _agreements(totals: np.ndarray) -> np.ndarray:
    """(draws, 9) sums of `_rows` → (draws, 6): raw, π, strict, ties, τ-b, τ-x; nan where undefined."""
    both, same, opposite, both_tied, one_tied, sum_b, has_b, sum_x, has_x = totals.T
    with np.errstate(invalid="ignore", divide="ignore"):
        raw = (same + both_tied) / both
        ties = (both_tied + one_tied / 2) / both
        chance = ties**2 + (1 - ties) ** 2 / 2
        corrected = np.where(ties < 1, (raw - chance) / (1 - chance), np.nan)
        return np.stack([raw, corrected, same / (same + opposite), ties, sum_b / has_b, sum_x / has_x], axis=1)
