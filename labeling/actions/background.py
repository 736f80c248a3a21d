"""Work that takes longer than a page may: imports, sampling, large data sets, what a reward model says, begun as jobs."""

import secrets
from dataclasses import asdict
from typing import TYPE_CHECKING

from django.db import transaction
from django.utils.translation import gettext as _

from jobs.actions import enqueue
from jobs.models import Job
from jobs.queries import under_way
from labeling import scoring
from labeling.actions.batches import check_length
from labeling.actions.datasets import check_name
from labeling.models import Project
from labeling.queries import subject_of
from labeling.uploads import Upload
from models_registry.models import Version
from models_registry.scoring import check_scores
from people.errors import Refusal
from people.models import User, audit
from people.permissions import Right, check

if TYPE_CHECKING:
    from labeling.datasets.files import Reading
    from labeling.sampling import Plan


@transaction.atomic
def start_import(*, actor: User, project: Project, upload: Upload, skip_bad: bool = False, batch: str = "") -> Job:
    """Import an uploaded file (labeling.uploads) into a project; the upload is removed when it has been taken in. `batch`: see import_prompts."""
    check(actor, Right.MANAGE_PROJECTS, place=project)
    check_length(batch)
    arguments = {"project": project.pk, "upload": upload.id, "skip_bad": skip_bad, "batch": batch}
    return enqueue(actor=actor, what="import", arguments=arguments, subject=subject_of(project))


@transaction.atomic
def start_sampling(*, actor: User, project: Project, plan: "Plan", batch: str = "") -> Job:
    """Sample outputs for every prompt of a project; the new tasks belong to the `batch` of this name.

    Models are the site's, and so is the right to let them write.
    """
    check(actor, Right.SAMPLE_MODELS)
    problems = plan.problems()
    if not project.prompts.exists():
        problems.append(_("This project has no prompts yet; import some first."))
    if problems:
        raise Refusal(problems)
    check_length(batch)
    arguments = {"project": project.pk, "plan": asdict(plan), "batch": batch}
    return enqueue(actor=actor, what="sample", arguments=arguments, subject=subject_of(project))


@transaction.atomic
def start_upload(*, actor: User, name: str, upload: Upload, reading: "Reading", skip_bad: bool = False) -> Job:
    """Store an upload, one or several files, as a data set; it is removed when it has been taken in."""
    check(actor, Right.UPLOAD_DATA)
    check_name(name)
    if problems := reading.problems():
        raise Refusal(problems)
    arguments = {"name": name, "upload": upload.id, "reading": asdict(reading), "skip_bad": skip_bad}
    return enqueue(actor=actor, what="dataset", arguments=arguments, subject="labeling.dataset")


def start_scoring_file(*, actor: User, version: Version, upload: Upload) -> Job:
    """Let a reward model score the rows of an upload (labeling.scoring.read); it is removed then, and the result is an upload of the same person."""
    check(actor, Right.TRY_MODELS)
    check_scores(version)
    # All that is wrong with it is said at once. Outside any transaction: to read it may take seconds, in which nobody could submit a ranking.
    scoring.read(upload.path, upload.name)
    arguments = {"version": version.pk, "upload": upload.id}
    return enqueue(
        actor=actor, what="score-file", arguments=arguments, subject=f"models_registry.version:{version.pk}"
    )


@transaction.atomic
def start_scoring_tasks(*, actor: User, project: Project, version: Version, seed: int | None = None) -> Job:
    """Let a reward model score the tasks that wait, by how uncertain it is (labeling.scoring.uncertainty), and put the queue in their order.

    Models are the site's, and so is the right to ask them. `seed`: as in set_scores.
    """
    check(actor, Right.MANAGE_PROJECTS, place=project)
    check(actor, Right.TRY_MODELS)
    check_scores(version)
    waiting = project.tasks.filter(position__isnull=False).count()
    if not waiting:
        raise Refusal(_("No task of this project waits for rankings, so there is nothing to score."))
    seed = secrets.randbits(32) if seed is None else seed
    arguments = {"project": project.pk, "version": version.pk, "seed": seed}
    job = enqueue(actor=actor, what="score-tasks", arguments=arguments, subject=subject_of(project))
    told = {"model": str(version), "version": version.pk, "seed": seed, "random": project.random_percent}
    audit(actor, "tasks.score_by_model", project, waiting=waiting, job=str(job.pk), **told)
    return job


@transaction.atomic
def start_asking_opinion(*, actor: User, project: Project, version: Version) -> Job:
    """Let a reward model say which rankings of a project it finds unlikely (labeling.opinions), for review."""
    check(actor, Right.REVIEW, place=project)
    check(actor, Right.TRY_MODELS)
    check_scores(version)
    if not project.tasks.filter(submitted__gt=0).exists():
        raise Refusal(_("Nobody has ranked anything in this project yet, so there is nothing to compare."))
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)  # of two who ask at once, the second is told
    if under_way(subject_of(project)).filter(what="ask-opinion", arguments__version=version.pk).exists():
        raise Refusal(
            _("%(model)s is being asked already; wait until that has ended.") % {"model": version}, status=409
        )
    arguments = {"project": project.pk, "version": version.pk}
    job = enqueue(actor=actor, what="ask-opinion", arguments=arguments, subject=subject_of(project))
    told = {"model": str(version), "version": version.pk, "job": str(job.pk)}
    audit(actor, "project.ask_opinion", project, **told)
    return job
