"""What moves rankings besides the outputs: the place where an output was shown, its length, and haste."""

from dataclasses import dataclass

from .agreement import Judgements
from .figures import Figure


@dataclass(frozen=True)
class Position:
    """`earlier_wins`: share of pairs in which the output shown earlier won (a tie is half); 0.5 without bias. `slope`: mean Kendall τ-b between place
    and rank within a ranking; 0 without bias, above 0 if what is shown earlier is ranked better. `places[i]`: how much more than half of its pairs an
    output wins when shown as letter i.
    """

    earlier_wins: Figure
    slope: Figure
    places: tuple[Figure, ...]


@dataclass(frozen=True)
class Length:
    """`longer_wins`: share of strict pairs of unequal length that the longer output won. `slope`: change of the log-odds of winning for each doubling of
    the length. `ties`: share of ties among the pairs of unequal length. Longer outputs can also be better: compare projects, and the reward model.
    """

    longer_wins: Figure
    slope: Figure
    ties: Figure


@dataclass(frozen=True)
class Speed:
    """`thirds`: mean τ-x with the others of each person's fastest, middle and slowest third of rankings. `slope`: change of τ-x with each doubling of the
    time, against the same person's other rankings. `too_fast`: share of rankings for which the outputs can hardly have been read. `seconds`: median time.
    """

    thirds: tuple[Figure, Figure, Figure]
    slope: Figure
    too_fast: Figure
    seconds: Figure


def position(judgements: Judgements, *, seed: int = 0) -> Position:
    """Does the place where an output was shown predict its rank?"""
    raise NotImplementedError


def length(judgements: Judgements, *, seed: int = 0) -> Length:
    """Do longer outputs win?"""
    raise NotImplementedError


def speed(judgements: Judgements, *, seed: int = 0) -> Speed:
    """Do quick rankings agree less with the others?"""
    raise NotImplementedError
