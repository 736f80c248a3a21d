"""How much each person's answers follow what the others see in the same outputs: a scale per annotator."""

from collections.abc import Hashable
from dataclasses import dataclass

from .agreement import Judgements
from .figures import Figure


@dataclass(frozen=True)
class Reliability:
    """`scale`: 1 is typical of this project, 0 is ranking by chance, below 0 against the others. `ties`: odds of a tie, relative to the typical person, on
    outputs that are equally good. `n` of both counts rankings on tasks that others ranked too.
    """

    scale: Figure
    ties: Figure


def reliability(judgements: Judgements) -> dict[Hashable, Reliability]:
    """Everybody who ranked, shrunk towards 1 the more, the less they ranked together with others."""
    raise NotImplementedError
