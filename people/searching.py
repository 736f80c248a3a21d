"""What is looked for: people by name, words in JSON, days, rows by the keys that an address or a form names."""

import json
from collections.abc import Iterable
from datetime import date, datetime, time

from django.db.models import Q, TextField
from django.db.models.functions import Cast
from django.db.models.lookups import IContains
from django.utils import timezone


def people_called(search: str) -> Q:
    """Of people: whose sign-in name, first or last name has `search` in it."""
    return Q(username__icontains=search) | Q(first_name__icontains=search) | Q(last_name__icontains=search)


def json_holds(field: str, search: str) -> Q:
    """Whether the JSON in `field` has `search` in it: as it is, or escaped, as SQLite keeps what is not ASCII."""
    text = Cast(field, TextField())
    return Q(IContains(text, search)) | Q(IContains(text, json.dumps(search)[1:-1]))


def midnight(day: date) -> datetime:
    """Its beginning in the site's time zone."""
    return timezone.make_aware(datetime.combine(day, time.min))


def row_key(given: str) -> int | None:
    """The key of a row; None if it can be none: a database cannot even look for a number that is too long for it."""
    return int(given) if given.isdecimal() and len(given) < 19 else None


def row_keys(given: Iterable[str]) -> list[int]:
    return [found for each in given if (found := row_key(each)) is not None]
