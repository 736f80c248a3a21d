"""The models behind the outputs, compared: Bradley–Terry with ties over all pairs that people ranked."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from .agreement import Judgements
from .figures import Figure
from .messages import Message


@dataclass(frozen=True)
class Strength:
    """One source of outputs. `strength`: log-odds against the mean of its group (where ties do not count), with interval; `group`: sources are
    comparable within a group. `win_share`: of its pairs, a tie counting half. `wins`, `ties`, `losses` count pairs.
    """

    source: Hashable
    group: int
    strength: Figure
    win_share: Figure
    wins: int
    ties: int
    losses: int


@dataclass(frozen=True)
class Comparison:
    """`strengths`: strongest first within each group. `wins[a][b]`: how often the a-th of them beat the b-th, `ties[a][b]` (symmetric). `tie`: the
    model's tie parameter (Davidson's ν or Rao and Kupper's θ). `groups` > 1: no chain of comparisons links the sources, and `why` says so.
    """

    strengths: tuple[Strength, ...]
    wins: tuple[tuple[int, ...], ...]
    ties: tuple[tuple[int, ...], ...]
    tie: Figure
    groups: int
    why: Message | None


def models(
    judgements: Judgements,
    sources: Mapping[Hashable, Sequence[Hashable | None]],
    *,
    model: Literal["davidson", "rao_kupper"] = "davidson",
) -> Comparison:
    """The sources of outputs by strength. `sources[task][i]`: what wrote the task's canonical output i, None if unknown (left out)."""
    raise NotImplementedError
