"""The weak order: one ranking of up to nine outputs, with ties, and the notation that people write it in.

    order  :=  [ "|" ] tier { ( ">" | "|" ) tier } [ "|" ]          at most one "|"
    tier   :=  letter { "=" letter }   or   "*", as the last tier

`C > B = D | A` says: C is best, B and D tie for second, A is worst; C, B and D are good enough, A is not. Spaces are free,
lower case is accepted. `*` is the rest: every output that is not named lies below each named one, and nothing is said about
their order. Without `*` a letter that is left out says nothing at all.

Standard library only: page, API, import, statistics and losses all use this one type.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import sqrt
from typing import ClassVar, Literal

MAX_ITEMS = 9
LETTERS = "ABCDEFGHI"


def gettext_noop(text: str) -> str:
    """Mark a text for translation without translating it: this module knows no Django."""
    return text


# fmt: off
MESSAGES = {
    "empty": gettext_noop("Character %(at)s: nothing is ranked yet; expected a letter from A to %(last)s."),
    "expected_letter": gettext_noop("Character %(at)s: expected a letter from A to %(last)s, found “%(found)s”."),
    "expected_sign": gettext_noop("Character %(at)s: expected >, =, | or the end, found “%(found)s”."),
    "unknown_letter": gettext_noop("Character %(at)s: there is no output %(found)s; expected a letter from A to %(last)s."),
    "repeated_letter": gettext_noop("Character %(at)s: %(found)s was already named at character %(first)s; expected another letter."),
    "ends_early": gettext_noop("Character %(at)s: the ranking ends after “%(after)s”; expected a letter from A to %(last)s."),
    "line_not_alone": gettext_noop("Character %(at)s: | takes the place of a sign; expected a letter from A to %(last)s, found “%(found)s”."),
    "second_line": gettext_noop("Character %(at)s: the line | already stands at character %(first)s; expected >, = or the end."),
    "rest_tied": gettext_noop("Character %(at)s: * lies below the named outputs; expected a letter after =, or > before *."),
    "rest_not_last": gettext_noop("Character %(at)s: * is the rest and stands at the end; expected | or the end, found “%(found)s”."),
    "rest_empty": gettext_noop("Character %(at)s: all %(items)s outputs are named, nothing is left for *; expected no *."),
    "nothing_said": gettext_noop("Character %(at)s: * alone says nothing; expected a letter from A to %(last)s before it."),
    "items": gettext_noop("A ranking has 1 to %(most)s outputs, not %(items)s."),
    "tiers": gettext_noop("A ranking names each output at most once, by a number from 0 to %(last_index)s, and has no empty tier."),
    "rest": gettext_noop("The rest is either nothing or every output that is not named."),
    "line": gettext_noop("The line lies between 0 and %(most)s tiers, not %(line)s."),
}
# fmt: on


class NotationError(ValueError):
    """What is wrong with what was written: `position` counts characters from 0 (None if it is about no place of it); `str()` is English.

    For people who read another language, the page translates `template` and fills in `params`. `messages`: {code: template} of the notation.
    """

    messages: ClassVar[dict[str, str]]

    def __init__(self, code: str, position: int | None = None, **params: object) -> None:
        self.code = code
        self.position = position
        self.params = params if position is None else {"at": position + 1, **params}
        self.template = self.messages[code]
        super().__init__(self.template % self.params)


class RankingError(NotationError):
    """What is wrong with a ranking."""

    messages = MESSAGES


@dataclass(frozen=True, slots=True)
class WeakOrder:
    """A ranking of the items 0 … items-1 (letter A is item 0).

    `tiers`: best first, each sorted. `rest`: the items behind `*`, sorted. `line`: how many tiers lie above the acceptability line, where
    the rest, if there is one, counts as one more tier at the end; None if there is no line. Two orders are equal if they say
    the same. Raises RankingError if the parts do not fit together.
    """

    items: int
    tiers: tuple[tuple[int, ...], ...]
    line: int | None = None
    rest: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not 1 <= self.items <= MAX_ITEMS:
            raise RankingError("items", items=self.items, most=MAX_ITEMS)
        tiers = tuple(tuple(sorted(tier)) for tier in self.tiers)
        rest = tuple(sorted(self.rest))
        object.__setattr__(self, "tiers", tiers)
        object.__setattr__(self, "rest", rest)
        named = [item for tier in tiers for item in tier]
        if not all(tiers) or len(set(named)) < len(named) or not set(named) <= set(range(self.items)):
            raise RankingError("tiers", last_index=self.items - 1)
        if rest and rest != tuple(sorted(set(range(self.items)) - set(named))):
            raise RankingError("rest")
        if self.line is not None and not 0 <= self.line <= len(self.levels):
            raise RankingError("line", line=self.line, most=len(self.levels))
        if not tiers and (not rest or self.line is None):
            raise RankingError("tiers", last_index=self.items - 1)

    # Making one

    @classmethod
    def parse(cls, text: str, items: int | None = None) -> "WeakOrder":
        """Read the notation. Without `items` there are as many outputs as the highest letter says. Raises RankingError."""
        return _Parser(text, items).order()

    @classmethod
    def from_ranks(cls, ranks: Sequence[float | None], line: int | None = None) -> "WeakOrder":
        """From one rank per item, lower is better, equal ranks tie, None says nothing about the item."""
        distinct = sorted({rank for rank in ranks if rank is not None})
        tiers = tuple(tuple(i for i, rank in enumerate(ranks) if rank == value) for value in distinct)
        return cls(len(ranks), tiers, line)

    # Reading it

    def __str__(self) -> str:
        levels = [" = ".join(LETTERS[item] for item in tier) for tier in self.tiers]
        if self.rest:
            levels.append("*")
        if self.line is None:
            return " > ".join(levels)
        above, below = " > ".join(levels[: self.line]), " > ".join(levels[self.line :])
        return f"{above} | {below}".strip()

    @property
    def levels(self) -> tuple[tuple[int, ...], ...]:
        """The tiers, and the rest as the last one."""
        return (*self.tiers, self.rest) if self.rest else self.tiers

    @property
    def named(self) -> tuple[int, ...]:
        return tuple(sorted(item for tier in self.tiers for item in tier))

    @property
    def unranked(self) -> tuple[int, ...]:
        """The items about which nothing is said."""
        said = {item for level in self.levels for item in level}
        return tuple(item for item in range(self.items) if item not in said)

    @property
    def is_complete(self) -> bool:
        """Every item is in a tier."""
        return sum(map(len, self.tiers)) == self.items

    @property
    def is_all_tied(self) -> bool:
        return len(self.levels) == 1 and len(self.tiers) == 1 and len(self.tiers[0]) > 1

    def ranks(self) -> tuple[int | None, ...]:
        """The level of each item, 1 is best, None if nothing is said. Equal ranks are a tie, except among the rest (`compare` knows)."""
        level_of = {item: number for number, level in enumerate(self.levels, 1) for item in level}
        return tuple(level_of.get(item) for item in range(self.items))

    def acceptable(self) -> tuple[bool | None, ...]:
        """Per item: above the line or not; None without a line or if nothing is said."""
        line = self.line
        return tuple(None if line is None or rank is None else rank <= line for rank in self.ranks())

    def compare(self, a: int, b: int) -> int | None:
        """1 if a is better than b, -1 if worse, 0 if tied, None if nothing is said about the two."""
        ranks = self.ranks()
        rank_a, rank_b = ranks[a], ranks[b]
        if rank_a is None or rank_b is None or (a in self.rest and b in self.rest):
            return None
        return (rank_b > rank_a) - (rank_b < rank_a)

    def distance(self, a: int, b: int) -> int:
        """How many tiers a lies above b (negative: below). Both must be ranked."""
        ranks = self.ranks()
        rank_a, rank_b = ranks[a], ranks[b]
        if rank_a is None or rank_b is None:
            raise ValueError("nothing is said about one of the two items")
        return rank_b - rank_a

    def strict_pairs(self) -> list[tuple[int, int]]:
        """Every (better, worse)."""
        return [
            (better, worse) for upper, lower in combinations(self.levels, 2) for better in upper for worse in lower
        ]

    def tied_pairs(self) -> list[tuple[int, int]]:
        """Every pair that is tied, the lower number first. The rest is not tied: nothing is said within it."""
        return [pair for tier in self.tiers for pair in combinations(tier, 2)]

    def pairs(self, ties: Literal["drop", "both"]) -> list[tuple[int, int]]:
        """Every (better, worse), for tools that know no tie: ties are left out, or stand twice behind the strict pairs, one each way."""
        tied = self.tied_pairs() if ties == "both" else []
        return [*self.strict_pairs(), *(pair for a, b in tied for pair in ((a, b), (b, a)))]

    # Changing the view of it

    def relabel(self, to: Sequence[int]) -> "WeakOrder":
        """Rename item i to `to[i]`, a permutation of the items. `order.relabel(display)` turns shown letters into canonical ones."""
        if sorted(to) != list(range(self.items)):
            raise ValueError("relabel needs a permutation of the items")
        return WeakOrder(
            self.items,
            tuple(tuple(to[item] for item in tier) for tier in self.tiers),
            self.line,
            tuple(to[item] for item in self.rest),
        )

    def restrict(self, keep: Iterable[int]) -> "WeakOrder | None":
        """What it says about the items in `keep` alone, which get the numbers 0 … in the order given. None if it says nothing about them.

        A tier above the line stays above it. Where the restriction names nothing, only a line can still say something.
        """
        number = {item: i for i, item in enumerate(keep)}
        levels = [tuple(number[item] for item in level if item in number) for level in self.levels]
        line = None if self.line is None else sum(1 for level in levels[: self.line] if level)
        tiers = tuple(level for level in levels[: len(self.tiers)] if level)
        rest = tuple(number[item] for item in self.rest if item in number)
        if not tiers and (not rest or line is None):
            return None
        return WeakOrder(len(number), tiers, line, rest)

    # Comparing two

    def tau_b(self, other: "WeakOrder") -> float | None:
        """Kendall's τ-b over the pairs on which both say something; None if one of them ties them all, or there are none.

        Kendall (1945): Σ a·b / √(Σ a² · Σ b²) with a, b in {1, 0, -1}.
        """
        pairs = list(self._common(other))
        norm = sqrt(sum(a * a for a, _ in pairs) * sum(b * b for _, b in pairs))
        return sum(a * b for a, b in pairs) / norm if norm else None

    def tau_x(self, other: "WeakOrder") -> float | None:
        """τ-x over the pairs on which both say something; None if there are none. A tie agrees with a tie.

        Emond and Mason (2002): the mean over ordered pairs of a·b, where a tie scores 1 in both directions.
        """
        pairs = list(self._common(other))
        if not pairs:
            return None
        both_ways = sum(
            (1 if a >= 0 else -1) * (1 if b >= 0 else -1) + (1 if a <= 0 else -1) * (1 if b <= 0 else -1)
            for a, b in pairs
        )
        return both_ways / (2 * len(pairs))

    def _common(self, other: "WeakOrder") -> Iterator[tuple[int, int]]:
        if self.items != other.items:
            raise ValueError("the two orders rank different numbers of items")
        for i, j in combinations(range(self.items), 2):
            a, b = self.compare(i, j), other.compare(i, j)
            if a is not None and b is not None:
                yield a, b


class _Parser:
    """One pass over the characters."""

    def __init__(self, text: str, items: int | None) -> None:
        if items is not None and not 1 <= items <= MAX_ITEMS:
            raise RankingError("items", items=items, most=MAX_ITEMS)
        self.text, self.items = text, items
        self.last = LETTERS[(items or MAX_ITEMS) - 1]
        self.tiers: list[list[int]] = []
        self.seen: dict[int, int] = {}  # item -> where it was named
        self.line: int | None = None
        self.line_at: int | None = None
        self.rest_at: int | None = None

    def order(self) -> WeakOrder:
        waiting: str | None = ""  # the sign that waits for its tier ("" at the start), None behind a letter
        end = len(self.text.rstrip())
        for at, char in enumerate(self.text):
            if char.isspace():
                continue
            if waiting is None:
                waiting = self._sign(at, char)
            elif char == "|" and waiting == "":
                waiting = self._draw_line(at)
            else:
                self._tier(at, char, waiting)
                waiting = None
        levels = len(self.tiers) + (self.rest_at is not None)
        if not levels and self.line is None:
            raise RankingError("empty", end, last=self.last)
        if waiting is not None and not (waiting == "|" and levels):
            raise RankingError("ends_early", end, after=waiting, last=self.last)
        items = self.items or max(self.seen, default=-1) + 1
        rest: tuple[int, ...] = ()
        if self.rest_at is not None:
            if not self.tiers and (self.line is None or self.items is None):
                raise RankingError("nothing_said", self.rest_at, last=self.last)
            rest = tuple(item for item in range(items) if item not in self.seen)
            if not rest:
                raise RankingError("rest_empty", self.rest_at, items=items)
        return WeakOrder(items, tuple(map(tuple, self.tiers)), self.line, rest)

    def _sign(self, at: int, char: str) -> str:
        """After a tier: what follows, and the sign that then waits for the next tier."""
        if char == "|":
            return self._draw_line(at)
        if self.rest_at is not None:
            raise RankingError("rest_not_last", at, found=char)
        if char not in ">=":
            raise RankingError("expected_sign", at, found=char)
        return char

    def _draw_line(self, at: int) -> str:
        if self.line_at is not None:
            raise RankingError("second_line", at, first=self.line_at + 1)
        self.line, self.line_at = len(self.tiers) + (self.rest_at is not None), at
        return "|"

    def _tier(self, at: int, char: str, sign: str) -> None:
        if self.rest_at is not None:
            raise RankingError("rest_not_last", at, found=char)
        if char == "*":
            if sign == "=":
                raise RankingError("rest_tied", at)
            self.rest_at = at
            return
        letter = char.upper()
        if not char.isascii() or not letter.isalpha():
            code = "line_not_alone" if char == "|" or (sign == "|" and char in ">=") else "expected_letter"
            raise RankingError(code, at, found=char, last=self.last)
        item = ord(letter) - ord("A")
        if letter > self.last:
            raise RankingError("unknown_letter", at, found=letter, last=self.last)
        if item in self.seen:
            raise RankingError("repeated_letter", at, found=letter, first=self.seen[item] + 1)
        self.seen[item] = at
        if sign == "=":
            self.tiers[-1].append(item)
        else:
            self.tiers.append([item])
