"""How much each person's answers follow what the others see in the same outputs: a scale per annotator.

The model, for one pair of outputs of one task: they differ by d, drawn from a normal distribution around 0, the same for everybody who ranked the task.
Person a answers >, =, < with weights e^(s·d/2), ν, e^(-s·d/2) (Davidson 1970), with a scale s and a ν of their own: as in Crowd-BT (Chen, Bennett,
Collins-Thompson and Horvitz 2013), where it is a probability, and like the discrimination of item response theory. d is never estimated, it is integrated
out (marginal maximum likelihood by EM, Bock and Aitkin 1981), so that two rankings of a task cannot be "explained" by it. Scales have a normal prior
around 1, logarithms of ν one around those of all: who has ranked little with others stays near the typical person.

A ranking of K outputs has K(K-1)/2 pairs, but these are no independent answers; each has the weight 2/K, so that the ranking counts for K-1.
"""

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np

from .agreement import ALONE, Judgements
from .figures import Figure
from .judgements import SILENT, Table

SPREAD = 0.3  # of scales around 1, before anything is known of a person
TIE_SPREAD = 1.0  # of log ν around everybody's
MOST_ANSWERS = (
    100_000  # to pairs, by all together; where there are more, as many rankings of each person are drawn as fit
)
NODES = 15
Z = 1.959963984540054


@dataclass(frozen=True)
class Reliability:
    """`scale`: 1 is typical of this project, 0 is ranking by chance, below 0 against the others. `ties`: odds of a tie, relative to the typical person, on
    outputs that are equally good. `n` of both counts rankings on tasks that others ranked too, `left_out` those that were not looked at.
    """

    scale: Figure
    ties: Figure


def reliability(judgements: Judgements) -> dict[Hashable, Reliability]:
    """Everybody who ranked, shrunk towards 1 the more, the less they ranked together with others."""
    table = Table.of(judgements)
    _votes, people = table.votes
    shared = table.firsts[people[table.task[table.firsts]] > 1]
    rows = _some(table, shared)
    answers = _answers(table, rows)
    ranked = np.bincount(table.person[shared], minlength=len(table.people))
    seen = np.bincount(table.person[rows], minlength=len(table.people))
    heard = np.bincount(answers.person, minlength=len(table.people)) > 0
    if not heard.any():
        return {name: Reliability(Figure(None, why=ALONE), Figure(None, why=ALONE)) for name in table.people}
    fitted = _fit(answers, len(table.people))
    found = {}
    for person, name in enumerate(table.people):
        n, left_out = int(seen[person]), int(ranked[person] - seen[person])
        if not heard[person]:
            found[name] = Reliability(Figure(None, why=ALONE), Figure(None, why=ALONE))
            continue
        (scale, tie), (scale_error, tie_error) = fitted.values[person], fitted.errors[person]
        tie -= fitted.typical_tie
        odds, low, high = (float(np.exp(tie + sign * Z * tie_error)) for sign in (0, -1, 1))
        found[name] = Reliability(
            Figure(float(scale), float(scale - Z * scale_error), float(scale + Z * scale_error), n, n, left_out),
            Figure(odds, low, high, n, n, left_out),
        )
    return found


@dataclass(frozen=True)
class _Answers:
    """One answer of one person about one pair: person, outcome (0 >, 1 =, 2 <), unit (which pair of which task), sorted by unit; weight: (units,)."""

    person: np.ndarray
    outcome: np.ndarray
    unit: np.ndarray
    weight: np.ndarray


@dataclass(frozen=True)
class _Fitted:
    """values, errors: (people, 2) for the scale and log ν; typical_tie: everybody's log ν."""

    values: np.ndarray
    errors: np.ndarray
    typical_tie: float


def _some(table: Table, rows: np.ndarray) -> np.ndarray:
    """The rows of randomly drawn tasks, so many that there are about MOST_ANSWERS: a task counts as long as somebody on it has not their share."""
    pairs = table.items[rows] * (table.items[rows] - 1) // 2
    if pairs.sum() <= MOST_ANSWERS:
        return rows
    share = max(20, int(MOST_ANSWERS / len(np.unique(table.person[rows])) / pairs.mean()))
    order = rows[np.argsort(table.task[rows], kind="stable")]
    begins = np.flatnonzero(np.r_[True, np.diff(table.task[order]) != 0])
    tasks = np.split(order, begins[1:])
    seen = np.zeros(len(table.people), np.int64)
    kept = []
    for number in np.random.default_rng(0).permutation(len(tasks)):
        person = table.person[tasks[number]]
        if (seen[person] < share).any():
            seen[person] += 1
            kept.append(tasks[number])
    return np.concatenate(kept)


def _answers(table: Table, rows: np.ndarray) -> _Answers:
    """Of pairs about which at least two people say something."""
    signs = table.signs[rows]
    row, pair = np.nonzero(signs != SILENT)
    unit = table.task[rows][row] * signs.shape[1] + pair
    order = np.argsort(unit, kind="stable")
    row, pair, unit = row[order], pair[order], unit[order]
    _units, number, people = np.unique(unit, return_inverse=True, return_counts=True)
    shared = people[number] > 1
    row, pair = row[shared], pair[shared]
    _units, begins, number = np.unique(unit[shared], return_index=True, return_inverse=True)
    return _Answers(
        table.person[rows][row], 1 - signs[row, pair].astype(np.int64), number, 2 / table.items[rows][row][begins]
    )


