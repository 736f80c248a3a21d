"""Judgements for the tests of statistics: drawn at random, simulated from known people, or real ones."""

import json
from pathlib import Path

import numpy as np

from labeling.ranking import WeakOrder
from labeling.statistics.judgements import Judgement


def at_random(seed: int) -> list[Judgement]:
    """Judgements of up to seven tasks of different sizes by some of four people, some of them twice."""
    draws = np.random.default_rng(seed)
    found = []
    for task in range(draws.integers(1, 8)):
        items = int(draws.integers(2, 5))
        who = [str(name) for name in draws.choice(list("abcd"), draws.integers(1, 6))]
        for number, person in enumerate(who):
            repeat = who[:number].count(person)
            found.append(Judgement(task, person, order_at_random(draws, items), repeat))
    return found


def order_at_random(draws: np.random.Generator, items: int, line: bool = False) -> WeakOrder:
    """Any weak order, in one of three cases a partial one."""
    named = items if draws.random() < 0.67 else int(draws.integers(1, items + 1))
    ranks = [int(rank) for rank in draws.integers(0, items, items)]
    left = set(draws.permutation(items)[named:].tolist())
    order = WeakOrder.from_ranks([None if item in left else rank for item, rank in enumerate(ranks)])
    rest = order.unranked if draws.random() < 0.5 else ()
    place = int(draws.integers(0, len(order.tiers) + bool(rest) + 1)) if line and draws.random() < 0.6 else None
    return WeakOrder(items, order.tiers, place, rest)


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
