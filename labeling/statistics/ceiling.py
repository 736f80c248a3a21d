"""The human ceiling: how well one person predicts another on the same task. No model can be expected to predict people better than that."""

from dataclasses import dataclass

from .agreement import Judgements
from .figures import Figure


@dataclass(frozen=True)
class Ceiling:
    """`strict`: of the pairs that the predicted person did not tie, the share predicted in the right direction; a tie predicted is half right,
    as a model would be that cannot tell. `three_way`: share of all pairs with the same answer. `person`: by one other person; `consensus`: by the
    consensus of all others, where there are at least two. `n` counts predicted pairs.
    """

    strict_by_person: Figure
    three_way_by_person: Figure
    strict_by_consensus: Figure
    three_way_by_consensus: Figure


def human_ceiling(judgements: Judgements, *, seed: int = 0) -> Ceiling:
    """How well a person, or the consensus of the others, predicts a person."""
    raise NotImplementedError
