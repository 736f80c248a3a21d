"""The rankings of a data set task by task: one row with the order that holds."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from labeling.identity import digest_of
from labeling.ranking import LETTERS, WeakOrder
from labeling.statistics.consensus import of_many

# Of a task's rows, the keys that its row keeps.
KEPT = ("task", "prompt", "completions", "prompt_id", "batch", "chosen", "gold", "split")


@dataclass
class _Task:
    first: dict
    orders: list[WeakOrder] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    adjudicated: str = ""
    reviewer: str | int = ""


def consensus_rows(rows: Iterable[dict]) -> Iterator[dict]:
    """A row for each task of rows of kind "rankings", in their order; itself a row of that kind, for `ranking` is the order that holds: what a
    reviewer decided, else the consensus.

    {…, "ranking", "annotator": "consensus" or the reviewer, "n": rankings behind it, "consensus"?, "contested"?: [["A", "C"], …],
    "line_contested"?, "adjudicated"?}. Repeated judgements have no vote; rankings vote with their weights. A task about which nothing is said
    has no row.
    """
    tasks = list(_tasks(rows))
    voted = iter(of_many((task.orders, task.weights) for task in tasks if task.orders))
    for task in tasks:
        row = {key: task.first[key] for key in KEPT if key in task.first}
        found = next(voted) if task.orders else None
        agreed = str(found.order) if found and found.order else ""
        if not agreed and not task.adjudicated:
            continue
        row |= {"ranking": task.adjudicated or agreed, "annotator": "consensus", "n": len(task.orders)}
        if task.adjudicated:
            row |= {"adjudicated": True, "annotator": task.reviewer}
        if agreed:
            row["consensus"] = agreed
        if found and found.contested:
            row["contested"] = [[LETTERS[a], LETTERS[b]] for a, b in found.contested]
        if found and found.line_contested:
            row["line_contested"] = True
        yield row


def counts(rows: Iterable[dict]) -> dict[str, int]:
    """How many tasks rows have, by split."""
    return dict(Counter(task.first["split"] for task in _tasks(rows)))


def _tasks(rows: Iterable[dict]) -> Iterable[_Task]:
    found: dict[str, _Task] = {}
    for row in rows:
        # A data set from elsewhere may use the name of a task for other outputs.
        task = found.setdefault(digest_of([row["task"], row["completions"]]), _Task(row))
        if row.get("adjudicated"):
            task.adjudicated, task.reviewer = row["ranking"], row["annotator"]
        elif not row.get("repeat"):
            task.orders.append(WeakOrder.parse(row["ranking"], items=len(row["completions"])))
            task.weights.append(row.get("weight", 1.0))
    return found.values()
