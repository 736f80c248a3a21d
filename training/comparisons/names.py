"""What the methods of a comparison are called: as somebody called them, else after what they are, in the language of who reads."""

from collections.abc import Iterable, Set

from django.utils.text import slugify

from . import menu
from .models import Entry


def names(entries: Iterable[Entry]) -> dict[int, str]:
    """The name of each entry of one comparison, by its position; no two have the same."""
    entries = list(entries)
    taken = {entry.label for entry in entries if entry.label}
    found = {}
    for entry in entries:
        found[entry.position] = entry.label or free(menu.called(entry.method, entry.config)[1], taken)
        taken.add(found[entry.position])
    return found


def name_of(entry: Entry) -> str:
    """Of an entry that is saved, or is about to be."""
    return names([*entry.comparison.entries.exclude(pk=entry.pk), entry])[entry.position]


def slug_of(entry: Entry) -> str:
    """What stands for it in the names of its runs and models, which have no language: its own name, or its key in the menu."""
    own = slugify(entry.label) or menu.called(entry.method, entry.config)[0]
    alike = (each for each in entry.comparison.entries.all() if each.position < entry.position)
    return free(own, {slugify(each.label) or menu.called(each.method, each.config)[0] for each in alike}, "-")


def free(name: str, taken: Set[str], between: str = " ") -> str:
    """The name, or with a number behind it where it is taken."""
    numbered = (name if number == 1 else f"{name}{between}{number}" for number in range(1, len(taken) + 2))
    return next(each for each in numbered if each not in taken)
