"""Questions about the tasks of a project: which ones fit a filter, in which order, how far their rankings agree, one with its outputs."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import lru_cache

from django.contrib.auth.models import Group
from django.db.models import Exists, F, OuterRef, Prefetch, Q, QuerySet
from django.utils.translation import gettext as _

from labeling import lanes, questions
from labeling.models import Assignment, Completion, Project, Ranking, Task, TaskItem
from labeling.ranking import LETTERS, WeakOrder
from labeling.statistics import contested
from people.models import Role, User
from people.searching import json_holds


@dataclass(frozen=True)
class Fits:
    """Which tasks are meant: what the filters of the list say, or a program; "" means any. `owner` is a lane without its mark, or "all"."""

    search: str = ""
    state: str = ""  # a Task.State, "ranked" or "unranked"
    split: str = ""
    batch: str = ""  # its id, or "none"
    kind: str = ""
    priority: str = ""
    owner: str = ""
    sensitive: str = ""  # "yes" or "no"
    contested: str = ""  # "yes": went on to more people because its rankings disagree

    @classmethod
    def of(cls, said: Mapping[str, str]) -> "Fits":
        return cls(**{field.name: str(said.get(field.name, "")).strip() for field in fields(cls)})

    @property
    def everything(self) -> bool:
        return self == Fits()


def with_outputs(tasks: QuerySet[Task], *beside: str) -> QuerySet[Task]:
    """With prompts, and with items and their completions (and what is named `beside` those), in two queries for many tasks.

    Joined: to prefetch completions by themselves, Django 5.2 compares their keys one by one on SQLite, which takes 1,000 of them and no more.
    """
    items = TaskItem.objects.select_related("completion", *beside)
    return tasks.select_related("prompt").prefetch_related(Prefetch("items", items))


def tasks_of(project: Project, fits: Fits) -> QuerySet[Task]:
    """The project's tasks in the order they were made. A filter that makes no sense fits nothing."""
    found = project.tasks.order_by("pk")
    if fits.state == "ranked":
        found = found.filter(submitted__gt=0)
    elif fits.state == "unranked":
        found = found.filter(submitted=0)
    elif fits.state:
        found = found.filter(state=fits.state)
    if fits.split:
        found = found.filter(prompt__split=fits.split)
    if fits.batch:
        found = found.filter(batch=None) if fits.batch == "none" else _equal(found, "batch", fits.batch)
    if fits.kind:
        found = found.filter(kind=fits.kind)
    if fits.priority:
        found = _equal(found, "priority", fits.priority)
    if fits.owner:
        owner = "" if fits.owner == "all" else fits.owner
        found = found.filter(lane__in=[owner, owner + lanes.SENSITIVE])
    if fits.sensitive:
        found = found.filter(sensitive=fits.sensitive == "yes")
    if fits.contested:
        found = found.filter(extra__gt=0)
    return _with_words(found, fits.search) if fits.search else found


def _equal(found: QuerySet[Task], name: str, value: str) -> QuerySet[Task]:
    return found.filter(**{name: int(value)}) if re.fullmatch(r"-?[0-9]{1,18}", value) else found.none()


def _with_words(found: QuerySet[Task], search: str) -> QuerySet[Task]:
    """In prompts and outputs, or the id of the prompt."""
    items = TaskItem.objects.filter(task=OuterRef("pk"), completion__text__icontains=search)
    return found.filter(json_holds("prompt__content", search) | Q(prompt__external_id=search) | Exists(items))


SORTS = {
    "made": ["pk"],
    "queue": [F("position").asc(nulls_last=True), "pk"],
    "score": [F("score").desc(nulls_last=True), "pk"],
    "priority": ["-priority", F("position").asc(nulls_last=True), "pk"],
    "rankings": ["-submitted", "pk"],
}


def in_order(
    project: Project, found: QuerySet[Task], sort: str, agreed: Mapping[int, float] | None = None
) -> "QuerySet[Task] | InOrder":
    """Tasks in an order that people choose. By agreement: those that disagree most first, those in which nobody can disagree last; `agreed` says how
    far each task's rankings agree."""
    if sort != "agreement" or agreed is None:
        return found.order_by(*SORTS.get(sort, SORTS["made"]))
    ids = list(found.order_by("pk").values_list("pk", flat=True))
    return InOrder(project, sorted(ids, key=lambda pk: (pk not in agreed, agreed.get(pk, 0.0))))


class InOrder:
    """Ids in an order that no database knows, for a paginator: the tasks themselves are fetched page by page."""

    def __init__(self, project: Project, ids: list[int]) -> None:
        self.project, self.ids = project, ids

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, part: slice) -> list[Task]:
        wanted = self.ids[part]
        tasks = self.project.tasks.select_related("prompt", "batch").in_bulk(wanted)
        return [tasks[pk] for pk in wanted if pk in tasks]


