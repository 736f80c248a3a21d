"""What the verbs of people are called in the audit trail, and where people are found."""

from collections.abc import Mapping

from django.contrib.auth.models import Group
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from . import trail
from .models import User

trail.say(
    _("People"),
    {
        "add_person": _("%(actor)s added %(object)s as %(role)s."),
        "change_role": _("%(actor)s changed the role of %(object)s from %(before)s to %(after)s."),
        "deactivate_person": _("%(actor)s deactivated %(object)s."),
        "reactivate_person": _("%(actor)s let %(object)s sign in again."),
        "reset_password": _("%(actor)s gave %(object)s a new password."),
        "change_own_password": _("%(actor)s changed their own password."),
        "set_language": _("%(actor)s changed their language."),
        "set_email": _("%(actor)s changed their e-mail address."),
        "rotate_token": _("%(actor)s made an API token for themselves."),
        "revoke_token": _("%(actor)s removed their API token."),
        "invitation.create": _("%(actor)s made a link by which %(people)s may join as %(role)s."),
        "invitation.revoke": _("%(actor)s took back a link."),
        "invitation.accept": _("%(actor)s joined by a link."),
        "group.create": _("%(actor)s made the group %(name)s."),
        "group.rename": _("%(actor)s renamed the group %(before)s to %(after)s."),
        "group.delete": _("%(actor)s deleted the group %(name)s."),
        "group.add": _("%(actor)s added %(people)s to the group %(name)s."),
        "group.remove": _("%(actor)s removed %(people)s from the group %(name)s."),
        "audit.export": _("%(actor)s exported the audit trail."),
    },
)


@trail.words("invitation.create")
def for_how_many(data: Mapping) -> dict[str, str]:
    count = data.get("uses", 1)
    return {"people": ngettext("%(n)d person", "%(n)d people", count) % {"n": count}}


def page_of(person: User) -> str:
    return reverse("person", args=[person.pk])


def page_of_group(group: Group) -> str:
    return reverse("group", args=[group.pk])


trail.link("people.User", page_of)
trail.link("auth.Group", page_of_group)
