"""How the floors above add to a version's page what this floor cannot know: the run that made it, the projects it wrote for.

    @version_section
    def made_by_run(version, user): yield Section(title, "training/made_by.html", {"run": run})

    @version_need
    def runs(version): yield _("The run “%(run)s” started from it.") % …       # why it cannot be deleted

    @version_deletion
    def forget(version): …                                                     # what is to be done when it is

    @method_title
    def title(method): return …                                                 # "" where it knows none of that name

    @version_telling
    def tell(version): return Telling(figures={title: value}, settings={title: value})

Register from the AppConfig's ready(). The page includes each template with `section.data`, in the order of registration.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

from people.models import User

from .models import Version


@dataclass(frozen=True)
class Section:
    """A part of a version's page: what to do with it now (next), or under "Where it came from" (origin) or "What came of it" (use)."""

    title: str
    template: str
    data: dict = field(default_factory=dict)
    place: Literal["next", "origin", "use"] = "origin"


_sections: list[Callable[[Version, User], Iterable[Section]]] = []


def version_section(function: Callable[[Version, User], Iterable[Section]]) -> Callable:
    _sections.append(function)
    return function


def sections(version: Version, user: User) -> list[Section]:
    return [section for function in _sections for section in function(version, user)]


_needs: list[Callable[[Version], Iterable[str]]] = []


def version_need(function: Callable[[Version], Iterable[str]]) -> Callable:
    _needs.append(function)
    return function


def needs(version: Version) -> list[str]:
    """Why a version must not be deleted: a sentence for each thing of the floors above that names it."""
    return [sentence for function in _needs for sentence in function(version)]


_deletions: list[Callable[[Version], None]] = []


def version_deletion(function: Callable[[Version], None]) -> Callable:
    """Called in the transaction that deletes a version, just before: to let go of it, and note what must be remembered of it."""
    _deletions.append(function)
    return function


def let_go(version: Version) -> None:
    for function in _deletions:
        function(version)


_titles: list[Callable[[str], str]] = []


def method_title(function: Callable[[str], str]) -> Callable:
    _titles.append(function)
    return function


def title_of(method: str) -> str:
    """A method as people read it."""
    return next((title for function in _titles if (title := function(method))), method)


@dataclass(frozen=True)
class Telling:
    """What a version measured and how it was set, in words: {title: value}."""

    figures: dict[str, str] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)


_tellings: list[Callable[[Version], Telling]] = []


def version_telling(function: Callable[[Version], Telling]) -> Callable:
    _tellings.append(function)
    return function


def telling(version: Version) -> Telling:
    told = [function(version) for function in _tellings]
    return Telling(
        {title: text for each in told for title, text in each.figures.items()},
        {title: text for each in told for title, text in each.settings.items()},
    )


_ways: list[Callable[[User], Iterable[Section]]] = []


def playground_way(function: Callable[[User], Iterable[Section]]) -> Callable:
    """What can be done with the outputs of the playground. The template stands in its form; the outputs' tickets are sent as `ticket`."""
    _ways.append(function)
    return function


def playground_ways(user: User) -> list[Section]:
    return [section for function in _ways for section in function(user)]


_scoring_ways: list[Callable[[Version, User], Iterable[Section]]] = []


def scoring_way(function: Callable[[Version, User], Iterable[Section]]) -> Callable:
    """What else a reward model can score: a section at the end of its page of scores."""
    _scoring_ways.append(function)
    return function


def scoring_ways(version: Version, user: User) -> list[Section]:
    return [section for function in _scoring_ways for section in function(version, user)]
