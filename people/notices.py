"""Notices: what happened while a person did something else. Told in the page's head, and by e-mail where the site can send any."""

from collections.abc import Iterable
from email.utils import parseaddr

from django.conf import settings
from django.core.mail import send_mail
from django.core.validators import ValidationError, validate_email
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from .errors import Refusal
from .models import Notice, User, audit

KEPT = 200  # for each person; older ones are forgotten


@transaction.atomic
def tell(*, person: User, text: str, address: str, **params: str) -> Notice:
    """For other verbs, inside their transaction: leave `person` a notice. `text` is marked with gettext_noop where it is written."""
    notice = Notice.objects.create(person=person, text=text, params=params, address=address)
    old = Notice.objects.filter(person=person).values_list("pk", flat=True)[KEPT:]
    Notice.objects.filter(pk__in=list(old)).delete()
    return notice


def unread(person: User) -> QuerySet[Notice]:
    return Notice.objects.filter(person=person, read_at=None)


def mark_read(*, actor: User, notice: Notice | None = None) -> int:
    """One of the actor's own notices, or all of them. Returns how many were unread. Reading changes nothing for others: no audit row."""
    found = unread(actor)
    if notice is not None:
        found = found.filter(pk=notice.pk)
    return found.update(read_at=timezone.now())


def settle(*, texts: Iterable[str], **params: str) -> int:
    """What these notices ask for is done, by whomever: nobody need read them any more. Returns how many were unread."""
    wanted = {f"params__{name}": value for name, value in params.items()}
    return Notice.objects.filter(read_at=None, text__in=list(texts), **wanted).update(read_at=timezone.now())


@transaction.atomic
def set_email(*, actor: User, email: str) -> None:
    """Where notices are sent; empty: nowhere."""
    email = email.strip()
    if email:
        try:
            validate_email(email)
        except ValidationError:
            raise Refusal(_("“%(email)s” is no e-mail address.") % {"email": email}) from None
    actor.email = email
    actor.save(update_fields=["email"])
    audit(actor, "set_email", actor)


def can_mail(person: User) -> bool:
    return bool(settings.EMAIL_HOST and person.email and person.is_active)


def mail(notice: Notice) -> None:
    """Send a notice to its person in their language. Raises OSError or SMTPException when the mail server does not take it."""
    with translation.override(notice.person.language or settings.LANGUAGE_CODE):
        sentence = str(notice)
        site = parseaddr(settings.DEFAULT_FROM_EMAIL)[0] or "Peringkat"
        send_mail(
            f"{site}: {sentence}",
            f"{sentence}\n\n{settings.SITE_ADDRESS}{notice.address}\n",
            settings.DEFAULT_FROM_EMAIL,
            [notice.person.email],
        )
