"""How far people agree: three-way agreement on pairs, Krippendorff's α, Kendall's τ-b and τ-x."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

from .figures import Figure
from .judgements import Judgement, Table

Judgements = Sequence[Judgement] | Table


@dataclass(frozen=True)
class Agreement:
    """Of two people who both said something about a pair of outputs. `n` of every figure counts such comparisons.

    raw: share with the same answer of >, =, <. chance_corrected: Scott's π. strict: share of the same direction where neither tied.
    ties: share of ties among their answers. The comparisons add up: same (direction) + opposite + both_tied + one_tied.
    """

    raw: Figure
    chance_corrected: Figure
    strict: Figure
    ties: Figure
    same: int
    opposite: int
    both_tied: int
    one_tied: int


@dataclass(frozen=True)
class Summary:
    """The agreement of some judgements: of all, of one person with the others, or of one slice."""

    rankings: int
    three_way: Agreement
    tau_b: Figure
    tau_x: Figure


@dataclass(frozen=True)
class Themselves:
    """How far people agree with what they said about the same task before."""

    everyone: Summary
    people: dict[Hashable, Summary]


def three_way(judgements: Judgements, *, seed: int = 0) -> Agreement:
    """Agreement of different people on the pairs of a task that both named."""
    raise NotImplementedError


def alpha(judgements: Judgements, *, metric: Literal["ordinal", "nominal"] = "ordinal", seed: int = 0) -> Figure:
    """Krippendorff's α: ordinal on the places of outputs, nominal on the answers >, =, < to pairs. `n`: pairable values."""
    raise NotImplementedError


def tau_b(judgements: Judgements, *, seed: int = 0) -> Figure:
    """Kendall's τ-b, mean over every two people on the same task (`n`); left out are those of whom one tied everything."""
    raise NotImplementedError


def tau_x(judgements: Judgements, *, seed: int = 0) -> Figure:
    """τ-x (Emond and Mason 2002), mean over every two people on the same task (`n`)."""
    raise NotImplementedError


def summary(judgements: Judgements, *, seed: int = 0) -> Summary:
    """Three-way agreement, τ-b and τ-x of all."""
    raise NotImplementedError


def by_annotator(judgements: Judgements, *, seed: int = 0) -> dict[Hashable, Summary]:
    """Each person's agreement with the others on the same tasks; everybody who ranked is listed."""
    raise NotImplementedError


def with_themselves(judgements: Judgements, *, seed: int = 0) -> Themselves:
    """Agreement between a person's repeated judgements of the same task; `people` holds those who have some."""
    raise NotImplementedError


def by_slice(judgements: Judgements, name: str, *, seed: int = 0) -> dict[str, Summary]:
    """Agreement within each value of a slice, sorted by value; the slice "K" is the number of outputs."""
    raise NotImplementedError


def on_question(judgements: Judgements, key: str, *, seed: int = 0) -> Figure:
    """Krippendorff's α, ordinal, of the answers to a question with numbers about each output. `n`: pairable values."""
    raise NotImplementedError
