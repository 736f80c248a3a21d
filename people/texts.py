"""Text that comes in: what no database can hold is refused at the door, for forms, addresses, REST and files alike.

PostgreSQL stores no NUL; half of a surrogate pair has no encoding at all. Neither is ever typed: they come from programs.
"""

import re

from django.utils.translation import gettext as _

from .errors import Refusal

NO_TEXT = re.compile("[\0\ud800-\udfff]")


def is_storable(value: object) -> bool:
    """A text, or whatever JSON can hold, with all texts in it."""
    if isinstance(value, str):
        return not NO_TEXT.search(value)
    if isinstance(value, dict):
        return all(is_storable(name) and is_storable(each) for name, each in value.items())
    return not isinstance(value, list | tuple) or all(map(is_storable, value))


def check(value: object) -> None:
    if not is_storable(value):
        raise Refusal(no_text())


def no_text() -> str:
    return _("What was sent holds characters that are no text (NUL or half a surrogate pair). Take them out.")
