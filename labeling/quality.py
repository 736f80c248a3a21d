"""How good a project's labels are: from the database to every statistic. Pages, REST, exports and `manage.py quality` all ask here.

    found = Quality(project)
    found["agreement"]          # a part, as plain JSON; PARTS names them
    found.report()              # all of them

What a snapshot holds by default is judged: current rankings that hold a slot, of tasks to be ranked that are not closed for review. Repeats count for
nothing but agreement with oneself; gold tasks stand apart.

A part is worked out once and kept in a file of the data folder under a key that changes with every ranking, so it is never stale, whichever process
asks; statistics whose code has changed are worked out anew.
"""

import fcntl
import hashlib
import json
import os
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from functools import cache, cached_property
from pathlib import Path

from django.conf import settings
from django.db.models import Avg, Count, F, Max, Q, QuerySet, Sum
from django.db.models.functions import Length

from labeling import questions, statistics, task_queries
from labeling.models import Assignment, Project, Prompt, Ranking, Task, TaskItem
from labeling.ranking import WeakOrder
from labeling.statistics import agreement, bias, ceiling, compare, reliability
from labeling.statistics.judgements import Judgement, Table

PRIME = 1_000_003
SEED = 0  # of the bootstraps: the same rankings give the same intervals
MOST_SLICES = 24  # values of a slice; what has more is no slice but a name
TABLES_KEPT = 1  # in memory, for the parts that follow one another

_tables: dict[str, "Read"] = {}
_lock = threading.Lock()


def judged(project: Project) -> QuerySet[Ranking]:
    """The rankings that statistics are made of, repeats among them. What was said of a task before it became a gold one counts as in snapshots."""
    counted = Q(assignment__aside=False) | Q(assignment__repeat__gt=0, assignment__task__kind=Task.Kind.NORMAL)
    return Ranking.objects.filter(
        counted,
        assignment__project=project,
        current=True,
        assignment__state=Assignment.State.SUBMITTED,
    ).exclude(assignment__task__state=Task.State.REVIEW)


@dataclass(frozen=True)
class Read:
    """A project's rankings as the statistics take them. `sources`: by task, what wrote each output, None where that is not known."""

    table: Table
    judgements: list[Judgement]
    sources: dict[int, list[str | None]]
    slices: list[str]


class Quality:
    def __init__(self, project: Project) -> None:
        self.project = project

    @cached_property
    def key(self) -> str:
        """Changes with every ranking that comes, goes or is closed, with batches, how tasks were chosen, questions, and with the code of the statistics."""
        state = judged(self.project).aggregate(
            n=Count("pk"),
            newest=Max("pk"),
            sum=Sum("pk"),
            # Sums alone are the same when, say, one task is reopened and another closed.
            squares=Sum(F("pk") * F("pk") % PRIME),
            batches=Sum(F("assignment__task__batch") * F("assignment__task") % PRIME),
            by_score=Sum("assignment__task", filter=Q(assignment__task__chosen=Task.Chosen.SCORE)),
            at_random=Sum("assignment__task", filter=Q(assignment__task__chosen=Task.Chosen.RANDOM)),
        )
        # Those of closed tasks count for the agreement of each task alone, by which reviewers go.
        last = Ranking.objects.filter(assignment__project=self.project).aggregate(n=Count("pk"), newest=Max("pk"))
        newest = Ranking.objects.filter(pk=state["newest"]).values_list("client_key", "created_at").first()
        batches = list(self.project.batches.values_list("pk", "name"))
        said = [self.project.pk, *state.values(), *last.values(), newest, batches, self.project.questions, _code()]
        return hashlib.sha256(json.dumps(said, default=str).encode()).hexdigest()[:24]

    def __getitem__(self, part: str) -> dict:
        """A part of the report, from the file in which it is kept, or worked out."""
        path = self._folder / f"{part}-{self.key}.json"
        if (found := _kept(path)) is not None:
            return found
        with _one_at_a_time(path.with_name(f"{part}.lock")):
            if (found := _kept(path)) is not None:  # by whom we have waited for
                return found
            found = plain(PARTS[part](self))
            _keep(path, found)
        for old in self._folder.glob(f"{part}-*.json"):
            if old != path:
                old.unlink(missing_ok=True)
        return found

    def has(self, *parts: str) -> bool:
        """Are these parts there already, so that a page can show them at once?"""
        return all((self._folder / f"{part}-{self.key}.json").exists() for part in parts)

    def report(self) -> dict:
        return {part: self[part] for part in PARTS}

    @property
    def read(self) -> Read:
        with _lock:
            if self.key not in _tables:
                _tables[self.key] = _read(self.project)
                while len(_tables) > TABLES_KEPT:
                    del _tables[next(iter(_tables))]
            return _tables[self.key]

    @property
    def _folder(self) -> Path:
        return Path(settings.DATA) / "quality" / str(self.project.pk)


