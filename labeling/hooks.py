"""How the floors above add to a data set's page what this floor cannot know: the runs and versions that used it.

    @dataset_section
    def runs(dataset, user): yield Section(title, "training/used_by.html", {"runs": runs})

    @dataset_usage
    def counts(datasets): return {dataset.pk: number of runs, …}

    @dataset_need
    def runs(dataset): yield _("The run “%(run)s” used it.") % …                # why it cannot be deleted

Register from the AppConfig's ready(). The page includes each template with `data=section.data`, in the order of registration.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from labeling.models import Dataset
from people.models import User


@dataclass(frozen=True)
class Section:
    """A part of a data set's page. `use`: somebody used it. `next`: what can be done with it, under "What to do next"."""

    title: str
    template: str
    data: dict = field(default_factory=dict)
    place: Literal["use", "next"] = "use"


_sections: list[Callable[[Dataset, User], Iterable[Section]]] = []
_usage: list[Callable[[Sequence[Dataset]], dict[int, int]]] = []


def dataset_section(function: Callable[[Dataset, User], Iterable[Section]]) -> Callable:
    _sections.append(function)
    return function


def dataset_usage(function: Callable[[Sequence[Dataset]], dict[int, int]]) -> Callable:
    _usage.append(function)
    return function


_needs: list[Callable[[Dataset], Iterable[str]]] = []


def dataset_need(function: Callable[[Dataset], Iterable[str]]) -> Callable:
    _needs.append(function)
    return function


def needs(dataset: Dataset) -> list[str]:
    """Why a data set must not be deleted: a sentence for each thing of the floors above that names it."""
    return [sentence for function in _needs for sentence in function(dataset)]


def sections(dataset: Dataset, user: User) -> list[Section]:
    return [section for function in _sections for section in function(dataset, user)]


def uses(datasets: Sequence[Dataset]) -> Counter[int]:
    """How often each was used, by its pk; 0 for those nobody used."""
    return sum((Counter(function(datasets)) for function in _usage), Counter())
