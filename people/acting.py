"""In whose name a command acts."""

from django.core.management.base import CommandError

from .models import Role, User


def acting(name: str | None) -> User:
    """The person of this sign-in name; without one, the first active admin."""
    people = User.objects.filter(is_active=True)
    admins = people.filter(role=Role.ADMIN, is_simulated=False).order_by("pk")
    person = people.filter(username=name).first() if name else admins.first()
    if person is None:
        raise CommandError(
            f"There is no active user “{name}”." if name else "There is no admin yet: start the site once."
        )
    return person
