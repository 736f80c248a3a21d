"""How often the outputs of one version are ranked above those of another: what people said of pairs that were made to be compared."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from labeling.models import Batch, Project, Task, TaskItem
from labeling.quality import judged
from labeling.ranking import WeakOrder
from models_registry.models import Version


@dataclass(frozen=True)
class HeadToHead:
    """`tasks` where outputs of both stand beside each other, of which so many are `ranked`, and `to_come`: open, and ranked by nobody yet.
    `wins`, `ties`, `losses` of the first count pairs; `prompts`: of each one that somebody ranked, the share that the first won, a tie being half.
    """

    tasks: int
    ranked: int
    wins: int
    ties: int
    losses: int
    prompts: tuple[float, ...]
    to_come: int

    @property
    def waiting(self) -> int:
        return self.tasks - self.ranked


@dataclass
class _Task:
    """`wrote`: the version of each output, by its position; `said`: the rankings that statistics are made of, of each person the first one."""

    batch: int
    prompt: int
    is_open: bool
    wrote: dict[int, int | None] = field(default_factory=dict)
    said: list[WeakOrder] = field(default_factory=list)


class Compared:
    """The tasks of batches and what people said of them, read at once: questions about single versions ask the database no more."""

    def __init__(self, batches: Iterable[Batch]) -> None:
        batches = set(batches)
        self._tasks: dict[int, _Task] = {}
        places = TaskItem.objects.filter(task__batch__in=batches, task__kind=Task.Kind.NORMAL).values_list(
            "task", "task__batch", "task__prompt", "task__state", "task__project__state", "position", "completion__version"
        )  # fmt: skip
        for key, batch, prompt, state, project, position, version in places:
            is_open = (state, project) == (Task.State.OPEN, Project.State.OPEN)
            self._tasks.setdefault(key, _Task(batch, prompt, is_open)).wrote[position] = version
        for project in {batch.project for batch in batches}:
            said = judged(project).filter(assignment__task__batch__in=batches, assignment__repeat=0).order_by("pk")
            for key, notation in said.values_list("assignment__task", "notation"):
                if key in self._tasks:
                    task = self._tasks[key]
                    task.said.append(WeakOrder.parse(notation, items=len(task.wrote)))

    def between(self, first: Version, second: Version, batches: Collection[Batch]) -> HeadToHead:
        """In these of the batches."""
        keys = {batch.pk for batch in batches}
        tasks = [
            task
            for task in self._tasks.values()
            if task.batch in keys and {first.pk, second.pk} <= set(task.wrote.values())
        ]
        outcomes: dict[int, list[float]] = defaultdict(list)  # by prompt: 1 won, 0.5 tied, 0 lost
        ranked = to_come = 0
        for task in tasks:
            mine, others = (
                [place for place, version in task.wrote.items() if version == who.pk] for who in (first, second)
            )
            found = [order.compare(a, b) for order in task.said for a in mine for b in others]
            said = [(outcome + 1) / 2 for outcome in found if outcome is not None]
            outcomes[task.prompt] += said
            ranked += bool(said)
            to_come += task.is_open and not task.said
        every = [outcome for said in outcomes.values() for outcome in said]
        prompts = tuple(sum(said) / len(said) for said in outcomes.values() if said)
        return HeadToHead(len(tasks), ranked, every.count(1.0), every.count(0.5), every.count(0.0), prompts, to_come)
