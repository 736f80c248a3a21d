"""What labeling adds to the pages of the floor below: why a version must stay, what can be done with the playground's outputs, and scores for files."""

from collections.abc import Iterator
from datetime import timedelta

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from jobs.models import Job
from labeling import places, uploads
from labeling.forms.filling import ImportForm
from labeling.models import Completion, Project
from models_registry import hooks
from models_registry.models import Version
from people.models import User
from people.permissions import ANYWHERE, Right, can

EXAMPLE = '{"prompt": "What is the capital of France?", "completions": ["Paris.", "Lyon."]}\n'


@hooks.version_need
def outputs_of(version: Version) -> Iterator[str]:
    if count := Completion.objects.filter(version=version).count():
        said = ngettext(
            "%(count)d output in a project was written by it.",
            "%(count)d outputs in projects were written by it.",
            count,
        )
        yield said % {"count": count}


@hooks.scoring_way
def score_file(version: Version, user: User) -> Iterator[hooks.Section]:
    mine = Job.objects.filter(subject=f"models_registry.version:{version.pk}", what="score-file", created_by=user)
    recent = mine.filter(created_at__gte=timezone.now() - timedelta(seconds=uploads.KEPT_FOR))
    yield hooks.Section(
        _("Score a file"),
        "labeling/parts/score_file.html",
        {"form": ImportForm(), "version": version, "example": EXAMPLE, "jobs": recent[:5]},
    )


@hooks.playground_way
def rank_outputs(user: User) -> Iterator[hooks.Section]:
    projects = places.projects_with(user, Right.MANAGE_PROJECTS).exclude(state=Project.State.ARCHIVED).order_by("name")
    if can(user, Right.MANAGE_PROJECTS, ANYWHERE):
        yield hooks.Section(
            _("Send these outputs to be ranked in"), "labeling/parts/rank_outputs.html", {"projects": projects}
        )
