"""Wrong passwords are counted, so that they cannot be guessed; and nobody can be locked out by what others do.

Counted is (name, where): from elsewhere the same name stays free, so trying someone's name over and over keeps nobody but oneself from
signing in. Counted are also all names tried from one network. A browser in which a person has signed in before carries a signed cookie
and has a count of its own: in an office behind one address, a colleague's attempts do not matter to it.
"""

import hashlib
import secrets
from datetime import timedelta

from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from .addresses import network_of
from .models import FailedSignIn, User

WINDOW = timedelta(minutes=15)
MOST_FOR_A_NAME = 8  # from one place
MOST_FROM_A_NETWORK = 60  # whatever the names
KNOWN_FOR = 180 * 24 * 3600  # seconds for which a browser is remembered
COOKIE, SALT = "known", "people.attempts"


def wait_minutes(request: HttpRequest, username: str) -> int:
    """How long this browser has to wait before it may try this name; 0: it may."""
    since = timezone.now() - WINDOW
    limits = [(_of_name(request, username), MOST_FOR_A_NAME)]
    if not _is_known(request, username):
        limits.append((_of_network(request), MOST_FROM_A_NETWORK))
    waits = [0]
    for who, most in limits:
        # The try that has to leave the window before there is room again.
        times = list(
            FailedSignIn.objects.filter(who=who, at__gt=since).order_by("-at").values_list("at", flat=True)[:most]
        )
        if len(times) == most:
            waits.append(int((times[-1] - since).total_seconds() // 60) + 1)
    return max(waits)


def failed(request: HttpRequest, username: str) -> None:
    now = timezone.now()
    FailedSignIn.objects.filter(at__lt=now - 4 * WINDOW).delete()
    whose = [_of_name(request, username), *([] if _is_known(request, username) else [_of_network(request)])]
    FailedSignIn.objects.bulk_create([FailedSignIn(who=who, at=now) for who in whose])


def succeeded(request: HttpRequest, username: str) -> None:
    FailedSignIn.objects.filter(who=_of_name(request, username)).delete()


def remember(request: HttpRequest, response: HttpResponse, person: User) -> None:
    """This browser is known from now on as one that `person` signs in with."""
    browser, names = _known(request)
    names = [_fold(person.username), *(name for name in names if name != _fold(person.username))][:10]
    value = signing.dumps([browser or secrets.token_urlsafe(9), names], salt=SALT)
    response.set_cookie(COOKIE, value, max_age=KNOWN_FOR, httponly=True, samesite="Lax", secure=request.is_secure())


def _of_name(request: HttpRequest, username: str) -> str:
    browser, names = _known(request)
    where = browser if _fold(username) in names else network_of(request)
    return _digest("name", _fold(username), where)


def _of_network(request: HttpRequest) -> str:
    return _digest("network", network_of(request))


def _is_known(request: HttpRequest, username: str) -> bool:
    return _fold(username) in _known(request)[1]


def _known(request: HttpRequest) -> tuple[str, list[str]]:
    """What this browser is called, and the names that have signed in with it."""
    try:
        browser, names = signing.loads(request.COOKIES.get(COOKIE, ""), salt=SALT, max_age=KNOWN_FOR)
    except signing.BadSignature:
        return "", []
    return browser, names


def _fold(username: str) -> str:
    return User.normalize_username(username.strip()).casefold()


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
