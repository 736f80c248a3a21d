"""A notice that goes out by e-mail too, to those who gave an address."""

from people import notices
from people.models import Notice, User

from .actions import enqueue


def tell(*, person: User, text: str, address: str, **params: str) -> Notice:
    """As people.notices.tell, inside the caller's transaction; a worker sends the e-mail."""
    notice = notices.tell(person=person, text=text, address=address, **params)
    if notices.can_mail(person):
        enqueue(actor=person, what="mail-notice", arguments={"notice": notice.pk})
    return notice
