"""How the apps tell the audit trail what their verbs mean: sentences, links, which of them are routine, and what they belong to.

    trail.say(_("Projects"), {"project.create": _("%(actor)s created the project %(object)s.")})
    trail.link("labeling.Task", lambda task: reverse(…))
    trail.routine("task.claim", …)

    @trail.words("tasks.assign")          # what a sentence says besides the entry's data as they are
    def to_whom(data): return {"to": …}

Register from the AppConfig's ready(). Knows no models: people.models imports it.
"""

from collections.abc import Callable, Mapping
from typing import Any

ROUTINE: set[str] = set()  # verbs of every turn at the board
SENTENCES: dict[str, Any] = {}  # lazy translations, filled with actor, object and the data of the entry
HEADINGS: dict[str, Any] = {}  # by verb; lazy translations
WORDS: dict[str, Callable[[Mapping[str, Any]], dict[str, str]]] = {}  # by verb
LINKS: dict[str, Callable[[Any], str]] = {}  # by the label of the model; without one, its get_absolute_url
_finders: list[Callable[[Any], str]] = []


def say(under: Any, sentences: Mapping[str, Any]) -> None:
    """`under`: the heading of these verbs where one is chosen."""
    SENTENCES.update(sentences)
    HEADINGS.update(dict.fromkeys(sentences, under))


def words(*verbs: str) -> Callable:
    def register(function: Callable[[Mapping[str, Any]], dict[str, str]]) -> Callable:
        WORDS.update(dict.fromkeys(verbs, function))
        return function

    return register


def link(label: str, address_of: Callable[[Any], str]) -> None:
    LINKS[label] = address_of


def routine(*verbs: str) -> None:
    ROUTINE.update(verbs)


def finds_place(function: Callable[[Any], str]) -> Callable[[Any], str]:
    """`function(object)` is the name of the place that the object belongs to, "labeling.project:12", or ""."""
    _finders.append(function)
    return function


def place_of(obj: Any) -> str:
    return next((place for function in _finders if (place := function(obj))), "")
