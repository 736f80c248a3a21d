"""What every template may ask: `{% if can.freeze %}`, and which section of the site the page belongs to."""

from collections.abc import Callable
from functools import cached_property

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest

from . import notices
from .models import User
from .permissions import ANYWHERE, Place, rights_at, rights_of


class Rights:
    """A person's rights by name, on the site or in a place. Places are looked up where a template asks for more than the site gives."""

    def __init__(self, user: User | AnonymousUser | None, find_place: Callable[[], Place]) -> None:
        self._user, self._find_place = user, find_place

    @cached_property
    def _site(self) -> frozenset[str]:
        return rights_of(self._user) if self._user is not None else frozenset()

    @cached_property
    def _place(self) -> frozenset[str]:
        return rights_at(self._user, self._find_place()) if self._user is not None else frozenset()

    def __getitem__(self, right: str) -> bool:
        return right in self._site or right in self._place


def rights(request: HttpRequest) -> dict[str, object]:
    user = getattr(request, "user", None)
    find_place = getattr(request, "find_place", lambda: None)
    return {
        # Called where a template asks, so that pages without the bell pay nothing.
        "unread_notices": lambda: notices.unread(user).count() if user is not None and user.is_authenticated else 0,
        "can": Rights(user, lambda: None if (place := find_place()) is ANYWHERE else place),  # here
        "can_anywhere": Rights(user, lambda: ANYWHERE),  # in some place at least: for what leads to lists
        "section": request.path.split("/")[1],  # "rank", "projects", "models", "runs", "data", …
    }
