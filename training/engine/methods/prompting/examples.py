"""Examples for a prompt, drawn from the training rows of a data set: the same seed draws the same ones."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from models_registry.lm.hard_prompt import Example

from ...data import LabelledRow, SftRow, as_prompt
from ...messages import Message, _


@dataclass(frozen=True)
class Drawn:
    """`examples` in the order in which they stand in the prompt. `labels`: how many training rows have each label; empty without labels."""

    examples: list[Example]
    labels: Counter[str]
    notes: list[Message]


@dataclass(frozen=True)
class _Candidate:
    """A row that may be drawn; the smallest numbers are."""

    number: float
    input: str
    output: str
    label: str


def draw(
    train: Iterable[LabelledRow | SftRow],
    heldout: Iterable[LabelledRow | SftRow],
    *,
    shots: int,
    balanced: bool,
    words: dict[str, str],
    seed: int,
) -> Drawn:
    """`shots` different training rows; `balanced`: of each label as many as of any other, the odd ones by lot.

    A text that also stands in a held-out row is not drawn. `words`: how labels are written; a label that is not named is written as it is.
    """
    unseen = {asked(row) for row in heldout}
    random = np.random.Generator(np.random.Philox(key=[seed, 0]))
    labels: Counter[str] = Counter()
    best: dict[str, list[_Candidate]] = defaultdict(list)  # by label: the smallest numbers so far
    texts: set[str] = set()
    also_heldout = 0
    for row in train:
        number = random.random()
        label = row.label if isinstance(row, LabelledRow) else ""
        labels[label] += isinstance(row, LabelledRow)
        text = asked(row)
        if text in unseen:
            also_heldout += 1
        elif text not in texts:
            texts.add(text)
            kept = best[label if balanced else ""]
            kept.append(_Candidate(number, text, _answer(row, words), label))
            if len(kept) > 2 * shots + 16:
                kept[:] = sorted(kept, key=lambda one: one.number)[:shots]
    chosen: list[_Candidate] = []
    queues = [sorted(best[label], key=lambda one: one.number)[:shots] for label in sorted(best)]
    while len(chosen) < shots and any(queues):
        # One of each label in turn; in the last round, when not all can have one, the lot decides.
        round_ = [queue.pop(0) for queue in queues if queue]
        chosen += sorted(round_, key=lambda one: one.number)[: shots - len(chosen)]
    order = random.permutation(len(chosen))
    notes = []
    if len(chosen) < shots:
        text = _("Only %(found)s of %(wanted)s examples could be drawn: the data set has no more training rows.")
        notes.append(Message("few-examples", text, {"found": len(chosen), "wanted": shots}))
    if also_heldout and shots:
        text = _("%(number)s training rows were not drawn from, because their texts are also held out.")
        notes.append(Message("heldout-not-drawn", text, {"number": also_heldout}))
    return Drawn([Example(input=chosen[i].input, output=chosen[i].output) for i in order], +labels, notes)


def asked(row: LabelledRow | SftRow) -> str:
    """The text that a row asks about; of messages the last turn."""
    if isinstance(row, LabelledRow):
        return row.text
    prompt = as_prompt(row.prompt)
    return prompt if isinstance(prompt, str) else prompt[-1]["content"]


def _answer(row: LabelledRow | SftRow, words: dict[str, str]) -> str:
    if isinstance(row, LabelledRow):
        return words.get(row.label, row.label)
    completion: Any = as_prompt(row.completion)
    return completion if isinstance(completion, str) else "\n".join(part["content"] for part in completion)
