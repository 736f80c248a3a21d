"""Rankings as preference pairs, for tools that know no tie. A tie never becomes one row with a winner.

    drop   ties are left out:            {"prompt", "chosen", "rejected"}
    both   a tie is two rows, one each way, which a loss reads as one half; same columns
    rows   no winner's column at all:    {"prompt", "completion_a", "completion_b", "label": ">" or "<" or "="}

`margin` adds the distance in tiers of a strict pair (0 for a tie). Each row says where it comes from (TRACE).
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _

from labeling.ranking import WeakOrder

TRACE = ("task", "annotator", "ranking_id", "split")


class Ties(TextChoices):
    DROP = "drop", _("leave ties out")
    BOTH = "both", _("a tie is two rows, one each way")
    ROWS = "rows", _("a label column: better, worse, tied")


@dataclass
class PairCounts:
    """How many pairs rankings hold, by split. `identical`: pairs, strict or tied, of two copies of one text."""

    strict: Counter[str] = field(default_factory=Counter)
    tied: Counter[str] = field(default_factory=Counter)
    identical: Counter[str] = field(default_factory=Counter)

    def add(self, row: dict, order: WeakOrder, split: str) -> None:
        strict, tied = order.strict_pairs(), order.tied_pairs()
        texts = row["completions"]
        self.strict[split] += len(strict)
        self.tied[split] += len(tied)
        self.identical[split] += sum(texts[a] == texts[b] for a, b in [*strict, *tied])

    def as_json(self) -> dict[str, dict[str, int]]:
        """{"strict", "tied", "identical", and the rows that each policy gives: "drop", "both", "rows"}, each by split."""
        splits = sorted(self.strict | self.tied | self.identical | dict.fromkeys([*self.strict, *self.tied], 0))
        by = {
            "strict": self.strict,
            "tied": self.tied,
            "identical": self.identical,
            Ties.DROP.value: self.strict,
            Ties.BOTH.value: self.strict + self.tied + self.tied,
            Ties.ROWS.value: self.strict + self.tied,
        }
        return {name: {split: counts[split] for split in splits} for name, counts in by.items()}


def pair_counts(rows: Iterable[dict]) -> dict[str, dict[str, int]]:
    """The counts of rows of kind "rankings"; a snapshot's manifest holds them already, as `pairs`."""
    counts = PairCounts()
    for row in rows:
        counts.add(row, _order(row), row["split"])
    return counts.as_json()


def pairs(rows: Iterable[dict], ties: str, *, margin: bool = False) -> Iterator[dict]:
    """The preference pairs of rows of kind "rankings", in TRL's format (chat prompts get chat completions)."""
    ties = Ties(ties)
    for row in rows:
        order, texts = _order(row), row["completions"]
        chat = not isinstance(row["prompt"], str)
        said = [[{"role": "assistant", "content": text}] for text in texts] if chat else texts
        tail = {key: row[key] for key in TRACE if key in row}

        def pair(better: int, worse: int, distance: int) -> dict:
            found = {"prompt": row["prompt"], "chosen": said[better], "rejected": said[worse]}  # noqa: B023
            return found | ({"margin": float(distance)} if margin else {}) | tail  # noqa: B023

        if ties == Ties.ROWS:
            yield from _labelled(row["prompt"], order, said, margin, tail)
            continue
        for better, worse in order.pairs("both" if ties == Ties.BOTH else "drop"):
            yield pair(better, worse, order.distance(better, worse))


def _labelled(prompt: str | list, order: WeakOrder, said: list, margin: bool, tail: dict) -> Iterator[dict]:
    signs = {1: ">", -1: "<", 0: "="}
    for a in range(order.items):
        for b in range(a + 1, order.items):
            if (better := order.compare(a, b)) is not None:
                row = {"prompt": prompt, "completion_a": said[a], "completion_b": said[b], "label": signs[better]}
                yield row | ({"margin": float(abs(order.distance(a, b)))} if margin else {}) | tail


def acceptable(rows: Iterable[dict]) -> Iterator[dict]:
    """{"prompt", "completion", "label": above the acceptability line}, for KTO; rankings without a line give nothing."""
    for row in rows:
        chat = not isinstance(row["prompt"], str)
        for text, good in zip(row["completions"], _order(row).acceptable(), strict=True):
            if good is not None:
                completion = [{"role": "assistant", "content": text}] if chat else text
                tail = {key: row[key] for key in TRACE if key in row}
                yield {"prompt": row["prompt"], "completion": completion, "label": good} | tail


def _order(row: dict) -> WeakOrder:
    return WeakOrder.parse(row["ranking"], items=len(row["completions"]))
