"""Prompts, completions and tasks, made in bulk: for imports and for sampling. What is there already is found, not made again."""

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from django.db import transaction

from labeling.actions.queue import know_more, mix, queue_places
from labeling.constraints import Constraints
from labeling.identity import digest_of, in_random_share, split_of
from labeling.models import Batch, Completion, GoldAnswer, Project, Prompt, Task, TaskItem
from labeling.ranking import MAX_ITEMS
from people.models import User


@dataclass(frozen=True)
class Known:
    """What is known about a new task's outputs, in the letters in which its row names them: it becomes a task of this kind (Task.Kind)."""

    kind: str
    constraints: Constraints
    explanation: str = ""
    set_by: User | None = None


@dataclass(frozen=True)
class Place:
    """Who gets a new task, and when. `overlap` None: as the project has it; `lane` as labeling.lanes.lane_of gives it."""

    priority: int = 0
    score: float | None = None
    overlap: int | None = None
    lane: str = ""
    sensitive: bool = False
    batch: Batch | None = None
    known: Known | None = None


ANYWHERE = Place()


@dataclass
class NewTask:
    """A prompt and the outputs to be ranked, each (text, source). Without outputs it is a prompt alone."""

    prompt: str | list
    completions: Sequence[tuple[str, str]] = ()
    external_id: str = ""
    split: str | None = None
    place: Place = ANYWHERE
    meta: dict = field(default_factory=dict)


@dataclass
class Added:
    """What became of a NewTask. `completions` stand in the order in which the NewTask named them."""

    prompt: Prompt
    new_prompt: bool
    completions: list[Completion]
    task: Task | None = None
    new_task: bool = False


@transaction.atomic
def add_tasks(project: Project, rows: Sequence[NewTask]) -> list[Added]:
    """Find or make what `rows` name, in one short transaction: call it with some hundred rows at a time."""
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)  # one at a time: completions are matched by hand
    added = _prompts(project, rows)
    _completions(added, rows)
    with_outputs = [(one, row.place) for one, row in zip(added, rows, strict=True) if one.completions]
    made = make_tasks(
        project, [(one.prompt, one.completions) for one, _ in with_outputs], [place for _, place in with_outputs]
    )
    for (one, _), (task, new) in zip(with_outputs, made, strict=True):
        one.task, one.new_task = task, new
    return added


def _prompts(project: Project, rows: Sequence[NewTask]) -> list[Added]:
    digests = [digest_of(row.prompt) for row in rows]
    known = {p.digest: p for p in project.prompts.filter(digest__in=digests)}
    new: dict[str, Prompt] = {}
    for digest, row in zip(digests, rows, strict=True):
        if digest not in known and digest not in new:
            split = row.split or split_of(digest, project.heldout_percent)
            new[digest] = Prompt(
                project=project,
                content=row.prompt,
                digest=digest,
                split=split,
                external_id=row.external_id,
                meta=row.meta,
            )
    Prompt.objects.bulk_create(new.values())
    added, seen = [], set(known)
    for digest in digests:
        added.append(Added(known.get(digest) or new[digest], digest not in seen, []))
        seen.add(digest)
    return added


def _completions(added: Sequence[Added], rows: Sequence[NewTask]) -> None:
    """Fill in each row's completions. The nth time that a row has a text by a source is the nth such completion of the prompt."""
    known: dict[tuple[int, str, str], list[Completion]] = defaultdict(list)
    prompts = {one.prompt.pk for one, row in zip(added, rows, strict=True) if row.completions}
    for completion in Completion.objects.filter(prompt__in=prompts, version=None).order_by("pk"):
        known[completion.prompt_id, completion.digest, completion.source].append(completion)
    new = []
    for one, row in zip(added, rows, strict=True):
        used: dict[tuple[int, str, str], int] = defaultdict(int)
        for text, source in row.completions:
            key = one.prompt.pk, digest_of(text), source
            if used[key] == len(known[key]):
                known[key].append(Completion(prompt=one.prompt, text=text, digest=key[1], source=source))
                new.append(known[key][-1])
            one.completions.append(known[key][used[key]])
            used[key] += 1
    Completion.objects.bulk_create(new)


