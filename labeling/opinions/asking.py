"""Asking a reward model about every task that people have ranked, and keeping how unlikely it finds what they said."""

from collections import defaultdict
from collections.abc import Iterator
from itertools import islice

from django.db import transaction
from django.db.models import Exists, OuterRef

from labeling.datasets.store import rows_of
from labeling.identity import digest_of
from labeling.models import Adjudication, Project, Task
from labeling.opinions.models import Disagreement, Opinion
from labeling.quality import judged
from labeling.queries import labels_behind
from labeling.ranking import WeakOrder
from labeling.scoring import Progress, Row
from labeling.scoring import judged as scores_of
from labeling.statistics.against import against
from labeling.statistics.consensus import of_many
from labeling.task_queries import with_outputs
from models_registry.models import Version
from people.models import User

AT_ONCE = 500  # rows of one transaction: people submit meanwhile


def orders_of(project: Project) -> dict[int, WeakOrder]:
    """What people say of each task that somebody has ranked and no reviewer decided: their consensus, be it of one."""
    said: dict[int, list[WeakOrder]] = defaultdict(list)
    decided = Adjudication.objects.filter(task=OuterRef("assignment__task"), current=True)
    first = judged(project).filter(~Exists(decided), assignment__repeat=0, assignment__task__kind=Task.Kind.NORMAL)
    first = first.order_by("assignment__task", "pk")
    for task, notation, size in first.values_list("assignment__task", "notation", "assignment__task__size"):
        said[task].append(WeakOrder.parse(notation, items=size))
    agreed = of_many((orders, None) for orders in said.values())
    return {task: each.order for task, each in zip(said, agreed, strict=True) if each.order is not None}


def ask(version: Version, project: Project, actor: User | None, progress: Progress) -> Opinion:
    """What the model says against people; takes the place of what was found before when it is complete."""
    orders = orders_of(project)
    asked: list[tuple[int, str]] = []  # task, and its prompt's digest

    def tasks() -> Iterator[Row]:
        found = with_outputs(project.tasks.filter(submitted__gt=0).order_by("pk"))
        for task in found.iterator(chunk_size=500):
            if task.pk in orders:
                asked.append((task.pk, digest_of(task.prompt.content)))
                yield task.prompt.content, [item.completion.text for item in task.items.all()]

    rows = []
    for said, std in scores_of(version, tasks()):
        scores = [[std * head for head in each.by_head or (each.score,)] for each in said]
        rows.append((orders[asked[len(rows)][0]], scores))
        progress(len(rows), len(orders))
    learned = prompts_behind(version)
    opinion = Opinion.objects.create(project=project, version=version, created_by=actor)
    found = (
        Disagreement(
            opinion=opinion,
            task_id=task,
            people=str(order),
            model=str(one.order),
            surprise=one.surprise,
            opposite=one.opposite,
            strict=one.strict,
            learned=None if learned is None else prompt in learned,
        )
        for (task, prompt), (order, _scores), one in zip(asked, rows, against(rows), strict=True)
        if one is not None
    )
    while part := list(islice(found, AT_ONCE)):
        Disagreement.objects.bulk_create(part)
    with transaction.atomic():
        Project.objects.select_for_update(no_key=True).get(
            pk=project.pk
        )  # one at a time; an update alone locks what it finds
        project.opinions.filter(version=version).exclude(pk=opinion.pk).update(current=False)
        Opinion.objects.filter(pk=opinion.pk).update(current=True)
    forget(before=opinion)
    opinion.refresh_from_db()
    return opinion


def forget(before: Opinion) -> None:
    """What was found before, and what a job that broke off left. Not what is just being found by another one."""
    old = Opinion.objects.filter(project=before.project, version=before.version, pk__lt=before.pk)
    while keys := list(Disagreement.objects.filter(opinion__in=old).values_list("pk", flat=True)[:AT_ONCE]):
        Disagreement.objects.filter(pk__in=keys).delete()
    old.delete()


def prompts_behind(version: Version) -> frozenset[str] | None:
    """Digests of the prompts whose rankings the model learned from, also through its base; None where it was made elsewhere."""
    datasets = labels_behind(version)
    if not datasets:
        return None
    return frozenset(digest_of(row["prompt"]) for each in datasets for row in rows_of(each.folder, "train"))
