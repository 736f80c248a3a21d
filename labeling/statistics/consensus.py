"""What several people say together: the weak order nearest to their rankings (Kemeny), exact for up to nine outputs."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from labeling.ranking import WeakOrder

from .agreement import Judgements
from .contested import Votes


@dataclass(frozen=True)
class Consensus:
    """`order`: None where nobody said anything about any pair or line. `optima`: how many weak orders are equally near; what they disagree about is
    tied in `order`. `distance`: between `order` and all rankings together, in pairs turned round (a tie against a strict answer is half of one).
    `contested`: pairs (a < b) on which not more than half of the votes say what `order` says. `line_contested`: the line could as well lie elsewhere.
    """

    order: WeakOrder | None
    votes: Votes
    contested: tuple[tuple[int, int], ...]
    optima: int
    distance: float
    line_contested: bool

    @property
    def tiers(self) -> tuple[tuple[int, ...], ...]:
        return self.order.tiers if self.order else ()


def consensus(orders: Sequence[WeakOrder], *, weights: Sequence[float] | None = None) -> Consensus:
    """The consensus of rankings of the same outputs, one vote each, or `weights`. Raises ValueError if they rank different numbers of outputs."""
    raise NotImplementedError


def of_tasks(judgements: Judgements) -> dict[Hashable, Consensus]:
    """The consensus of each task, all at once."""
    raise NotImplementedError
