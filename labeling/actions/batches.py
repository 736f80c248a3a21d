"""Rounds of tasks: made, renamed, paused and resumed together."""

from collections.abc import Iterable

from django.db import transaction
from django.utils.translation import gettext as _

from labeling.actions.assigning import chosen_tasks, named
from labeling.actions.ordering import put_in_order
from labeling.actions.queue import in_queue_order, one_transaction, rejoin
from labeling.models import Batch, Project
from people.errors import Refusal
from people.models import User, audit
from people.permissions import Right, check


@transaction.atomic
def create_batch(*, actor: User, project: Project, name: str) -> Batch:
    check(actor, Right.MANAGE_PROJECTS, place=project)
    batch = Batch.objects.create(project=project, name=_checked(project, name), created_by=actor)
    audit(actor, "batch.create", batch, project=project.pk, name=batch.name)
    return batch


@transaction.atomic
def rename_batch(*, actor: User, batch: Batch, name: str) -> Batch:
    check(actor, Right.MANAGE_PROJECTS, place=batch.project)
    before, batch.name = batch.name, _checked(batch.project, name, batch)
    batch.save(update_fields=["name"])
    audit(actor, "batch.rename", batch, before=before, after=batch.name)
    return batch


@one_transaction
def pause_batch(*, actor: User, batch: Batch) -> int:
    """Its tasks leave the queue; who holds one of them goes on with it. Returns how many tasks it has."""
    return _set_paused(actor, batch, True)


@one_transaction
def resume_batch(*, actor: User, batch: Batch) -> int:
    """Its tasks join the queue again. Returns how many tasks it has."""
    return _set_paused(actor, batch, False)


@one_transaction
def put_in_batch(*, actor: User, project: Project, tasks: Iterable[int], batch: Batch | None) -> int:
    """Tasks belong to this batch now, or with None to none; each belongs to one. Returns how many there are."""
    check(actor, Right.MANAGE_PROJECTS, place=project)
    if batch is not None and batch.project_id != project.pk:
        raise Refusal(_("This batch belongs to another project."))
    chosen = chosen_tasks(project, tasks)
    rejoin(project, chosen, batch=batch)
    audit(actor, "tasks.batch", project, batch=batch.name if batch else None, **named(chosen))
    return len(chosen)


def _set_paused(actor: User, batch: Batch, paused: bool) -> int:
    check(actor, Right.MANAGE_PROJECTS, place=batch.project)
    batch = Batch.objects.select_for_update(of=("self",)).select_related("project").get(pk=batch.pk)
    project, tasks = batch.project, in_queue_order(batch.project, batch.tasks.values_list("pk", flat=True))
    if batch.paused != paused:
        batch.paused = paused
        batch.save(update_fields=["paused"])
        rejoin(project, tasks)
        if not paused:
            put_in_order(project)
        audit(actor, "batch.pause" if paused else "batch.resume", batch, project=project.pk, tasks=len(tasks))
    return len(tasks)


def batch_named(project: Project, name: str, actor: User | None) -> Batch | None:
    """For verbs that bring tasks: the batch of this name, made if it is not there; None without a name."""
    name = name.strip()
    if not name:
        return None
    return Batch.objects.get_or_create(project=project, name=name, defaults={"created_by": actor})[0]


def check_length(name: str) -> None:
    """Of a batch that is found or made by its name, as in an import."""
    most = Batch._meta.get_field("name").max_length
    if len(name.strip()) > most:
        raise Refusal(_("The name of the batch is longer than %(most)s characters.") % {"most": most})


def _checked(project: Project, name: str, batch: Batch | None = None) -> str:
    name, problems = name.strip(), []
    most = Batch._meta.get_field("name").max_length
    if not name:
        problems.append(_("A batch needs a name."))
    if len(name) > most:
        problems.append(_("The name is longer than %(most)s characters.") % {"most": most})
    others = project.batches.exclude(pk=batch.pk) if batch else project.batches.all()
    if others.filter(name=name).exists():
        problems.append(_("There is already a batch “%(name)s” in this project.") % {"name": name})
    if problems:
        raise Refusal(problems)
    return name
