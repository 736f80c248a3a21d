"""Projects and who belongs to them."""

from collections.abc import Iterable

from django.db import transaction
from django.utils.text import slugify
from django.utils.translation import gettext as _

from labeling.models import Membership, Project
from labeling.project_settings import SETTINGS, problems_with, problems_with_new_questions
from people.errors import Refusal
from people.models import Role, User, audit
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
    project = Project.objects.select_for_update().get(pk=project.pk)
    before = {name: getattr(project, name) for name in settings if name in SETTINGS}
    _apply(project, settings)
    if "questions" in before and (problems := problems_with_new_questions(project, before["questions"])):
        raise Refusal(problems)
    project.save(update_fields=list(before))
    changed = {name: [old, getattr(project, name)] for name, old in before.items() if old != getattr(project, name)}
    audit(actor, "project.change", project, **changed)
    return project


@transaction.atomic
def add_members(*, actor: User, project: Project, users: Iterable[User], role: str = Role.ANNOTATOR) -> int:
    """Let `users` take part; who already does gets the new role. Returns how many there are now."""
    check(actor, Right.MANAGE_PROJECTS, place=project)
    if role not in Role.values:
        raise Refusal(_("There is no role “%(role)s”.") % {"role": role})
    users = list(users)
    Membership.objects.bulk_create(
        [Membership(project=project, user=user, role=role) for user in users],
        update_conflicts=True,
        unique_fields=["project", "user"],
        update_fields=["role"],
    )
    audit(actor, "project.add_members", project, users=[user.username for user in users], role=role)
    return project.memberships.count()


@transaction.atomic
def remove_members(*, actor: User, project: Project, users: Iterable[User]) -> int:
    """They get no further task of this project; what they ranked stays. Returns how many are left."""
    check(actor, Right.MANAGE_PROJECTS, place=project)
    users = list(users)
    Membership.objects.filter(project=project, user__in=users).delete()
    audit(actor, "project.remove_members", project, users=[user.username for user in users])
    return project.memberships.count()


def _apply(project: Project, settings: dict[str, object]) -> None:
    """Set what is given; a Refusal says all that is wrong with it."""
    problems = [
        _("A project has no setting “%(name)s”.") % {"name": name}
        for name in sorted(settings.keys() - SETTINGS.keys())
    ]
    for name in settings.keys() & SETTINGS.keys():
        setattr(project, name, settings[name])
    project.name = str(project.name).strip()
    if problems := problems + problems_with(project):
        raise Refusal(problems)


def _free_slug(name: str) -> str:
    base = slugify(name)[:70] or "project"
    taken = {"new", *Project.objects.filter(slug__startswith=base).values_list("slug", flat=True)}  # /projects/new/
    return next(slug for n in range(1, len(taken) + 2) if (slug := base if n == 1 else f"{base}-{n}") not in taken)