def weights(project: Project) -> dict[int, float]:
    """What each annotator's rankings weigh as they are reliable: their scale, 0 for who ranks against the others, 1 on average over the rankings.

    Who shares no task with anybody has no scale, and is taken for typical.
    """
    people = Quality(project)["annotators"]["people"]
    scales = {}
    for pk, each in people.items():
        scale = each["reliability"]["scale"]["value"] if each["reliability"] else None
        scales[int(pk)] = 1.0 if scale is None else max(scale, 0.0)
    counts = {int(pk): each["summary"]["rankings"] for pk, each in people.items()}
    total = sum(scales[pk] * counts[pk] for pk in scales)
    mean = total / sum(counts.values()) if total else 0.0
    return {pk: round(scale / mean, 6) for pk, scale in scales.items()} if mean else {}


def gold(project: Project) -> dict[int, dict[str, float]]:
    """By annotator: the mean share of constraints kept in gold tasks, and how many those were. Not kept: a corrected answer changes it at once."""
    turns = (
        project.assignments.filter(gold_score__isnull=False, task__kind=Task.Kind.GOLD).order_by().values("annotator")
    )
    return {row["annotator"]: row for row in turns.annotate(score=Avg("gold_score"), n=Count("pk"))}


# From the database


def _read(project: Project) -> Read:
    rows = list(
        judged(project)
        .order_by("pk")
        .values_list(
            "notation",
            "seconds",
            "answers",
            "assignment__task",
            "assignment__task__size",
            "assignment__task__prompt",
            "assignment__task__batch__name",
            "assignment__task__chosen",
            "assignment__annotator",
            "assignment__repeat",
            "assignment__display",
            "assignment__imported",
        )
    )
    tasks = {row[3] for row in rows}
    completions: dict[int, list[int]] = defaultdict(list)
    lengths: dict[int, list[int]] = defaultdict(list)
    sources: dict[int, list[str | None]] = defaultdict(list)
    items = TaskItem.objects.filter(task__project=project).order_by("task", "position")
    for task, completion, length, source, model, number in items.values_list(
        "task", "completion", Length("completion__text"), "completion__source", "completion__version__model__name",
        "completion__version__number",
    ):  # fmt: skip
        if task in tasks:
            completions[task].append(completion)
            lengths[task].append(length)
            sources[task].append(f"{model}:v{number}" if model else source or None)
    slices = _slices(project, rows, sources)
    scales = [
        each.key for each in questions.read(project.questions) if each.kind == "scale" and each.scope == "output"
    ]
    # The same few orders come again and again.
    parse = cache(lambda notation, size: WeakOrder.parse(notation, items=size))
    judgements = [
        Judgement(
            task=task,
            annotator=annotator,
            order=parse(notation, size),
            repeat=repeat,
            # An import does not say in which order its outputs were shown.
            display=() if imported else tuple(display),
            lengths=tuple(lengths[task]),
            seconds=seconds,
            answers=_answers(answers, scales, completions[task]) if answers and scales else {},
            slices=slices[task],
        )
        for notation, seconds, answers, task, size, _prompt, _batch, _chosen, annotator, repeat, display, imported in rows
    ]
    names = list(dict.fromkeys(name for slice_ in slices.values() for name in slice_))
    return Read(Table.of(judgements), judgements, dict(sources), names)


def _answers(answers: Mapping, scales: list[str], completions: list[int]) -> dict[str, list[float | None]]:
    given = [answers.get("outputs", {}).get(str(completion), {}) for completion in completions]
    found = {key: [each.get(key) for each in given] for key in scales}
    return {key: values for key, values in found.items() if any(value is not None for value in values)}


def _slices(project: Project, rows: list[tuple], sources: Mapping[int, list[str | None]]) -> dict[int, dict[str, str]]:
    """By task: in which parts of the project it lies. The round, how active order chose it, what its prompt's import said about it (a language, a
    topic), which models wrote its outputs; as far as there are several parts, and not too many."""
    metas = dict(Prompt.objects.filter(project=project).values_list("pk", "meta")) if rows else {}
    said: dict[int, dict[str, str]] = {}
    for _notation, _seconds, _answers, task, _size, prompt, batch, chosen, *_rest in rows:
        if task not in said:
            wrote = sources.get(task, [])
            named = sorted({source for source in wrote if source}) if all(wrote) else []
            own = {"round": batch, "chosen": chosen, "source": ", ".join(named)}
            meta = {
                name: str(value)
                for name, value in metas[prompt].items()
                if isinstance(value, str | int) and value != ""
            }
            said[task] = meta | {name: value for name, value in own.items() if value}
    values: dict[str, set[str]] = defaultdict(set)
    for slice_ in said.values():
        for name, value in slice_.items():
            values[name].add(value)
    kept = {name for name, found in values.items() if 2 <= len(found) <= MOST_SLICES}
    return {task: {name: value for name, value in slice_.items() if name in kept} for task, slice_ in said.items()}


