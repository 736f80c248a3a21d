"""The rankings of a project as rows of a data set: what a snapshot freezes."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass

from django.db.models import Exists, OuterRef, Q, QuerySet

from labeling.datasets.pairs import PairCounts
from labeling.identity import digest_of
from labeling.models import Adjudication, Assignment, Project, Ranking, Task, TaskItem
from labeling.ranking import LETTERS, WeakOrder
from people.models import User

CHUNK = 500
State = Assignment.State
INSTEAD, BESIDE = "instead", "beside"


@dataclass(frozen=True)
class Options:
    """What goes into a snapshot besides the rankings that hold a slot of a task that is not closed for review."""

    spare: bool = False  # rankings that came after their slot had gone to another
    reviewed: bool = False  # rankings of tasks that are closed for review
    turns: bool = False  # a second file, turns.jsonl, with every skip and flag and its reason
    repeats: bool = (
        False  # what people said when they were offered a task again, to see how far they agree with themselves
    )
    gold: bool = False  # rankings of gold tasks
    adjudicated: str = ""  # what reviewers decided: INSTEAD of a task's rankings, BESIDE them, or not at all
    weights: bool = False  # each ranking weighs as its annotator is reliable, 1 on average

    def __post_init__(self) -> None:
        if self.adjudicated not in ("", INSTEAD, BESIDE):
            raise ValueError(f"adjudicated is {INSTEAD!r}, {BESIDE!r} or empty, not {self.adjudicated!r}")


@dataclass(frozen=True)
class Row:
    """A ranking, or what a reviewer decided, as it is written, and what stands behind it. One of the first two is None."""

    ranking: int | None
    adjudication: int | None
    annotator: int
    split: str
    order: WeakOrder
    row: dict


def rankings(project: Project, options: Options) -> QuerySet[Ranking]:
    """The current rankings that a snapshot with these options holds, in the order of tasks, then of ranking."""
    states = [State.SUBMITTED, State.SPARE] if options.spare else [State.SUBMITTED]
    counted = Q(assignment__aside=False)
    if options.repeats:
        counted |= Q(assignment__task__kind=Task.Kind.NORMAL)
    if options.gold:
        counted |= Q(assignment__task__kind=Task.Kind.GOLD)
    found = Ranking.objects.filter(counted, assignment__project=project, current=True, assignment__state__in=states)
    if not options.reviewed:
        found = found.exclude(assignment__task__state=Task.State.REVIEW)
    if options.adjudicated == INSTEAD:
        decided = Adjudication.objects.filter(task=OuterRef("assignment__task"), current=True)
        found = found.exclude(Exists(decided))
    return found.order_by("assignment__task", "pk")


def adjudications(project: Project, options: Options) -> QuerySet[Adjudication]:
    """The decisions of reviewers that a snapshot with these options holds."""
    if not options.adjudicated:
        return Adjudication.objects.none()
    found = Adjudication.objects.filter(task__project=project, current=True)
    if not options.reviewed:
        found = found.exclude(task__state=Task.State.REVIEW)
    return found.order_by("task", "pk")


def rows(project: Project, options: Options, weights: Mapping[int, float] | None = None) -> Iterator[Row]:
    """Letters are canonical: A is the first of `completions`. `weights`: by annotator; who is not in it weighs 1.

    Which rankings there are is asked in one statement, so they are of one moment; what they say never changes. So no annotator has to
    wait for a lock while this reads on.
    """
    # Of a task, what its reviewer decided comes last: (task, is it a decision, its key).
    chosen = [(*row, False) for row in rankings(project, options).values_list("assignment__task", "pk")]
    chosen += [(*row, True) for row in adjudications(project, options).values_list("task", "pk")]
    chosen.sort(key=lambda each: (each[0], each[2], each[1]))
    for start in range(0, len(chosen), CHUNK):
        yield from _rows([each[1:] for each in chosen[start : start + CHUNK]], weights or {})


def _rows(chosen: list[tuple[int, bool]], weights: Mapping[int, float]) -> Iterator[Row]:
    said = Ranking.objects.select_related("assignment__task__prompt", "assignment__task__batch").in_bulk(
        [pk for pk, decided in chosen if not decided]
    )
    decisions = Adjudication.objects.select_related("task__prompt", "task__batch").in_bulk(
        [pk for pk, decided in chosen if decided]
    )
    tasks = {ranking.assignment.task_id for ranking in said.values()} | {each.task_id for each in decisions.values()}
    items: dict[int, list[tuple[int, str]]] = defaultdict(list)
    found = TaskItem.objects.filter(task__in=tasks).order_by("task", "position")
    for task, completion, text in found.values_list("task_id", "completion_id", "completion__text"):
        items[task].append((completion, text))
    for pk, decided in chosen:
        if decided:
            yield _decision(decisions[pk], items[decisions[pk].task_id])
        else:
            yield _ranking(said[pk], items[said[pk].assignment.task_id], weights)


def _ranking(ranking: Ranking, items: list[tuple[int, str]], weights: Mapping[int, float]) -> Row:
    assignment, task = ranking.assignment, ranking.assignment.task
    order = WeakOrder.parse(ranking.notation, items=task.size)
    row = _common(task, order, items) | {
        "annotator": assignment.annotator_id,
        "weight": weights.get(assignment.annotator_id, 1.0),
        "ranking_id": ranking_id(ranking),
    }
    if assignment.repeat:
        row["repeat"] = assignment.repeat
    if assignment.state == State.SPARE:
        row["spare"] = True
    if task.kind == Task.Kind.GOLD:
        row["gold"] = True
    if answers := by_letter(ranking.answers, [completion for completion, _text in items]):
        row["answers"] = answers
    if ranking.comment:
        row["comment"] = ranking.comment
    return Row(ranking.pk, None, assignment.annotator_id, task.prompt.split, order, row)


def _decision(adjudication: Adjudication, items: list[tuple[int, str]]) -> Row:
    task = adjudication.task
    order = WeakOrder.parse(adjudication.notation, items=task.size)
    row = _common(task, order, items) | {
        "annotator": adjudication.by_id,
        "weight": 1.0,
        "ranking_id": adjudication_id(adjudication),
        "adjudicated": True,
    }
    if adjudication.reason:
        row["comment"] = adjudication.reason
    return Row(None, adjudication.pk, adjudication.by_id, task.prompt.split, order, row)


def _common(task: Task, order: WeakOrder, items: list[tuple[int, str]]) -> dict:
    row = {
        "task": task.pk,
        "prompt": task.prompt.content,
        "completions": [text for _completion, text in items],
        "ranking": str(order),
    }
    if order.unranked:
        row["unranked"] = [LETTERS[item] for item in order.unranked]
    if task.prompt.external_id:
        row["prompt_id"] = task.prompt.external_id
    if task.batch:
        row["batch"] = task.batch.name
    if task.chosen:
        row["chosen"] = task.chosen
    if task.prompt.meta:
        row["meta"] = task.prompt.meta
    return row


def by_letter(answers: Mapping, completions: list[int]) -> dict:
    """Answers as rows carry them: those about outputs by canonical letter instead of completion id."""
    letter = {str(completion): LETTERS[position] for position, completion in enumerate(completions)}
    outputs = {letter[key]: given for key, given in answers.get("outputs", {}).items() if key in letter}
    found = {"task": answers.get("task"), "outputs": dict(sorted(outputs.items()))}
    return {scope: given for scope, given in found.items() if given}


def ranking_id(ranking: Ranking) -> str:
    """The name of a ranking outside the database: it says nothing, and stays the same in every snapshot."""
    return digest_of(ranking.client_key)[:16]


def adjudication_id(adjudication: Adjudication) -> str:
    """Likewise of a reviewer's decision."""
    task = adjudication.task
    return digest_of(["adjudication", task.key, adjudication.revision, adjudication.created_at.isoformat()])[:16]


