"""Verbs of accounts: made, given a role, closed, their passwords; and what people do to their own."""

import secrets

from django.conf import settings
from django.contrib.auth import password_validation
from django.contrib.auth.validators import UnicodeUsernameValidator
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _
from rest_framework.authtoken.models import Token

from .. import hooks
from ..errors import Refusal
from ..models import Role, User, audit
from ..permissions import Right, check

# No 0/O, 1/l/I: a password is read off a screen and typed once.
PASSWORD_LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"


def generated_password() -> str:
    """Three groups of five letters and digits: 75 bits, easy to read out."""
    return "-".join("".join(secrets.choice(PASSWORD_LETTERS) for _ in range(5)) for _ in range(3))


@transaction.atomic
def add_person(*, actor: User, username: str, role: str, full_name: str = "") -> tuple[User, str]:
    """Make a person who can sign in. Returns the person and the generated password, which is stored only as a hash."""
    check(actor, Right.MANAGE_PEOPLE)
    username = User.normalize_username(username.strip())
    problems = [*name_problems(username), *role_problems(role)]
    if problems:
        raise Refusal(problems)
    password = generated_password()
    first, _space, last = full_name.strip().partition(" ")
    person = User(username=username, role=role, first_name=first[:150], last_name=last.strip()[:150])
    person.set_password(password)
    save_new(person)
    audit(actor, "add_person", person, username=username, role=role)
    return person, password


def save_new(person: User) -> None:
    """For verbs: two people who choose the same name at the same moment."""
    try:
        with transaction.atomic():
            person.save()
    except IntegrityError:
        raise Refusal(name_problems(person.username), status=409) from None


@transaction.atomic
def change_role(*, actor: User, person: User, role: str) -> None:
    check(actor, Right.MANAGE_PEOPLE)
    problems = role_problems(role)
    if person.role == Role.ADMIN and role != Role.ADMIN:
        problems += _last_admin_problems(person)
    if problems:
        raise Refusal(problems)
    before, person.role = person.role, role
    person.save(update_fields=["role"])
    audit(actor, "change_role", person, before=before, after=role, **hooks.step_back(person))


@transaction.atomic
def deactivate(*, actor: User, person: User) -> None:
    """Close a person's account: they can no longer sign in, and all they did stays."""
    check(actor, Right.MANAGE_PEOPLE)
    problems = _last_admin_problems(person)
    if person == actor:
        problems.append(_("You cannot deactivate your own account; ask another admin."))
    if problems:
        raise Refusal(problems)
    person.is_active = False
    person.save(update_fields=["is_active"])
    Token.objects.filter(user=person).delete()
    audit(actor, "deactivate_person", person, **hooks.step_back(person))


@transaction.atomic
def reactivate(*, actor: User, person: User) -> None:
    check(actor, Right.MANAGE_PEOPLE)
    person.is_active = True
    person.save(update_fields=["is_active"])
    audit(actor, "reactivate_person", person)


@transaction.atomic
def reset_password(*, actor: User, person: User) -> str:
    """Give a person a new generated password and end their sessions and API token. Returns the password."""
    check(actor, Right.MANAGE_PEOPLE)
    if person.is_simulated:
        raise Refusal(_("%(name)s is a program and cannot sign in.") % {"name": person})
    password = generated_password()
    person.set_password(password)
    person.save(update_fields=["password"])
    Token.objects.filter(user=person).delete()
    audit(actor, "reset_password", person)
    return password


@transaction.atomic
def change_own_password(*, actor: User, old: str, new: str) -> None:
    problems = []
    if not actor.check_password(old):
        problems.append(_("The present password is not right."))
    try:
        password_validation.validate_password(new, actor)
    except ValidationError as error:
        problems += error.messages
    if problems:
        raise Refusal(problems)
    actor.set_password(new)
    actor.save(update_fields=["password"])
    audit(actor, "change_own_password", actor)


@transaction.atomic
def set_language(*, actor: User, language: str) -> None:
    if language not in dict(settings.LANGUAGES):
        raise Refusal(_("This site does not speak “%(language)s”.") % {"language": language})
    actor.language = language
    actor.save(update_fields=["language"])
    audit(actor, "set_language", actor, language=language)


@transaction.atomic
def rotate_token(*, actor: User) -> str:
    """Make a new API token; the old one stops working at once."""
    Token.objects.filter(user=actor).delete()
    token = Token.objects.create(user=actor)
    audit(actor, "rotate_token", actor)
    return token.key


@transaction.atomic
def revoke_token(*, actor: User) -> None:
    Token.objects.filter(user=actor).delete()
    audit(actor, "revoke_token", actor)


def name_problems(username: str) -> list[str]:
    """What keeps a sign-in name from being a new person's."""
    problems = []
    try:
        UnicodeUsernameValidator()(username)
    except ValidationError as error:
        problems += error.messages
    if len(username) > 150:
        problems.append(_("The name is longer than 150 characters."))
    if User.objects.filter(username__iexact=username).exists():
        problems.append(_("There is already a person with the name “%(name)s”.") % {"name": username})
    return problems


def role_problems(role: str) -> list[str]:
    if role in Role.values:
        return []
    return [_("There is no role “%(role)s”; there are %(roles)s.") % {"role": role, "roles": ", ".join(Role.values)}]


def _last_admin_problems(person: User) -> list[str]:
    # Locked, so that two admins who unmake each other at the same moment are not both gone.
    admins = list(User.objects.select_for_update().filter(role=Role.ADMIN, is_active=True))
    if person.role == Role.ADMIN and all(admin == person for admin in admins):
        return [_("%(name)s is the only admin. Make someone else admin first.") % {"name": person}]
    return []
