"""What all statistics are computed from: one person's ranking of one task, and many of them as arrays."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field

from labeling.ranking import WeakOrder


@dataclass(frozen=True, slots=True)
class Judgement:
    """One person's ranking of one task. Everything but the first three may be missing where it is not known.

    `order` is in canonical letters. `repeat`: 0 for the first judgement of this task by this person, 1, 2, … for later ones: those count for nothing but
    agreement with themselves. `display[i]`: the canonical position of the output shown as letter i. `lengths`: characters of each output, canonical.
    `seconds` of active work. `answers`: per question with numbers (a scale), one per output, canonical, None where not answered.
    `slices`: {name: value}, e.g. {"round": "3", "language": "de"}; the number of outputs is the slice "K" by itself.
    """

    task: Hashable
    annotator: Hashable
    order: WeakOrder
    repeat: int = 0
    display: tuple[int, ...] = ()
    lengths: tuple[int, ...] = ()
    seconds: float | None = None
    answers: Mapping[str, Sequence[float | None]] = field(default_factory=dict)
    slices: Mapping[str, str] = field(default_factory=dict)


class Table:
    """Judgements as arrays. Every statistic takes judgements or a Table; a page that asks for many makes the Table once: `Table.of(judgements)`."""

    @classmethod
    def of(cls, judgements: "Sequence[Judgement] | Table") -> "Table":
        raise NotImplementedError
