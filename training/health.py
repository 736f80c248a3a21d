"""The health panel of a run's page: what was noted, when, and what to do about it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.utils.translation import gettext as _

from . import reading
from .advice import ADVICE, WATCHED
from .curves import title_of
from .failures import said
from .fields import Field, all_leaves, as_text, default_values, flat
from .models import Run
from .reading import Events


@dataclass(frozen=True)
class Try:
    """What to do: a sentence; the settings to change, in words; the form of a run with them. The last two are empty where none would help."""

    text: str
    settings: str
    address: str


@dataclass(frozen=True)
class Note:
    """`level`: good, info or warning; `step`: after which update it was said, None where that says nothing."""

    level: str
    text: str
    step: int | None = None
    advice: Try | None = None

    @property
    def is_warning(self) -> bool:
        return self.level == "warning"


@dataclass(frozen=True)
class Mark:
    """A word for what is wrong with a run's result, and the whole sentence."""

    word: str
    text: str


def mark(run: Run) -> Mark | None:
    """The first grave thing that the run warned of. From its folder alone: no query."""
    if run.method not in WATCHED:
        return None
    for message in reading.warnings(run.folder):
        advice = ADVICE.get(message.get("id", ""))
        if advice and advice.mark:
            return Mark(_(advice.mark), said([message])[0])
    return None


class Health:
    """`fields`: the settings of the method; `again`: the address of a form with the run's settings and some of them changed."""

    def __init__(self, run: Run, events: Events, fields: list[Field], again: Callable[[dict[str, Any]], str]) -> None:
        self.run, self.events, self.fields, self.again = run, events, fields, again

    @property
    def is_watched(self) -> bool:
        """Whether the method looks after every update at what may be wrong."""
        return self.run.method in WATCHED

    @cached_property
    def notes(self) -> list[Note]:
        """Each sentence once, where it was said first; warnings before the rest."""
        notes: dict[str, Note] = {}
        for event in self.events.notes:
            message = event["message"]
            text = said([message])[0]
            step = event["step"] if self.is_watched else None
            notes.setdefault(
                text, Note(event.get("level", "info"), text, step or None, self._try(message.get("id", "")))
            )
        for name in sorted(self.events.not_finite):
            text = _("“%(curve)s” was infinite or not a number at some step: the training is unstable.")
            text %= {"curve": title_of(name)}
            notes[text] = Note("warning", text)
        return sorted(notes.values(), key=lambda note: not note.is_warning)

    @property
    def is_well(self) -> bool:
        """Whether it was looked at, and nothing is wrong so far."""
        return self.is_watched and self.events.step > 0 and not any(note.is_warning for note in self.notes)

    def _try(self, name: str) -> Try | None:
        advice = ADVICE.get(name) if self.is_watched else None
        if advice is None:
            return None
        config: Mapping[str, Any] = default_values(self.fields) | dict(flat(self.run.config))
        tried = {path: change(config[path]) for path, change in advice.changes.items() if path in config}
        new = {path: value for path, value in tried.items() if value != config[path]}
        fields = {each.path: each for each in all_leaves(self.fields)}
        words = ", ".join(f"{fields[path].title} {as_text(fields[path], value)}" for path, value in new.items())
        return Try(_(advice.text), words, self.again(new) if new else "")
