"""Which short jobs there are: an app declares its own in its `jobs.py`, which is imported at start.

    @job("sample", title=_("Sample outputs"), right=Right.MANAGE_PROJECTS)
    def sample(progress: Progress, *, project: int, seed: int) -> dict: ...

A job function is repeatable: a worker may die in the middle and another begin it anew, so it first looks at what is there already.
It brings its results into the database itself, in transactions of its own, and returns a dict for `Job.result`, of which
`message` (a sentence), `url` (where to go next) and `notes` (a list of sentences) are shown to people.
"""

from collections.abc import Callable
from dataclasses import dataclass

from django.db.models import Model


@dataclass(frozen=True)
class Declared:
    function: Callable[..., dict | None]
    title: str
    right: str  # who may see and cancel it besides the person who began it,
    place: Callable[[dict], Model | None]  # on the whole site or in this place, found from its arguments
    can_be_cancelled: bool  # False: what it brings about holds already, and is only not carried out everywhere


_declared: dict[str, Declared] = {}


def job(
    name: str,
    *,
    title: str,
    right: str,
    place: Callable[[dict], Model | None] = lambda arguments: None,
    can_be_cancelled: bool = True,
) -> Callable:
    """Declare a job function. `title` is a lazy translation, `right` one of people.permissions.Right, `place` where it is needed at least."""

    def declare(function: Callable[..., dict | None]) -> Callable[..., dict | None]:
        if name in _declared and _declared[name].function.__module__ != function.__module__:
            raise ValueError(f"Two jobs are named {name!r}.")
        _declared[name] = Declared(function, title, right, place, can_be_cancelled)
        return function

    return declare


def declared(name: str) -> Declared:
    """The job called `name`; KeyError if no app declares it."""
    return _declared[name]
