"""Verbs of invitations: a link by which somebody makes their own account, or joins with the one they have.

The secret stands in the link alone; the database keeps its digest, so that who reads the database can invite nobody.
"""

import hashlib
import secrets
from datetime import timedelta

from django.conf import settings
from django.contrib.auth import password_validation
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _

from .. import hooks
from ..errors import Refusal
from ..models import Invitation, Role, User, audit
from ..permissions import Right, can, check
from .accounts import name_problems, role_problems, save_new

MOST_USES = 500
MOST_DAYS = 90
MOST_DAYS_OF_AN_ADMIN = 7
RANKS = list(Role.values)  # lowest first


@transaction.atomic
def invite(
    *, actor: User, role: str = Role.ANNOTATOR, uses: int = 1, days: int = 7, note: str = ""
) -> tuple[Invitation, str]:
    """Make a link into the site. Returns the invitation and its secret, which is not kept."""
    check(actor, Right.MANAGE_PEOPLE)
    invitation, secret = make_invitation(actor=actor, role=role, uses=uses, days=days, note=note)
    audit(actor, "invitation.create", invitation, role=role, uses=uses, days=days)
    return invitation, secret


def make_invitation(
    *, actor: User, role: str, uses: int, days: int, note: str, powerful: bool = False
) -> tuple[Invitation, str]:
    """For verbs, which have checked the actor's rights and write the audit row. `powerful`: it gives more than `role` says, somewhere."""
    problems = role_problems(role)
    if not 1 <= uses <= MOST_USES:
        problems.append(_("A link serves 1 to %(most)d people.") % {"most": MOST_USES})
    if not 1 <= days <= MOST_DAYS:
        problems.append(_("A link holds for 1 to %(most)d days.") % {"most": MOST_DAYS})
    if (role == Role.ADMIN or powerful) and (uses > 1 or days > MOST_DAYS_OF_AN_ADMIN):
        problems.append(
            _("A link that makes an admin serves one person and holds for %(most)d days at most.")
            % {"most": MOST_DAYS_OF_AN_ADMIN}
        )
    if len(note) > 200:
        problems.append(_("The note is longer than 200 characters."))
    if problems:
        raise Refusal(problems)
    secret = secrets.token_urlsafe(24)
    invitation = Invitation.objects.create(
        digest=digest_of(secret),
        role=role,
        note=note.strip(),
        uses_left=uses,
        expires_at=timezone.now() + timedelta(days=days),
        created_by=actor,
    )
    return invitation, secret


@transaction.atomic
def revoke_invitation(*, actor: User, invitation: Invitation) -> None:
    """The link opens nothing any more. Who came by it stays."""
    check(actor, Right.MANAGE_PEOPLE)
    end_invitation(invitation)
    audit(actor, "invitation.revoke", invitation)


def end_invitation(invitation: Invitation) -> None:
    """For verbs, which have checked the actor's rights and write the audit row."""
    if invitation.revoked_at is not None:
        raise Refusal(_("This link was taken back already."), status=409)
    invitation.revoked_at = timezone.now()
    invitation.save(update_fields=["revoked_at"])


def digest_of(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def find_invitation(secret: str) -> Invitation:
    """The invitation of a link that still opens something. A Refusal says why it does not, and nothing about people."""
    invitation = Invitation.objects.select_related("created_by").filter(digest=digest_of(secret)).first()
    if invitation is None:
        raise Refusal(_("This site knows no such link. Perhaps a part of it is missing: copy all of it."), status=404)
    if invitation.revoked_at is not None or not _stands(invitation):
        raise Refusal(_("This link was taken back. Ask the person who gave it to you for a new one."), status=410)
    if invitation.expires_at <= timezone.now():
        raise Refusal(_("This link has expired. Ask the person who gave it to you for a new one."), status=410)
    if not invitation.uses_left:
        raise Refusal(_("This link has been used up. Ask the person who gave it to you for a new one."), status=410)
    return invitation


def _stands(invitation: Invitation) -> bool:
    """Who may invite nobody any more has no link left either: else they would come in again by one of their own."""
    found = hooks.stands(invitation)
    return can(invitation.created_by, Right.MANAGE_PEOPLE) if found is None else found


@transaction.atomic
def accept_as_new(*, secret: str, username: str, password: str, full_name: str = "", language: str = "") -> User:
    """Make one's own account by a link. Nothing is said about names before the link is known to be good."""
    invitation = find_invitation(secret)
    username = User.normalize_username(username.strip())
    first, _space, last = full_name.strip().partition(" ")
    person = User(username=username, role=invitation.role, first_name=first[:150], last_name=last.strip()[:150])
    problems = name_problems(username)
    try:
        password_validation.validate_password(password, person)
    except ValidationError as error:
        problems += error.messages
    if language and language not in dict(settings.LANGUAGES):
        problems.append(_("This site does not speak “%(language)s”.") % {"language": language})
    if problems:
        raise Refusal(problems)
    person.language = language
    person.set_password(password)
    save_new(person)
    _take(invitation, person)
    audit(person, "invitation.accept", invitation, username=username, role=invitation.role, new=True)
    return person


@transaction.atomic
def accept(*, actor: User, secret: str) -> None:
    """Join with the account that one has. A role is never lowered; who came by this link before comes in again."""
    known = Invitation.objects.filter(digest=digest_of(secret), accepted_by=actor).first()
    if known is not None:
        return
    invitation = find_invitation(secret)
    if RANKS.index(invitation.role) > RANKS.index(actor.role):
        actor.role = invitation.role
        actor.save(update_fields=["role"])
    _take(invitation, actor)
    audit(actor, "invitation.accept", invitation, username=actor.username, role=invitation.role, new=False)


def _take(invitation: Invitation, person: User) -> None:
    """One use, in one statement: two people with the last one do not both get in."""
    still_good = Invitation.objects.filter(
        pk=invitation.pk, uses_left__gt=0, revoked_at=None, expires_at__gt=timezone.now()
    )
    if not still_good.update(uses_left=F("uses_left") - 1):
        raise Refusal(_("This link has been used up. Ask the person who gave it to you for a new one."), status=410)
    invitation.accepted_by.add(person)
    hooks.open_for(invitation, person)
