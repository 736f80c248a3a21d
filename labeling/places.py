"""Projects as places in which people have a role of their own (people.permissions), and which project an address is about."""

from collections.abc import Collection

from django.db.models import Exists, OuterRef, QuerySet

from labeling.models import Dataset, Membership, Project
from people.models import User
from people.permissions import can, register_roles, roles_with


def role_of(user: User, project: Project) -> str | None:
    return Membership.objects.filter(project=project, user=user).values_list("role", flat=True).first()


def roles_of(user: User) -> Collection[str]:
    return set(Membership.objects.filter(user=user).values_list("role", flat=True))


register_roles(Project, role_of=role_of, roles_of=roles_of)


def place_name(project: int) -> str:
    """By this the entries of the trail and the jobs of a project are found; `project` is its key."""
    return f"labeling.project:{project}"


def project(slug: str, **_rest: object) -> Project | None:
    """`/projects/<slug>/…`"""
    return Project.objects.filter(slug=slug).first()


def of_dataset(pk: int, **_rest: object) -> Project | None:
    """`/data/<pk>/…`: the project that a snapshot was frozen from; an upload has none."""
    dataset = Dataset.objects.select_related("project").filter(pk=pk).first()
    return dataset.project if dataset else None


def projects_with(user: User, right: str) -> QuerySet[Project]:
    """The projects in which `user` has `right`."""
    if can(user, right):
        return Project.objects.all()
    given = Membership.objects.filter(user=user, project=OuterRef("pk"), role__in=roles_with(right))
    return Project.objects.filter(Exists(given))
