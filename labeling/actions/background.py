"""Work that takes longer than a page may: imports, sampling and large data sets, begun as jobs."""

from dataclasses import asdict
from typing import TYPE_CHECKING

from django.db import transaction
from django.utils.translation import gettext as _

from jobs.actions import enqueue
from jobs.models import Job
from labeling.actions.batches import check_length
from labeling.actions.datasets import check_name
from labeling.models import Project
from labeling.queries import subject_of
from labeling.uploads import Upload
from people.errors import Refusal
from people.models import User
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
