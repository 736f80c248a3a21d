"""Rounds of tasks: made, renamed, paused and resumed together."""

from django.db import transaction
from django.utils.translation import gettext as _

from labeling.actions.many import Changed, tidy
from labeling.actions.ordering import have_put_in_order
from labeling.actions.queue import one_transaction
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


def pause_batch(*, actor: User, batch: Batch) -> Changed:
    """Its tasks leave the queue; who holds one of them goes on with it. Says how many tasks it has."""
    return _set_paused(actor=actor, batch=batch, paused=True)


def resume_batch(*, actor: User, batch: Batch) -> Changed:
    """Its tasks join the queue again. Says how many tasks it has."""
    changed = _set_paused(actor=actor, batch=batch, paused=False)
    if not changed.jobs:
        have_put_in_order(batch.project, actor)
    return changed


@one_transaction
def _set_paused(*, actor: User, batch: Batch, paused: bool) -> Changed:
    check(actor, Right.MANAGE_PROJECTS, place=batch.project)
    batch = Batch.objects.select_for_update(of=("self",)).select_related("project").get(pk=batch.pk)
    count, job = batch.tasks.count(), None
    if batch.paused != paused:
        batch.paused = paused
        batch.save(update_fields=["paused"])
        _moved, job = tidy(batch.project, "batch", actor=actor, batch=batch.pk)
        audit(
            actor, "batch.pause" if paused else "batch.resume", batch, project=batch.project_id, tasks=count,
            **({"job": str(job.pk)} if job else {}),
        )  # fmt: skip
    return Changed(count, (job,) if job else ())


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