def _fit(answers: _Answers, people: int) -> _Fitted:
    points, probability = np.polynomial.hermite_e.hermegauss(NODES)
    prior = np.log(probability / probability.sum())
    begins = np.flatnonzero(np.r_[True, np.diff(answers.unit) != 0])
    cell = answers.person * 3 + answers.outcome
    order = np.argsort(cell, kind="stable")
    cells, cell_begins = np.unique(cell[order], return_index=True)
    values = np.stack([np.ones(people), np.zeros(people)], axis=1)
    present = np.bincount(answers.person, minlength=people) > 0
    spread, typical = 2.0, 0.0
    for _round in range(200):
        before = np.r_[values[:, 0], spread]
        posterior = _posterior(values, spread * points, cell, begins, prior)
        weighted = posterior * answers.weight[:, None]
        counts = np.zeros((people * 3, NODES))
        counts[cells] = np.add.reduceat(weighted[answers.unit[order]], cell_begins, axis=0)
        values = _improved(values, counts.reshape(people, 3, NODES), spread * points, typical)
        typical = float(values[present, 1].mean())
        spread = float(np.sqrt((weighted @ (spread * points) ** 2).sum() / answers.weight.sum()))
        # Only scale times d is seen: what unit suits the scales' prior best? EM alone would take hundreds of rounds to get there.
        unit = float((values[present, 0] ** 2).sum() / max(0.1, values[present, 0].sum()))
        values[:, 0] /= unit
        spread *= unit
        if np.abs(np.r_[values[:, 0], spread] - before).max() < 1e-3:
            break
    posterior = _posterior(values, spread * points, cell, begins, prior)
    return _Fitted(values, _errors(values, answers, posterior, spread * points), typical)


def _chances(values: np.ndarray, d: np.ndarray) -> np.ndarray:
    """(people, 3, nodes): of >, =, < by Davidson."""
    half = values[:, :1] * d / 2
    weights = np.stack([half, np.broadcast_to(values[:, 1:], half.shape), -half], axis=1)
    weights = np.exp(weights - weights.max(1, keepdims=True))
    return weights / weights.sum(1, keepdims=True)


def _posterior(
    values: np.ndarray, d: np.ndarray, cell: np.ndarray, begins: np.ndarray, prior: np.ndarray
) -> np.ndarray:
    """(units, nodes): how likely each difference is after the answers."""
    logs = np.log(_chances(values, d) + 1e-300).reshape(-1, len(d))
    total = np.add.reduceat(logs[cell], begins, axis=0) + prior
    likely = np.exp(total - total.max(1, keepdims=True))
    return likely / likely.sum(1, keepdims=True)


def _improved(values: np.ndarray, counts: np.ndarray, d: np.ndarray, typical: float) -> np.ndarray:
    """The M step: three steps of Newton's method for each person's scale and log ν; `counts` (people, 3, nodes). The objective is concave."""
    for _step in range(3):
        gradient, curvature = _slopes(values, counts.sum(1), counts, d)
        gradient[:, 0] -= (values[:, 0] - 1) / SPREAD**2
        gradient[:, 1] -= (values[:, 1] - typical) / TIE_SPREAD**2
        values = values + np.clip(np.linalg.solve(curvature, gradient[:, :, None])[:, :, 0], -1, 1)
    return values


def _slopes(values: np.ndarray, total: np.ndarray, counts: np.ndarray, d: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gradient (people, 2) without the prior, and information (people, 2, 2) with it, of answers `counts` (people, 3, nodes), `total` (people, nodes)."""
    chance = _chances(values, d)
    direction, tie = chance[:, 0] - chance[:, 2], chance[:, 1]
    by_scale = ((counts[:, 0] - counts[:, 2] - total * direction) * d / 2).sum(1)
    by_tie = (counts[:, 1] - total * tie).sum(1)
    curvature = np.empty((len(values), 2, 2))
    curvature[:, 0, 0] = (total * (1 - tie - direction**2) * d**2 / 4).sum(1) + 1 / SPREAD**2
    curvature[:, 1, 1] = (total * tie * (1 - tie)).sum(1) + 1 / TIE_SPREAD**2
    curvature[:, 0, 1] = curvature[:, 1, 0] = -(total * direction * tie * d / 2).sum(1)
    return np.stack([by_scale, by_tie], axis=1), curvature


def _errors(values: np.ndarray, answers: _Answers, posterior: np.ndarray, d: np.ndarray) -> np.ndarray:
    """(people, 2): standard errors from the observed information of each person: complete information less that missing for want of d (Louis 1982)."""
    people = len(values)
    weight = answers.weight[answers.unit]
    likely = posterior[answers.unit]
    total = np.stack([np.bincount(answers.person, weight * column, people) for column in likely.T], axis=1)
    _gradient, information = _slopes(values, total, np.zeros((people, 3, len(d))), d)
    chance = _chances(values, d)
    direction, tie = (chance[:, 0] - chance[:, 2])[answers.person], chance[:, 1][answers.person]
    sign = 1 - answers.outcome[:, None]
    scores = np.stack([(sign - direction) * d / 2, (answers.outcome[:, None] == 1) - tie], axis=2)
    mean = (likely[:, :, None] * scores).sum(1)
    spread = np.einsum("rq,rqi,rqj->rij", likely, scores, scores) - mean[:, :, None] * mean[:, None, :]
    for i in range(2):
        for j in range(2):
            information[:, i, j] -= np.bincount(answers.person, weight * spread[:, i, j], people)
    return np.sqrt(np.diagonal(np.linalg.inv(information), axis1=1, axis2=2))
