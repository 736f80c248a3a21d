"""Projects: made, changed."""

from collections.abc import Iterable

from django.db import transaction
from django.utils.text import slugify
from django.utils.translation import gettext as _

from labeling.models import Project
from labeling.project_settings import SETTINGS, problems_with, problems_with_new_questions
from people.errors import Refusal
from people.models import User, audit
from people.permissions import Right, check


@transaction.atomic
def create_project(*, actor: User, name: str, is_demo: bool = False, **settings: object) -> Project:
    """A new project; its slug comes from its name. `settings` are those of labeling.project_settings."""
    check(actor, Right.CREATE_PROJECTS)
    project = Project(name=name.strip(), created_by=actor, is_demo=is_demo)
    project.slug = _free_slug(project.name)
    _apply(project, settings)
    project.save()
    audit(actor, "project.create", project, name=project.name, **settings)
    return project


@transaction.atomic
def change_project(*, actor: User, project: Project, **settings: object) -> Project:
    """Change settings. Tasks that exist keep their overlap, prompts their split, rankings their answers."""
    check(actor, Right.MANAGE_PROJECTS, place=project)
    project = Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    before = {name: getattr(project, name) for name in settings if name in SETTINGS}
    _apply(project, settings)
    if "questions" in before and (problems := problems_with_new_questions(project, before["questions"])):
        raise Refusal(problems)
    project.save(update_fields=list(before))
    changed = {name: [old, getattr(project, name)] for name, old in before.items() if old != getattr(project, name)}
    audit(actor, "project.change", project, **changed)
    return project


def unknown_names(settings: Iterable[str]) -> list[str]:
    return [
        _("A project has no setting “%(name)s”.") % {"name": name} for name in sorted(set(settings) - SETTINGS.keys())
    ]


def check_names(settings: Iterable[str]) -> None:
    """For settings that come from outside and become the arguments of a verb: no name of theirs may mean anything else there."""
    if problems := unknown_names(settings):
        raise Refusal(problems)


def _apply(project: Project, settings: dict[str, object]) -> None:
    """Set what is given; a Refusal says all that is wrong with it."""
    problems = unknown_names(settings)
    for name in settings.keys() & SETTINGS.keys():
        setattr(project, name, settings[name])
    project.name = str(project.name).strip()
    if problems := problems + problems_with(project):
        raise Refusal(problems)


def _free_slug(name: str) -> str:
    base = slugify(name)[:70] or "project"
    taken = {"new", *Project.objects.filter(slug__startswith=base).values_list("slug", flat=True)}  # /projects/new/
    return next(slug for n in range(1, len(taken) + 2) if (slug := base if n == 1 else f"{base}-{n}") not in taken)