def make_tasks(
    project: Project,
    outputs: Sequence[tuple[Prompt, Sequence[Completion]]],
    places: Sequence[Place] | None = None,
) -> list[tuple[Task, bool]]:
    """A task for each prompt and 2..9 of its completions, in this order; (task, is it new). Call it inside a transaction.

    The same completions in another order are the same task. `places` are those of new tasks; what is there already stays where it is.
    """
    keys = [task_key(prompt.digest, map(identity_of, completions)) for prompt, completions in outputs]
    tasks = {task.key: task for task in project.tasks.filter(key__in=keys)}
    new: dict[str, Task] = {}
    items, answers = [], []
    for number, (key, (prompt, completions)) in enumerate(zip(keys, outputs, strict=True)):
        if key in tasks or key in new:
            continue
        if not 2 <= len(completions) <= MAX_ITEMS:
            raise ValueError(f"a task has 2 to {MAX_ITEMS} outputs, not {len(completions)}")
        place = places[number] if places else ANYWHERE
        new[key] = task = _task(project, prompt, key, len(completions), place)
        if place.known is not None:
            known = place.known
            answers.append(
                GoldAnswer(
                    task=task, constraints=str(known.constraints), explanation=known.explanation, set_by=known.set_by
                )
            )
        first: dict[str, int] = {}
        for position, completion in enumerate(completions):
            same = first.setdefault(completion.text.strip(), position)
            duplicate_of = same if same < position else None
            items.append(TaskItem(task=task, completion=completion, position=position, duplicate_of=duplicate_of))
    if new:
        _join(project, list(new.values()))
        Task.objects.bulk_create(new.values())
        TaskItem.objects.bulk_create(items)
        GoldAnswer.objects.bulk_create(answers)
    result, seen = [], set(tasks)
    for key in keys:
        result.append((tasks.get(key) or new[key], key not in seen))
        seen.add(key)
    return result


def _task(project: Project, prompt: Prompt, key: str, size: int, place: Place) -> Task:
    """A new task. One with a known answer stands in no queue and wants no rankings: it has no slots."""
    known = place.known
    overlap = 0 if known else place.overlap or project.overlap
    paused = place.batch is not None and place.batch.paused
    return Task(
        project=project,
        prompt=prompt,
        key=key,
        size=size,
        overlap=overlap,
        free_slots=overlap,
        priority=place.priority,
        score=place.score,
        lane=place.lane,
        sensitive=place.sensitive,
        batch=place.batch,
        kind=known.kind if known else Task.Kind.NORMAL,
        state=Task.State.HELD if paused else Task.State.OPEN,
    )


def _join(project: Project, tasks: Sequence[Task]) -> None:
    """New tasks join the queue, in the order of their scores where the project goes by those."""
    start = queue_places(project.pk, len(tasks))
    waiting = [task for task in tasks if task.state == Task.State.OPEN and task.free_slots]
    if project.active_order:
        share = project.random_percent
        ordered = mix([(task, task.score, in_random_share(task.key, share)) for task in waiting], random.Random())
    else:
        ordered = [(task, "") for task in waiting]
    for position, (task, chosen) in enumerate(ordered, start):
        task.position, task.chosen = position, chosen
    know_more(project, tasks)


def identity_of(completion: Completion) -> str:
    """Who wrote what: the same text by another model is another output."""
    return f"{completion.version_id or ''}/{completion.source}/{completion.digest}"


def task_key(prompt_digest: str, identities: Iterable[str]) -> str:
    """The identity of a task in its project. The same outputs in another order are the same task."""
    return digest_of([prompt_digest, *sorted(identities)])
