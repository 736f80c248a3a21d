"""How often the outputs of one version are ranked above those of another: what people said of pairs that were made to be compared."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from labeling.models import Batch, Project, Task, TaskItem
from labeling.quality import judged
from labeling.ranking import WeakOrder
from models_registry.models import Version


@dataclass(frozen=True)
class HeadToHead:
    """`tasks` where outputs of both stand beside each other, of which so many are `ranked`. `wins`, `ties`, `losses` of the first count pairs;
    `prompts`: of each one that somebody ranked, the share that the first won, a tie being half.
    """

    tasks: int
    ranked: int
    wins: int
    ties: int
    losses: int
    prompts: tuple[float, ...]

    @property
    def waiting(self) -> int:
        return self.tasks - self.ranked


def head_to_head(batches: Iterable[Batch], first: Version, second: Version) -> HeadToHead:
    """In the tasks of these batches, by the rankings that statistics are made of; of each person the first one of a task."""
    batches = list(batches)
    wrote: dict[int, list[tuple[int, int | None]]] = defaultdict(list)
    items = TaskItem.objects.filter(task__batch__in=batches, task__kind=Task.Kind.NORMAL)
    for task, position, version in items.values_list("task", "position", "completion__version"):
        wrote[task].append((position, version))
    both = {
        task for task, found in wrote.items() if {first.pk, second.pk} <= {version for _position, version in found}
    }
    outcomes: dict[int, list[float]] = defaultdict(list)  # by prompt: 1 won, 0.5 tied, 0 lost
    ranked = set()
    for task, prompt, size, notation in _said({batch.project for batch in batches}, both):
        order = WeakOrder.parse(notation, items=size)
        mine, others = ([place for place, version in wrote[task] if version == who.pk] for who in (first, second))
        found = [order.compare(a, b) for a in mine for b in others]
        said = [(outcome + 1) / 2 for outcome in found if outcome is not None]
        outcomes[prompt] += said
        if said:
            ranked.add(task)
    every = [outcome for said in outcomes.values() for outcome in said]
    prompts = tuple(sum(said) / len(said) for said in outcomes.values() if said)
    return HeadToHead(len(both), len(ranked), every.count(1.0), every.count(0.5), every.count(0.0), prompts)


def _said(projects: Iterable[Project], tasks: set[int]) -> Iterator[tuple[int, int, int, str]]:
    for project in projects:
        rankings = judged(project).filter(assignment__task__in=tasks, assignment__repeat=0).order_by("pk")
        yield from rankings.values_list(
            "assignment__task", "assignment__task__prompt", "assignment__task__size", "notation"
        )