def turns(project: Project) -> Iterator[dict]:
    """Every skip and flag, with its reason."""
    given_up = project.assignments.filter(state__in=[State.SKIPPED, State.FLAGGED]).order_by("finished_at")
    for turn in given_up.iterator(CHUNK):
        yield {
            "task": turn.task_id,
            "annotator": turn.annotator_id,
            "what": turn.state,
            "reason": turn.reason,
            "seconds": turn.seconds,
            "at": turn.finished_at.isoformat(),
        }


class About:
    """What the manifest says about the rankings, gathered while they are written."""

    def __init__(self) -> None:
        self.tasks: dict[int, str] = {}  # and their splits
        self.annotators: Counter[int] = Counter()
        self.pairs = PairCounts()
        self.ids: list[str] = []
        self.counts: Counter[str] = Counter()
        self.batches: Counter[str] = Counter()
        self.chosen: Counter[str] = Counter()

    def add(self, row: Row) -> None:
        order = row.order
        self.tasks[row.row["task"]] = row.split
        self.annotators[row.annotator] += 1
        self.ids.append(row.row["ranking_id"])
        self.pairs.add(row.row, order, row.split)
        self.counts["with_ties"] += bool(order.tied_pairs())
        self.counts["all_tied"] += order.is_all_tied
        self.counts["partial"] += not order.is_complete
        self.counts["with_line"] += order.line is not None
        self.counts["spare"] += "spare" in row.row
        for name in ("repeat", "gold", "adjudicated", "answers"):
            if name in row.row:
                self.counts[name] += 1
        if "batch" in row.row:
            self.batches[row.row["batch"]] += 1
        if "chosen" in row.row:
            self.chosen[row.row["chosen"]] += 1

    def manifest(self, project: Project, options: Options, weights: Mapping[int, float] | None = None) -> dict:
        people = User.objects.in_bulk(self.annotators)
        flags = project.assignments.filter(state=State.FLAGGED).values_list("task_id", "reason")
        flagged: dict[int, list[str]] = defaultdict(list)
        for task, reason in flags.order_by("task_id", "finished_at"):
            flagged[task].append(reason.partition(":")[0])
        return {
            "project": {"id": project.pk, "slug": project.slug, "name": project.name},
            "options": asdict(options),
            "tasks": len(self.tasks),
            "tasks_by_split": dict(sorted(Counter(self.tasks.values()).items())),
            "annotators": {
                str(pk): {
                    "name": people[pk].username,
                    "simulated": people[pk].is_simulated,
                    "rankings": count,
                }
                | ({"weight": weights.get(pk, 1.0)} if weights is not None else {})
                for pk, count in sorted(self.annotators.items())
            },
            "rankings": dict(sorted(self.counts.items())),
            "left_out": left_out(project, options),
            "pairs": self.pairs.as_json(),
            "flagged_tasks": [{"task": task, "flags": flags} for task, flags in flagged.items()],
            "ranking_ids_sha256": digest_of(sorted(self.ids)),
            **({"batches": dict(sorted(self.batches.items()))} if self.batches else {}),
            **({"chosen": dict(sorted(self.chosen.items()))} if self.chosen else {}),
        }


def left_out(project: Project, options: Options) -> dict[str, int]:
    """How many rankings of the project a snapshot with these options does not hold, by the reason; each counts once."""
    everything = Options(spare=True, reviewed=True, repeats=True, gold=True)
    held = rankings(project, options).values("pk")
    others = rankings(project, everything).exclude(pk__in=held)
    found: Counter[str] = Counter()
    columns = ("assignment__aside", "assignment__task__kind", "assignment__task__state", "assignment__state")
    for aside, kind, task_state, state in others.values_list(*columns):
        if kind == Task.Kind.GOLD and not options.gold:
            found["gold"] += 1
        elif aside and kind == Task.Kind.NORMAL and not options.repeats:
            found["repeats"] += 1
        elif task_state == Task.State.REVIEW and not options.reviewed:
            found["of_closed_tasks"] += 1
        elif state == State.SPARE and not options.spare:
            found["spare"] += 1
        else:
            found["adjudicated"] += 1
    return {"spare": 0, "of_closed_tasks": 0, **found}
