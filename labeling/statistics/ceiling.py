"""The human ceiling: how well one person predicts another on the same task. No model can be expected to predict people better than that."""

from dataclasses import dataclass

import numpy as np

from labeling.ranking import MAX_ITEMS

from .agreement import NO_OVERLAP, NO_STRICT, Judgements
from .figures import Figure
from .judgements import FIRST, PAIRS, SECOND, SILENT, Table, groups
from .kemeny import nearest
from .messages import Message, _
from .resampling import ratio

MOST_STEPS = 10_000_000  # of dynamic programming for leaving each person out in turn: some 40,000 rankings of 5 outputs, 500 of 9

TWO_OTHERS = Message(
    "two_others", _("No three people have ranked the same outputs yet, so that nobody's others have a consensus.")
)


@dataclass(frozen=True)
class Ceiling:
    """`strict`: of the pairs that the predicted person did not tie, the share predicted in the right direction; a tie predicted is half right,
    as a model would be that cannot tell. `three_way`: share of all pairs with the same answer. `person`: by one other person; `consensus`: by the
    consensus of all others, where there are at least two. `n` counts predicted pairs.
    """

    strict_by_person: Figure
    three_way_by_person: Figure
    strict_by_consensus: Figure
    three_way_by_consensus: Figure


def human_ceiling(judgements: Judgements, *, seed: int = 0) -> Ceiling:
    """How well a person, or the consensus of the others, predicts a person.

    Everybody is predicted once by each of the others on the task, and once by the Kemeny consensus of all others (leave one out). Where that
    would take long (some 40,000 rankings of 5 outputs), tasks are drawn at random for the latter.
    """
    table = Table.of(judgements)
    found = table.between
    strict = 2 * found.both - found.a_tied - found.b_tied  # in both directions: each predicts the other
    half = (found.a_tied - found.both_tied + found.b_tied - found.both_tied) / 2
    by_one = _figures(
        table.task[found.a],
        2 * found.same + half,
        strict,
        2 * (found.same + found.both_tied),
        2 * found.both,
        NO_OVERLAP,
        seed,
    )
    task, said, predicted = _left_out_in_turn(table, seed)
    asked = (said != SILENT) & (predicted != SILENT)
    right = asked & (said == predicted)
    strict_asked = asked & (said != 0)
    half_right = (strict_asked & (predicted == 0)).sum(1) / 2
    by_consensus = _figures(
        task,
        (right & (said != 0)).sum(1) + half_right,
        strict_asked.sum(1),
        right.sum(1),
        asked.sum(1),
        TWO_OTHERS,
        seed,
    )
    return Ceiling(*by_one, *by_consensus)


def _figures(
    task: np.ndarray,
    right: np.ndarray,
    strict: np.ndarray,
    same: np.ndarray,
    both: np.ndarray,
    why: Message,
    seed: int,
) -> tuple[Figure, Figure]:
    """Of the strict pairs, and of all: shares of sums over the predictions, (predictions,) each with its task."""
    tasks, number = np.unique(task, return_inverse=True)
    over, under, over_all, under_all = (
        np.bincount(number, column, len(tasks)) for column in (right, strict, same, both)
    )
    heard = under_all.any()
    return (
        ratio(over, under, seed=seed, n=int(under.sum()), why=NO_STRICT if heard else why),
        ratio(over_all, under_all, seed=seed, n=int(under_all.sum()), why=why),
    )


def _left_out_in_turn(table: Table, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(rankings,) the task, (rankings, 36) what each said, and what the consensus of the others says; of tasks that at least three people ranked."""
    votes, people = table.votes
    rows = table.firsts[people[table.task[table.firsts]] > 2]
    tasks, said, predicted = (
        [np.zeros(0, np.int64)],
        [np.zeros((0, len(PAIRS)), np.int8)],
        [np.zeros((0, len(PAIRS)), np.int8)],
    )
    generator = np.random.default_rng(seed)
    for items, here in groups(table.items[rows]):
        chosen = rows[here]
        most = MOST_STEPS // 3**items
        if len(chosen) > most:
            kept = generator.permutation(len(table.tasks))[table.task[chosen]] < len(table.tasks) * most / len(chosen)
            chosen = chosen[kept]
        signs = table.signs[chosen]
        others = votes[table.task[chosen]] - np.stack([signs == sign for sign in (1, 0, -1)], axis=1)
        better = np.zeros((len(chosen), MAX_ITEMS, MAX_ITEMS), np.int64)
        tied = np.zeros_like(better)
        better[:, FIRST, SECOND], better[:, SECOND, FIRST] = others[:, 0], others[:, 2]
        tied[:, FIRST, SECOND] = tied[:, SECOND, FIRST] = others[:, 1]
        ranks = np.zeros((len(chosen), MAX_ITEMS), np.int64)
        ranks[:, :items], _count = nearest(better[:, :items, :items], tied[:, :items, :items])
        a, b = ranks[:, FIRST], ranks[:, SECOND]
        tasks.append(table.task[chosen])
        said.append(signs)
        predicted.append(np.where((a > 0) & (b > 0), np.sign(b - a), SILENT).astype(np.int8))
    return np.concatenate(tasks), np.concatenate(said), np.concatenate(predicted)
