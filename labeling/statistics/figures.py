"""A figure of the quality page: a value with its interval, or why there is none."""

from dataclasses import dataclass

from .messages import Message


@dataclass(frozen=True)
class Figure:
    """`value` with its 95 % interval `low` … `high`.

    `n`: how many things the value is made of (the function says which), `tasks`: how many tasks they come from, `left_out`: how many had to be left
    out. `why` says why `value` is None, or, beside a value, why it has no interval.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    tasks: int = 0
    left_out: int = 0
    why: Message | None = None
