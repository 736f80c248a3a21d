"""What labeling adds to the pages of the floor below: why a version must stay, and what can be done with the playground's outputs."""

from collections.abc import Iterator

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from labeling import places
from labeling.models import Completion, Project
from models_registry import hooks
from models_registry.models import Version
from people.models import User
from people.permissions import ANYWHERE, Right, can


@hooks.version_need
def outputs_of(version: Version) -> Iterator[str]:
    if count := Completion.objects.filter(version=version).count():
        said = ngettext(
            "%(count)d output in a project was written by it.",
            "%(count)d outputs in projects were written by it.",
            count,
        )
        yield said % {"count": count}


@hooks.playground_way
def rank_outputs(user: User) -> Iterator[hooks.Section]:
    projects = places.projects_with(user, Right.MANAGE_PROJECTS).exclude(state=Project.State.ARCHIVED).order_by("name")
    if can(user, Right.MANAGE_PROJECTS, ANYWHERE):
        yield hooks.Section(
            _("Send these outputs to be ranked in"), "labeling/parts/rank_outputs.html", {"projects": projects}
        )