# The parts


def _agreement(found: Quality) -> dict:
    read = found.read
    table = read.table
    first = [each for each in read.judgements if not each.repeat]
    per_task = Counter(each.task for each in first)
    return {
        "rankings": len(first),
        "repeats": len(read.judgements) - len(first),
        "tasks": len(per_task),
        "shared_tasks": sum(n > 1 for n in per_task.values()),
        "annotators": len({each.annotator for each in first}),
        "three_way": agreement.three_way(table, seed=SEED),
        "alpha": agreement.alpha(table, seed=SEED),
        "alpha_nominal": agreement.alpha(table, metric="nominal", seed=SEED),
        "tau_b": agreement.tau_b(table, seed=SEED),
        "tau_x": agreement.tau_x(table, seed=SEED),
        "themselves": agreement.with_themselves(table, seed=SEED).everyone,
        "ceiling": ceiling.human_ceiling(table, seed=SEED),
    }


def _annotators(found: Quality) -> dict:
    read = found.read
    others = agreement.by_annotator(read.table, seed=SEED)
    themselves = agreement.with_themselves(read.table, seed=SEED).people
    scales = reliability.reliability(read.table)
    times: dict[object, list[float]] = defaultdict(list)
    for each in read.judgements:
        if each.seconds is not None:
            times[each.annotator].append(each.seconds)
    return {
        "people": {
            person: {
                "summary": summary,
                "themselves": themselves.get(person),
                "reliability": scales.get(person),
                "seconds": _median(times[person]),
            }
            for person, summary in others.items()
        }
    }


def _by_slice(found: Quality) -> dict:
    read = found.read
    sizes = {each.order.items for each in read.judgements}
    names = [*(["K"] if len(sizes) > 1 else []), *read.slices]
    return {name: agreement.by_slice(read.table, name, seed=SEED) for name in names}


def _bias(found: Quality) -> dict:
    read = found.read
    return {
        "position": bias.position(read.table, seed=SEED),
        "length": bias.length(read.table, seed=SEED),
        "speed": bias.speed(read.table, seed=SEED),
    }


def _models(found: Quality) -> dict:
    read = found.read
    if not any(source for wrote in read.sources.values() for source in wrote):
        return {"comparison": None}
    return {"comparison": compare.models(read.table, read.sources)}


def _questions(found: Quality) -> dict:
    read = found.read
    keys = list(dict.fromkeys(key for each in read.judgements for key in each.answers))
    return {key: agreement.on_question(read.table, key, seed=SEED) for key in keys}


def _tasks(found: Quality) -> dict:
    """By task that several people ranked, how far they agree: mean τ-x."""
    return task_queries.agreements(found.project)


PARTS: dict[str, Callable[[Quality], dict]] = {
    "agreement": _agreement,
    "annotators": _annotators,
    "slices": _by_slice,
    "bias": _bias,
    "models": _models,
    "questions": _questions,
    "tasks": _tasks,
}


def plain(found: object) -> object:
    """Dataclasses, orders and keys of any kind as JSON has them."""
    if isinstance(found, WeakOrder):
        return str(found)
    if is_dataclass(found):
        return {field.name: plain(getattr(found, field.name)) for field in fields(found)}
    if isinstance(found, Mapping):
        return {str(key): plain(value) for key, value in found.items()}
    if isinstance(found, list | tuple | set):
        return [plain(each) for each in found]
    if hasattr(found, "item"):  # a number of numpy
        return found.item()
    return found


def _median(values: list[float]) -> float | None:
    middle = len(values) // 2
    values = sorted(values)
    return (values[middle] if len(values) % 2 else (values[middle - 1] + values[middle]) / 2) if values else None


# What was worked out is kept


def _kept(path: Path) -> dict | None:
    try:
        return json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None


def _keep(path: Path, found: object) -> None:
    aside = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
    aside.write_text(json.dumps(found), encoding="utf-8")
    aside.rename(path)


@contextmanager
def _one_at_a_time(lock: Path) -> Iterator[None]:
    """Several people open the page of a large project at once: one works, the others wait for what comes of it."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with open(lock, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@cache
def _code() -> str:
    """A hash of the statistics' source: what older code has worked out is not shown."""
    files = sorted(Path(statistics.__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in [*files, Path(__file__)])).hexdigest()[:16]
