"""Projects and who belongs to them."""

from collections.abc import Iterable

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.text import slugify
from django.utils.translation import gettext as _

from labeling.models import Membership, Project
from people.errors import Refusal
from people.models import Role, User, audit
from people.permissions import Right, check

SETTINGS = frozenset(
    {
        "name",
        "description",
        "guidelines",
        "state",
        "outputs_per_task",
        "overlap",
        "allow_partial",
        "acceptability_line",
        "lease_seconds",
        "heldout_percent",
        "open_to_all",
    }
)


@transaction.atomic
def create_project(*, actor: User, name: str, is_demo: bool = False, **settings: object) -> Project:
    """A new project; its slug comes from its name. `settings` are the fields in SETTINGS."""
    check(actor, Right.MANAGE_PROJECTS)
    project = Project(name=name.strip(), created_by=actor, is_demo=is_demo)
    _apply(project, settings)
    project.slug = _free_slug(project.name)
    _validate(project)
    project.save()
    audit(actor, "project.create", project, name=project.name, **settings)
    return project


@transaction.atomic
def change_project(*, actor: User, project: Project, **settings: object) -> Project:
    """Change settings. Tasks that exist keep their overlap and prompts their split; both hold for what comes later."""
    check(actor, Right.MANAGE_PROJECTS)
    project = Project.objects.select_for_update().get(pk=project.pk)
    before = {name: getattr(project, name) for name in settings if name in SETTINGS}
    _apply(project, settings)
    _validate(project)
    project.save(update_fields=list(before))
    changed = {name: [old, getattr(project, name)] for name, old in before.items() if old != getattr(project, name)}
    audit(actor, "project.change", project, **changed)
    return project


@transaction.atomic
def add_members(*, actor: User, project: Project, users: Iterable[User], role: str = Role.ANNOTATOR) -> int:
    """Let `users` take part; who already does gets the new role. Returns how many there are now."""
    check(actor, Right.MANAGE_PROJECTS)
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
    check(actor, Right.MANAGE_PROJECTS)
    users = list(users)
    Membership.objects.filter(project=project, user__in=users).delete()
    audit(actor, "project.remove_members", project, users=[user.username for user in users])
    return project.memberships.count()


def _apply(project: Project, settings: dict[str, object]) -> None:
    if unknown := sorted(set(settings) - SETTINGS):
        raise Refusal(_("A project has no setting “%(name)s”.") % {"name": name} for name in unknown)
    for name, value in settings.items():
        setattr(project, name, value)


def _validate(project: Project) -> None:
    try:
        project.full_clean(validate_unique=False, validate_constraints=False)
    except ValidationError as error:
        raise Refusal(
            f"{Project._meta.get_field(name).verbose_name}: {problem}"
            for name, problems in error.message_dict.items()
            for problem in problems
        ) from None


def _free_slug(name: str) -> str:
    base = slugify(name)[:70] or "project"
    taken = {"new", *Project.objects.filter(slug__startswith=base).values_list("slug", flat=True)}  # /projects/new/
    return next(slug for n in range(1, len(taken) + 2) if (slug := base if n == 1 else f"{base}-{n}") not in taken)
