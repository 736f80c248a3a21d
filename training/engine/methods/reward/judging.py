"""Where a reward model is right and where not, on held-out rankings: is it as sure as it may be, of whom and of what does it know most, and
what do people themselves reach on the same tasks.
"""

from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from labeling.statistics.ceiling import human_ceiling
from labeling.statistics.consensus import of_many
from labeling.statistics.figures import Figure
from labeling.statistics.judgements import Judgement

from .ensemble import by_doubt
from .report import Outcomes, Pairs, Scored

BINS = 10  # of the calibration, with equally many pairs each
LEAST_IN_BIN = 10  # pairs; with fewer there are fewer bins
FARTHEST = 4  # tiers; pairs as far apart or farther stand together

Row = dict[str, Any]


def judged(rankings: Sequence[Scored], outcomes: Outcomes) -> dict[str, Any]:
    """Everything a page of a reward model shows beside its figures, as JSON. `outcomes` is the tie model on the scores' scale."""
    pairs = Pairs.of(rankings)
    strict = ~pairs.tied
    who = np.array([rankings[place].annotator or "" for place in pairs.ranking])
    items = np.array([rankings[place].order.items for place in pairs.ranking])
    distance = np.minimum(pairs.distance, FARTHEST)
    return {
        "calibration": calibration(pairs, outcomes),
        "by_distance": _by(pairs, distance, strict),
        "by_items": _by(pairs, items, strict),
        "by_annotator": sorted(_by(pairs, who, strict & (who != "")), key=lambda row: -row["pairs"]),
        "people": people(rankings),
        **({"by_doubt": by_doubt(pairs)} if pairs.by_head.shape[1] > 1 else {}),
    }


def calibration(pairs: Pairs, outcomes: Outcomes) -> list[Row]:
    """How often the output that scores higher wins where the model says how likely that is; a tie is no win. Bins of equally many pairs."""
    probabilities = outcomes(pairs.difference)
    favoured = np.maximum(probabilities[:, 0], probabilities[:, 2])
    won = np.where(pairs.tied, 0.0, pairs.direction)
    order = np.argsort(favoured, kind="stable")
    bins = max(1, min(BINS, len(order) // LEAST_IN_BIN))
    found = []
    for members in np.array_split(order, bins):
        among = np.zeros(len(order), dtype=bool)
        among[members] = True
        found.append({"predicted": float(favoured[members].mean()), **_share(pairs, won, among)})
    return found


def _by(pairs: Pairs, value: np.ndarray, among: np.ndarray) -> list[Row]:
    """Pair accuracy for each value, in its order."""
    return [
        {"of": each.item(), **_share(pairs, pairs.direction, among & (value == each))}
        for each in np.unique(value[among])
    ]


def _share(pairs: Pairs, right: np.ndarray, among: np.ndarray) -> Row:
    value, low, high = pairs.share(right, among) or (None, None, None)
    return {"value": value, "low": low, "high": high, "pairs": int(among.sum())}


def people(rankings: Sequence[Scored]) -> dict[str, Any]:
    """On the tasks that several people ranked: how well the model predicts a person, and the consensus of all, and how well people do.

    `model`: strict pairs of each person in the right order; `person`: the same by one other person, `others`: by the consensus of all others (of
    three and more), the human ceiling; `consensus`: strict pairs of the consensus in the right order.
    """
    tasks: dict[Hashable, list[Scored]] = defaultdict(list)
    for ranking in rankings:
        if ranking.task is not None and ranking.whole is not None and ranking.annotator is not None:
            tasks[ranking.task].append(ranking)
    shared = {task: here for task, here in tasks.items() if len({r.annotator for r in here}) > 1}
    judgements, seen = [], Counter[Hashable]()
    for task, here in shared.items():
        for r in here:
            assert r.whole is not None
            judgements.append(Judgement(task, r.annotator, r.whole, repeat=seen[task, r.annotator]))
            seen[task, r.annotator] += 1
    ceiling = human_ceiling(judgements)
    return {
        "tasks": len(shared),
        "person": _figure(ceiling.strict_by_person),
        "others": _figure(ceiling.strict_by_consensus),
        "model": _model([r for here in shared.values() for r in here]),
        "consensus": _model(_agreed(shared)),
    }


def _model(rankings: Sequence[Scored]) -> Row | None:
    if not any(r.order.strict_pairs() for r in rankings):
        return None
    pairs = Pairs.of(rankings)
    return _share(pairs, pairs.direction, ~pairs.tied)


def _agreed(tasks: dict[Hashable, list[Scored]]) -> list[Scored]:
    """The consensus of each task, as if one person had ranked it."""
    found = []
    votes = of_many(([r.whole for r in here if r.whole is not None], None) for here in tasks.values())
    for here, consensus in zip(tasks.values(), votes, strict=True):
        scores = {item: score for r in here for item, score in zip(r.said, r.scores, strict=True)}
        order = consensus.order and consensus.order.restrict(scores)  # its items are then in the order of `scores`
        if order is not None:
            found.append(Scored(order, np.array(list(scores.values())), np.ones(len(scores)), here[0].prompt))
    return found


def _figure(figure: Figure) -> Row:
    """With the reason in place of a value that there is not."""
    found: Row = {"value": figure.value, "low": figure.low, "high": figure.high, "pairs": figure.n}
    return found | ({"why": figure.why.as_json()} if figure.why else {})
