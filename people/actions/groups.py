"""Verbs of groups: people who get tasks together."""

from collections.abc import Iterable

from django.contrib.auth.models import Group
from django.db import transaction
from django.utils.translation import gettext as _

from .. import hooks
from ..errors import Refusal
from ..models import User, audit
from ..permissions import Right, check


@transaction.atomic
def create_group(*, actor: User, name: str) -> Group:
    check(actor, Right.MANAGE_PEOPLE)
    group = Group.objects.create(name=_good_name(name))
    audit(actor, "group.create", group, name=group.name)
    return group


@transaction.atomic
def rename_group(*, actor: User, group: Group, name: str) -> None:
    check(actor, Right.MANAGE_PEOPLE)
    before, group.name = group.name, _good_name(name, but=group)
    group.save(update_fields=["name"])
    audit(actor, "group.rename", group, before=before, after=group.name)


@transaction.atomic
def delete_group(*, actor: User, group: Group) -> None:
    """Its people stay; tasks that wait for it would wait for ever, so they come first."""
    check(actor, Right.MANAGE_PEOPLE)
    if reasons := hooks.needs(group):
        raise Refusal(reasons, status=409)
    audit(actor, "group.delete", group, name=group.name)
    group.delete()


@transaction.atomic
def add_to_group(*, actor: User, group: Group, people: Iterable[User]) -> None:
    check(actor, Right.MANAGE_PEOPLE)
    people = list(people)
    group.user_set.add(*people)
    audit(actor, "group.add", group, name=group.name, people=[person.username for person in people])


@transaction.atomic
def remove_from_group(*, actor: User, group: Group, people: Iterable[User]) -> None:
    check(actor, Right.MANAGE_PEOPLE)
    people = list(people)
    group.user_set.remove(*people)
    audit(actor, "group.remove", group, name=group.name, people=[person.username for person in people])


def _good_name(name: str, but: Group | None = None) -> str:
    name = name.strip()
    if not 0 < len(name) <= 150:
        raise Refusal(_("Give the group a name of at most 150 characters."))
    if Group.objects.filter(name__iexact=name).exclude(pk=but.pk if but else None).exists():
        raise Refusal(_("There is already a group with the name “%(name)s”.") % {"name": name})
    return name
