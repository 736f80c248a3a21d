"""Questions about tasks with a known answer: what they are, how often their answers are kept and by whom, what a task's answer might be."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Avg, Count

from labeling.constraints import Constraint, Constraints
from labeling.models import Adjudication, Assignment, GoldAnswer, Project, Ranking, Task
from labeling.ranking import LETTERS, WeakOrder
from labeling.statistics.consensus import consensus


@dataclass(frozen=True)
class Turn:
    person: str
    score: float
    at: datetime | None


@dataclass
class KnownTask:
    """A task with its answer and the turns that met it."""

    task: Task
    answer: GoldAnswer
    turns: list[Turn] = field(default_factory=list)

    @property
    def kept(self) -> float | None:
        """The mean share of the constraints that were kept."""
        return sum(turn.score for turn in self.turns) / len(self.turns) if self.turns else None

    @property
    def wholly(self) -> int:
        return sum(turn.score == 1 for turn in self.turns)


def known_tasks(project: Project) -> dict[str, list[KnownTask]]:
    """By kind: gold tasks in the order they were made, the others as people meet them."""
    tasks = project.tasks.exclude(kind=Task.Kind.NORMAL).select_related("prompt", "gold_answer").order_by("pk")
    found = {task.pk: KnownTask(task, task.gold_answer) for task in tasks}
    met = project.assignments.filter(task__in=list(found), gold_score__isnull=False).order_by("finished_at")
    for turn in met.select_related("annotator"):
        found[turn.task_id].turns.append(Turn(str(turn.annotator), turn.gold_score, turn.finished_at))
    by_kind: dict[str, list[KnownTask]] = defaultdict(list)
    for known in found.values():
        by_kind[known.task.kind].append(known)
    for kind in (Task.Kind.PRACTICE, Task.Kind.QUALIFICATION):
        by_kind[kind].sort(key=lambda known: (-known.task.priority, known.task.pk))
    return by_kind


@dataclass(frozen=True)
class GoldHealth:
    """How it goes with gold tasks, for the overview. `kept`: mean share of constraints kept; `least`: what the project wants of everybody."""

    tasks: int
    turns: int
    kept: float | None
    least: float

    @property
    def is_low(self) -> bool:
        return self.kept is not None and self.kept < self.least


def gold_health(project: Project) -> GoldHealth | None:
    """None where there are no gold tasks."""
    tasks = project.tasks.filter(kind=Task.Kind.GOLD).count()
    if not tasks:
        return None
    turns = project.assignments.filter(task__kind=Task.Kind.GOLD, gold_score__isnull=False)
    met = turns.aggregate(n=Count("pk"), kept=Avg("gold_score"))
    return GoldHealth(tasks, met["n"], met["kept"], project.gold_minimum)


# What a task's answer might be


def order_said(task: Task) -> WeakOrder | None:
    """The consensus of a task's rankings."""
    orders = _orders_of(task)
    return consensus(orders).order if orders else None


def order_decided(task: Task) -> WeakOrder | None:
    """What a reviewer decided."""
    decided = Adjudication.objects.filter(task=task, current=True).values_list("notation", flat=True).first()
    return WeakOrder.parse(decided, items=task.size) if decided else None


def as_constraints(order: WeakOrder) -> str:
    """All that an order says about pairs, in the notation of constraints: "" if nothing. The acceptability line and what is left out say nothing."""
    chain = " > ".join(" = ".join(LETTERS[item] for item in tier) for tier in order.tiers)
    below = [f"{LETTERS[order.tiers[-1][0]]} > {LETTERS[item]}" for item in order.rest] if order.tiers else []
    said = [chain] if any(mark in chain for mark in ">=") else []
    return ", ".join(said + below)


def in_letters(constraints: Iterable[Constraint]) -> list[tuple[str, str, str]]:
    """(better, sign, worse) of each, in letters: for sentences."""
    return [(LETTERS[one.better], one.sign, LETTERS[one.worse]) for one in constraints]


def _orders_of(task: Task) -> list[WeakOrder]:
    said = Ranking.objects.filter(current=True, assignment__task=task, assignment__state=Assignment.State.SUBMITTED)
    return [WeakOrder.parse(each, items=task.size) for each in said.values_list("notation", flat=True)]


def kept_by_rankings(task: Task, constraints: Constraints) -> tuple[int, int]:
    """How many of a task's rankings keep all of the constraints, and how many there are."""
    orders = _orders_of(task)
    return sum(constraints.kept(order) == 1 for order in orders), len(orders)
