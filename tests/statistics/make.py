"""Judgements for the tests of statistics: drawn at random, simulated from known people, or real ones."""

import json
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from labeling.ranking import WeakOrder
from labeling.statistics.judgements import Judgement


@st.composite
def orders(draw, items: int | None = None, partial: bool = True, line: bool = True) -> WeakOrder:
    """Any weak order that says something about a pair."""
    count = items or draw(st.integers(2, 5))
    rank = st.integers(0, count)
    ranks = draw(
        st.lists(st.none() | rank if partial else rank, min_size=count, max_size=count).filter(
            lambda found: sum(each is not None for each in found) > 1
        )
    )
    order = WeakOrder.from_ranks(ranks)
    rest = order.unranked if partial and draw(st.booleans()) else ()
    place = draw(st.none() | st.integers(0, len(order.tiers) + bool(rest))) if line else None
    return WeakOrder(count, order.tiers, place, rest)


@st.composite
def projects(draw, tasks: int = 7, people: int = 4, partial: bool = True) -> list[Judgement]:
    """Judgements of a few tasks of different sizes by some of a few people, some twice."""
    found = []
    for task in range(draw(st.integers(1, tasks))):
        items = draw(st.integers(2, 4))
        who = draw(st.lists(st.sampled_from("abcd"[:people]), min_size=1, max_size=people + 1))
        for number, person in enumerate(who):
            found.append(
                Judgement(task, person, draw(orders(items, partial, line=False)), repeat=who[:number].count(person))
            )
    return found


def order(text: str, items: int | None = None) -> WeakOrder:
    return WeakOrder.parse(text, items)


def judged(*texts: str, task: object = 0, **more: object) -> list[Judgement]:
    """The rankings of one task by people a, b, c, …"""
    items = max(order(text).items for text in texts if "*" not in text)
    return [Judgement(task, "abcdefgh"[i], order(text, items), **more) for i, text in enumerate(texts)]


def simulated(
    *,
    people: int = 8,
    tasks: int = 60,
    overlap: int = 3,
    items: int = 4,
    seed: int = 0,
    scales: list[float] | None = None,
    ties: float = 0.7,
) -> list[Judgement]:
    """People who see the same qualities, each with a scale of their own against Gumbel noise, and tie what is close."""
    draws = np.random.default_rng(seed)
    found = []
    for task in range(tasks):
        quality = draws.normal(0, 2, items)
        for person in draws.choice(people, overlap, replace=False):
            seen = (scales[person] if scales else 1.0) * quality + draws.gumbel(0, 1, items)
            found.append(Judgement(task, int(person), bucketed(seen, ties)))
    return found


def bucketed(scores: np.ndarray, ties: float) -> WeakOrder:
    """Best first; what lies less than `ties` below its predecessor is tied with it."""
    best = np.argsort(-scores)
    steps = np.r_[0, np.cumsum(-np.diff(scores[best]) > ties)]
    ranks = np.empty(len(scores), int)
    ranks[best] = steps
    return WeakOrder.from_ranks([int(rank) for rank in ranks])


def shuffled(judgements: list[Judgement], seed: int) -> list[Judgement]:
    """The same in another order, under other names of people and tasks, and with the outputs of each task in other letters."""
    draws = np.random.default_rng(seed)
    letters: dict[object, list[int]] = {}
    people = {
        name: f"p{number}"
        for number, name in zip(draws.permutation(1000), dict.fromkeys(j.annotator for j in judgements), strict=False)
    }
    found = []
    for one in judgements:
        to = letters.setdefault(one.task, list(map(int, draws.permutation(one.order.items))))
        back = np.argsort(to)
        found.append(
            Judgement(
                f"t{one.task}",
                people[one.annotator],
                one.order.relabel(to),
                one.repeat,
                tuple(to[item] for item in one.display),
                tuple(one.lengths[item] for item in back) if one.lengths else (),
                one.seconds,
                {key: [values[item] for item in back] for key, values in one.answers.items()},
                one.slices,
            )
        )
    return [found[i] for i in draws.permutation(len(found))]


def wmt12(folder: Path) -> tuple[list[Judgement], dict[object, tuple[str, ...]]]:
    """The real rankings of WMT12 that compare something, and which system wrote each output of each task; a task is a sentence with its five systems."""
    found, sources, seen = [], {}, {}
    for line in (folder / "data/wmt12-rankings/rankings.jsonl").open(encoding="utf-8"):
        row = json.loads(line)
        options = sorted(row["options"], key=lambda option: option["system"])
        ranks = [option["rank"] if option["rank"] > 0 else None for option in options]
        if sum(rank is not None for rank in ranks) < 2:
            continue
        task = (row["pair"], row["src_index"], *(option["system"] for option in options))
        repeat = seen[task, row["judge"]] = seen.get((task, row["judge"]), -1) + 1
        sources[task] = task[2:]
        found.append(
            Judgement(
                task,
                row["judge"],
                WeakOrder.from_ranks(ranks),
                repeat,
                display=tuple(options.index(option) for option in row["options"]),
                lengths=tuple(len(option["text"].strip()) for option in options),
                slices={"language": row["pair"]},
            )
        )
    return found, sources
