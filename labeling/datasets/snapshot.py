"""The rankings of a project as rows of a data set: what a snapshot freezes."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from django.db.models import QuerySet

from labeling.datasets.pairs import PairCounts
from labeling.identity import digest_of
from labeling.models import Assignment, Project, Ranking, Task, TaskItem
from labeling.ranking import LETTERS, WeakOrder
from people.models import User

CHUNK = 500
State = Assignment.State


@dataclass(frozen=True)
class Options:
    """What goes into a snapshot besides the rankings that hold a slot of a task that is not closed for review."""

    spare: bool = False  # rankings that came after their slot had gone to another
    reviewed: bool = False  # rankings of tasks that the flags of two people have closed
    turns: bool = False  # a second file, turns.jsonl, with every skip and flag and its reason


@dataclass(frozen=True)
class Row:
    """A ranking as it is written, and what stands behind it."""

    ranking: int
    annotator: int
    split: str
    order: WeakOrder
    row: dict


def rankings(project: Project, options: Options) -> QuerySet[Ranking]:
    """The current rankings that a snapshot with these options holds, in the order of tasks, then of ranking."""
    states = [State.SUBMITTED, State.SPARE] if options.spare else [State.SUBMITTED]
    found = Ranking.objects.filter(assignment__project=project, current=True, assignment__state__in=states)
    if not options.reviewed:
        found = found.exclude(assignment__task__state=Task.State.REVIEW)
    return found.order_by("assignment__task", "pk")


def rows(project: Project, options: Options) -> Iterator[Row]:
    """Letters are canonical: A is the first of `completions`.

    Which rankings there are is asked in one statement, so they are of one moment; what they say never changes. So no annotator has to
    wait for a lock while this reads on.
    """
    chosen = list(rankings(project, options).values_list("pk", flat=True))
    for start in range(0, len(chosen), CHUNK):
        yield from _rows(chosen[start : start + CHUNK])


def _rows(chosen: list[int]) -> Iterator[Row]:
    found = Ranking.objects.select_related("assignment__task__prompt").in_bulk(chosen)
    texts: dict[int, list[str]] = defaultdict(list)
    items = TaskItem.objects.filter(task__in={ranking.assignment.task_id for ranking in found.values()})
    for task, text in items.order_by("task", "position").values_list("task_id", "completion__text"):
        texts[task].append(text)
    for ranking in (found[pk] for pk in chosen):
        assignment, task = ranking.assignment, ranking.assignment.task
        order = WeakOrder.parse(ranking.notation, items=task.size)
        row = {
            "task": task.pk,
            "prompt": task.prompt.content,
            "completions": texts[task.pk],
            "ranking": ranking.notation,
            "annotator": assignment.annotator_id,
            "weight": 1.0,
            "ranking_id": ranking_id(ranking),
        }
        if order.unranked:
            row["unranked"] = [LETTERS[item] for item in order.unranked]
        if task.prompt.external_id:
            row["prompt_id"] = task.prompt.external_id
        if assignment.repeat:
            row["repeat"] = assignment.repeat
        if assignment.state == State.SPARE:
            row["spare"] = True
        yield Row(ranking.pk, assignment.annotator_id, task.prompt.split, order, row)


def ranking_id(ranking: Ranking) -> str:
    """The name of a ranking outside the database: it says nothing, and stays the same in every snapshot."""
    return digest_of(ranking.client_key)[:16]


def turns(project: Project) -> Iterator[dict]:
    """Every skip and flag, with its reason."""
    given_up = project.assignments.filter(state__in=[State.SKIPPED, State.FLAGGED]).order_by("finished_at")
    for turn in given_up.iterator(CHUNK):
        yield {
            "task": turn.task_id,
            "annotator": turn.annotator_id,
            "what": turn.state,
            "reason": turn.reason,
            "at": turn.finished_at.isoformat(),
        }


class About:
    """What the manifest says about the rankings, gathered while they are written."""

    def __init__(self) -> None:
        self.tasks: set[int] = set()
        self.annotators: Counter[int] = Counter()
        self.pairs = PairCounts()
        self.ids: list[str] = []
        self.counts: Counter[str] = Counter()

    def add(self, row: Row) -> None:
        order = row.order
        self.tasks.add(row.row["task"])
        self.annotators[row.annotator] += 1
        self.ids.append(row.row["ranking_id"])
        self.pairs.add(row.row, order, row.split)
        self.counts["with_ties"] += bool(order.tied_pairs())
        self.counts["all_tied"] += order.is_all_tied
        self.counts["partial"] += not order.is_complete
        self.counts["with_line"] += order.line is not None
        self.counts["spare"] += "spare" in row.row

    def manifest(self, project: Project, options: Options) -> dict:
        people = User.objects.in_bulk(self.annotators)
        left_out = {
            "spare": 0 if options.spare else project.assignments.filter(state=State.SPARE).count(),
            "of_closed_tasks": 0
            if options.reviewed
            else rankings(project, Options(spare=options.spare, reviewed=True))
            .filter(assignment__task__state=Task.State.REVIEW)
            .count(),
        }
        flags = project.assignments.filter(state=State.FLAGGED).values_list("task_id", "reason")
        flagged: dict[int, list[str]] = defaultdict(list)
        for task, reason in flags.order_by("task_id", "finished_at"):
            flagged[task].append(reason.partition(":")[0])
        return {
            "project": {"id": project.pk, "slug": project.slug, "name": project.name},
            "options": asdict(options),
            "tasks": len(self.tasks),
            "annotators": {
                str(pk): {
                    "name": people[pk].username,
                    "simulated": people[pk].is_simulated,
                    "rankings": count,
                }
                for pk, count in sorted(self.annotators.items())
            },
            "rankings": dict(sorted(self.counts.items())),
            "left_out": left_out,
            "pairs": self.pairs.as_json(),
            "flagged_tasks": [{"task": task, "flags": flags} for task, flags in flagged.items()],
            "ranking_ids_sha256": digest_of(sorted(self.ids)),
        }
