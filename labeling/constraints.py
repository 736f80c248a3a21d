"""What is known about the order of a task's outputs, and how much of it a ranking keeps.

    constraints  :=  chain { ("," | ";" | line break) chain }
    chain        :=  letter { (">" | ">=" | "=") letter }

`A > D` must beat, `B >= C` may not lose (a tie is allowed), `B = C` must tie. A chain says the same about every two of its letters, so a whole
ranking is fine: `C > B = D > A`. Spaces are free, lower case is accepted, `≥` is `>=`. Errors point at the character.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from labeling.ranking import LETTERS, MAX_ITEMS, NotationError, WeakOrder, gettext_noop

# fmt: off
MESSAGES = {
    "empty": gettext_noop("Nothing is asked yet; say for example A > B."),
    "expected_letter": gettext_noop("Character %(at)s: expected a letter from A to %(last)s, found “%(found)s”."),
    "ends_early": gettext_noop("Character %(at)s: it ends here; expected a letter from A to %(last)s."),
    "expected_sign": gettext_noop("Character %(at)s: expected >, >=, = or a comma, found “%(found)s”."),
    "alone": gettext_noop("Character %(at)s: %(found)s stands alone; say what it must beat, for example %(found)s > %(other)s."),
    "itself": gettext_noop("Character %(at)s: %(found)s is compared with itself."),
    "contradiction": gettext_noop("No ranking can keep all of this: it asks that %(found)s beats itself (%(way)s)."),
}
# fmt: on

BEATS, NOT_LOSES, TIES = ">", ">=", "="
_KEEPS: dict[str, Callable[[int], bool]] = {
    BEATS: lambda compared: compared > 0,
    NOT_LOSES: lambda compared: compared >= 0,
    TIES: lambda compared: compared == 0,
}
_TOKEN = re.compile(r"\s*(?:(?P<sign>>=|=>|≥|>|=)|(?P<end>[,;])|(?P<letter>[A-Za-z])|(?P<other>\S))")


class ConstraintError(NotationError):
    """What is wrong with constraints."""

    messages = MESSAGES


@dataclass(frozen=True)
class Constraint:
    """One demand on two items: `better` must stand to `worse` as `sign` says."""

    better: int
    sign: str
    worse: int

    def __str__(self) -> str:
        return f"{LETTERS[self.better]} {self.sign} {LETTERS[self.worse]}"

    def kept_by(self, order: WeakOrder) -> bool:
        """A ranking that says nothing about the two keeps nothing."""
        compared = order.compare(self.better, self.worse)
        return compared is not None and _KEEPS[self.sign](compared)


@dataclass(frozen=True)
class Constraints:
    """Demands on a ranking of `items` outputs that can all be kept at once. `text`: as they were written."""

    items: int
    each: tuple[Constraint, ...]
    text: str

    @classmethod
    def parse(cls, text: str, items: int) -> "Constraints":
        """Read the notation, for a task of `items` outputs. Raises ConstraintError."""
        if not 2 <= items <= MAX_ITEMS:
            raise ValueError(f"constraints are about 2 to {MAX_ITEMS} outputs, not {items}")
        each = tuple(dict.fromkeys(one for chain in _chains(text, items) for one in _demands(chain)))
        if not each:
            raise ConstraintError("empty")
        _refuse_contradictions(each, items)
        return cls(items, each, text)

    def __str__(self) -> str:
        return ", ".join(map(str, self.each))

    def kept(self, order: WeakOrder) -> float:
        """The share of the demands that a ranking keeps, 0 to 1."""
        return sum(one.kept_by(order) for one in self.each) / len(self.each)

    def violated(self, order: WeakOrder) -> list[str]:
        """The demands that a ranking does not keep, each in the notation."""
        return [str(one) for one in self.each if not one.kept_by(order)]

    def relabel(self, to: Sequence[int]) -> "Constraints":
        """Rename item i to `to[i]`, a permutation of the items: the demands in the letters of another order of outputs."""
        if sorted(to) != list(range(self.items)):
            raise ValueError("relabel needs a permutation of the items")
        each = tuple(Constraint(to[one.better], one.sign, to[one.worse]) for one in self.each)
        return Constraints(self.items, each, ", ".join(map(str, each)))


def _chains(text: str, items: int) -> list[list[tuple[int, str, int]]]:
    """The chains of a text, each as (where, sign before it or "", item)."""
    last = LETTERS[items - 1]
    chains: list[list[tuple[int, str, int]]] = []
    chain: list[tuple[int, str, int]] = []
    sign: str | None = ""  # the sign that waits for its letter ("" at the beginning of a chain), None behind a letter

    def close(at: int) -> None:
        if sign:
            raise ConstraintError("ends_early", at, last=last)
        if len(chain) == 1:
            where, _sign, item = chain[0]
            other = next(letter for letter in LETTERS if letter != LETTERS[item])
            raise ConstraintError("alone", where, found=LETTERS[item], other=other)
        if chain:
            chains.append(chain)

    # A line break ends a chain, like a comma.
    text = re.sub(r"[\r\n]", ",", text)
    for token in _TOKEN.finditer(text):
        kind, found = next((kind, value) for kind, value in token.groupdict().items() if value is not None)
        at = token.start(kind)
        if kind == "end":
            close(at)
            chain, sign = [], ""
        elif sign is None:
            if kind != "sign":
                raise ConstraintError("expected_sign", at, found=found)
            sign = NOT_LOSES if found in ("=>", "≥") else found
        else:
            item = LETTERS.find(found.upper())
            if kind != "letter" or not 0 <= item < items:
                raise ConstraintError("expected_letter", at, found=found, last=last)
            if item in (before for _where, _sign, before in chain):
                raise ConstraintError("itself", at, found=LETTERS[item])
            chain.append((at, sign, item))
            sign = None
    close(len(text.rstrip()))
    return chains


def _demands(chain: list[tuple[int, str, int]]) -> list[Constraint]:
    """What a chain says about every two of its letters: the strongest sign between them, where > is stronger than >= and that than =.

    `A > B = C` also asks that A beats C; of `A >= B = C` follows A >= C.
    """
    found = []
    for start, (_at, _sign, better) in enumerate(chain):
        between = TIES
        for _where, sign, worse in chain[start + 1 :]:
            between = max(between, sign, key=(TIES, NOT_LOSES, BEATS).index)
            found.append(Constraint(better, between, worse))
    return found


def _refuse_contradictions(each: Sequence[Constraint], items: int) -> None:
    """They can all be kept unless a walk along them, where = goes both ways, comes back to where it began over a >."""
    steps: list[dict[int, bool]] = [{} for _ in range(items)]  # to whom, and is it strict
    for one in each:
        steps[one.better][one.worse] = steps[one.better].get(one.worse, False) or one.sign == BEATS
        if one.sign == TIES:
            steps[one.worse].setdefault(one.better, False)
    for start in range(items):
        ways = {(start, False): LETTERS[start]}
        waiting = [(start, False)]
        while waiting:
            item, strict = waiting.pop(0)
            for following, is_strict in steps[item].items():
                reached = (following, strict or is_strict)
                if reached in ways:
                    continue
                ways[reached] = f"{ways[item, strict]} {'>' if is_strict else '>='} {LETTERS[following]}"
                waiting.append(reached)
                if reached == (start, True):
                    raise ConstraintError("contradiction", found=LETTERS[start], way=ways[reached])