def agreements(project: Project, tasks: Iterable[int] | None = None) -> dict[int, float]:
    """How far the rankings of each task agree (mean pairwise tau-x of those that count), where two or more speak of the same outputs."""
    said = Ranking.objects.filter(
        current=True, assignment__project=project, assignment__slot__isnull=False, assignment__repeat=0
    )
    said = said.filter(assignment__state=Assignment.State.SUBMITTED).order_by()
    if tasks is not None:
        said = said.filter(assignment__task__in=list(tasks))
    of_task: dict[tuple[int, int], list[str]] = defaultdict(list)
    for task, size, notation in said.values_list("assignment__task", "assignment__task__size", "notation"):
        of_task[task, size].append(notation)
    known = {
        task: _agreement(size, tuple(sorted(all_of))) for (task, size), all_of in of_task.items() if len(all_of) > 1
    }
    return {task: agreement for task, agreement in known.items() if agreement is not None}


@lru_cache(maxsize=4096)
def _agreement(size: int, notations: tuple[str, ...]) -> float | None:
    return contested.agreement_of([WeakOrder.parse(notation, items=size) for notation in notations])


# Whose a task is


def who_takes_part(project: Project) -> QuerySet[User]:
    """Those to whom tasks can be given."""
    found = User.objects.filter(is_active=True).order_by("username")
    if project.open_to_all:
        return found
    members = project.memberships.filter(user=OuterRef("pk"))
    return found.filter(Q(role=Role.ADMIN) | Q(is_superuser=True) | Exists(members))


def owners(project: Project) -> dict[str, str]:
    """The people and groups that have tasks of their own, by lane without mark: who it is in words."""
    return {owner: name_of_owner(owner) for owner in sorted({lanes.owner_of(lane) for lane in project.lanes} - {""})}


def name_of_owner(owner: str) -> str:
    found = lanes.whose(owner)
    if found is None:
        return _("somebody who is gone")
    return _("group %(name)s") % {"name": found.name} if isinstance(found, Group) else str(found)


@dataclass(frozen=True)
class Stranded:
    """Tasks that wait for somebody who cannot take them, until that changes or they are given to others."""

    owner: str  # a lane without its mark
    name: str
    tasks: int
    declined: bool  # there are people, but none of them takes sensitive tasks, which these are

    @property
    def is_group(self) -> bool:
        return self.owner.startswith("g")


def stranded(project: Project) -> list[Stranded]:
    """Nothing is looked up where all tasks are everybody's."""
    owned = [lane for lane in project.lanes if lanes.owner_of(lane)]
    if not owned:
        return []
    people = who_takes_part(project)
    there = _owners_among(people, owned)
    declining = project.desks.filter(annotator=OuterRef("pk"), takes_sensitive=False)
    willing = _owners_among(people.exclude(Exists(declining)), [lane for lane in owned if lanes.is_sensitive(lane)])
    found: dict[tuple[str, bool], int] = {}
    for lane in owned:
        owner = lanes.owner_of(lane)
        declined = owner in there and lanes.is_sensitive(lane) and owner not in willing
        if declined or owner not in there:
            waiting = project.tasks.filter(lane=lane, state__in=[Task.State.OPEN, Task.State.HELD], free_slots__gt=0)
            found[owner, declined] = found.get((owner, declined), 0) + waiting.count()
    return [
        Stranded(owner, name_of_owner(owner), count, declined) for (owner, declined), count in found.items() if count
    ]


def _owners_among(people: QuerySet[User], owned: Iterable[str]) -> set[str]:
    """Those owners of lanes who are among the people, or whose group has one of them: in two questions, however many lanes there are."""
    owners = {lanes.owner_of(lane) for lane in owned}
    keys = {kind: [owner[1:] for owner in owners if owner[0] == kind] for kind in "ug"}
    persons = people.order_by().filter(pk__in=keys["u"]).values_list("pk", flat=True)
    groups = people.order_by().filter(groups__in=keys["g"]).values_list("groups", flat=True).distinct()
    return {f"u{pk}" for pk in persons} | {f"g{pk}" for pk in groups}


# One task


@dataclass(frozen=True)
class TaskOutput:
    """An output of a task with its canonical letter and who wrote it. Never for the board."""

    letter: str
    completion: Completion
    duplicate_of: str | None  # the letter of the first output with the same text


def outputs_of(task: Task) -> list[TaskOutput]:
    items = task.items.select_related("completion__version__model")
    return [
        TaskOutput(
            LETTERS[item.position],
            item.completion,
            None if item.duplicate_of is None else LETTERS[item.duplicate_of],
        )
        for item in items
    ]


def answers_said(ranking: Ranking, outputs: list[TaskOutput]) -> list[tuple[str, str, str]]:
    """(letter of the output or "", question, answer) of all that a ranking answers."""
    asked = questions.read(ranking.assignment.project.questions)
    answers = questions.to_letters(ranking.answers, [output.completion.pk for output in outputs])
    about = [("", answers.get("task", {})), *answers.get("outputs", {}).items()]
    return [(letter, *said) for letter, values in about for said in questions.in_words(asked, values)]
