"""What a reward model says of many outputs of many prompts, each prompt computed once; and its score after every token of an output."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from transformers import PreTrainedModel

from .chain import Loaded, active_head
from .heads import read_scale
from .members import members_of
from .packed import ROWS, Group, Way, pooled, probe, read, separate
from .text import Prompt, decode_completion, encode_pairs

TOKENS_AT_ONCE = 8192
Asked = tuple[Prompt, Sequence[str]]  # a prompt and its completions


@dataclass(frozen=True)
class Score:
    """Of the completion at `place` of the row `row`, on the scale that lies beside the weights. `cut`: the context did not hold all of it.

    `by_head`: what each head of an ensemble says, `value` being their mean; None where the model has one.
    """

    row: int
    place: int
    value: float
    cut: bool
    by_head: tuple[float, ...] | None = None
    trace: tuple["Point", ...] | None = None


@dataclass(frozen=True)
class Point:
    """A token of a completion: the text that it adds (none: a special token, or a part of a character), and the score of all up to it."""

    text: str
    score: float


@dataclass(frozen=True)
class _Part:
    """Completions that go through the model together, and where each belongs: (row, place)."""

    group: Group
    places: list[tuple[int, int]]
    cut: bool


@torch.inference_mode()
def judge(loaded: Loaded, rows: Sequence[Asked], *, way: Way | None = None) -> Iterator[list[Score]]:
    """Score every completion of every row, batch by batch, in no order: the numbers of score.rewards, with each prompt computed once.

    `way`: how they go through the model (lm.packed); None: the fastest that is right, see fastest_way. What is longer than the model's
    context loses the start of its prompt, each completion for itself, as in score.rewards.
    """
    parts = _parts(loaded, rows)
    way = way or fastest_way(loaded, [part.group for part in parts])
    heads = _Heads(loaded)
    for batch in _batches(parts, way):
        told = heads.read(pooled(loaded.model, ROWS[way]([part.group for part in batch])))
        found = []
        for part in batch:
            for row, place in part.places:
                value, by_head = next(told)
                found.append(Score(row, place, value, part.cut, by_head))
        yield found


@torch.inference_mode()
def trace(loaded: Loaded, rows: Sequence[Asked]) -> Iterator[list[Score]]:
    """As judge, with the score after every token of each completion: the head is read at all of them, and the last one gives the score."""
    heads = _Heads(loaded)
    for batch in _batches(_parts(loaded, rows), "separate"):
        packed = separate([part.group for part in batch]).to(loaded.device)
        hidden = loaded.model.base_model(
            input_ids=packed.ids, attention_mask=packed.mask, position_ids=packed.positions, use_cache=False
        ).last_hidden_state
        values = heads.scale.apply(heads.head(hidden).squeeze(-1).float())
        told_of = heads.read(hidden[packed.ends[:, 0], packed.ends[:, 1]])
        line, found = 0, []
        for part in batch:
            start = len(part.group.prompt)
            for (row, place), ids in zip(part.places, part.group.completions, strict=True):
                # An empty completion is read at the prompt's last token.
                told = values[line, start : start + len(ids)].tolist() or values[line, start - 1 : start].tolist()
                points = tuple(Point(*each) for each in zip(pieces(loaded, ids), told, strict=False))
                found.append(Score(row, place, told[-1], part.cut, next(told_of)[1], points))
                line += 1
        yield found


class _Heads:
    """What reads pooled states: the model's head, on the model's scale, and the members of an ensemble where it is one."""

    def __init__(self, loaded: Loaded) -> None:
        self.model, self.head, self.members = loaded.model, active_head(loaded), members_of(loaded)
        self.scale = read_scale(loaded.folders[-1])

    def read(self, hidden: Tensor) -> Iterator[tuple[float, tuple[float, ...] | None]]:
        """(N, hidden) → the score of each, and what each member says."""
        values = self.scale.apply(read(self.model, hidden)).tolist()
        if self.members is None:
            return ((value, None) for value in values)
        by_head = self.scale.apply(self.members(hidden, self.head.bias)).tolist()
        return zip(values, map(tuple, by_head), strict=True)


def pieces(loaded: Loaded, ids: Sequence[int]) -> list[str]:
    """The text that each token of a completion adds; a character of several tokens comes with its last one, special tokens add nothing."""
    found, before, start = [], 0, 0
    for end in range(1, len(ids) + 1):
        # Decoded behind the piece before it: what some tokenizers do to the beginning of a text must not happen in the middle.
        told = decode_completion(loaded, ids[before:start])
        text = decode_completion(loaded, ids[before:end])
        if text.endswith("\ufffd") and end < len(ids):
            found.append("")
            continue
        found.append(text[len(told) :])
        before, start = start, end
    return found


# (way, the longest text it was probed with) of each loaded model, by the adapters that are on
_probed: WeakKeyDictionary[PreTrainedModel, dict[tuple[str, ...], tuple[Way, int]]] = WeakKeyDictionary()


def fastest_way(loaded: Loaded, groups: Sequence[Group]) -> Way:
    """Probed once for each loaded chain, and again only for longer texts than before: at their length rounded up to a power of two, since a
    sliding window goes wrong where a text is longer than it."""
    longest = max((group.longest for group in groups), default=0)
    known = _probed.setdefault(loaded.model, {})
    way, length = known.get(loaded.on, ("flat", 0))
    if longest > length and way != "separate":
        length = min(1 << (longest - 1).bit_length(), loaded.context_length or longest * 2)
        widest = sorted(groups, key=lambda group: group.longest)[-2:]
        way = probe(loaded.model, [_stretched(group, length) for group in widest]).way
        known[loaded.on] = way, length
    return way


def _stretched(group: Group, length: int) -> Group:
    """With its prompt repeated until the longest completion ends at `length`."""
    ids = [*group.prompt, *max(group.completions, key=len)]
    room = max(length - max(map(len, group.completions)), len(group.prompt))
    return Group((ids * (room // len(ids) + 1))[:room], group.completions)


def _parts(loaded: Loaded, rows: Sequence[Asked]) -> list[_Part]:
    encoded = iter(encode_pairs(loaded, [(prompt, text) for prompt, texts in rows for text in texts]))
    limit = loaded.context_length
    parts = []
    for row, (_prompt, texts) in enumerate(rows):
        pairs = [next(encoded) for _text in texts]
        whole = [n for n, (start, ids) in enumerate(pairs) if limit is None or len(start) + len(ids) <= limit]
        for some in _runs(whole, [len(ids) for _start, ids in pairs]):
            group = Group(pairs[0][0], [pairs[n][1] for n in some])
            parts.append(_Part(group, [(row, n) for n in some], False))
        for n in sorted(set(range(len(pairs))) - set(whole)):
            start, ids = pairs[n]
            parts.append(_Part(Group(start, [ids]).cut(limit), [(row, n)], True))
    return parts


def _runs(numbers: Sequence[int], lengths: Sequence[int]) -> Iterator[list[int]]:
    """The completions of one prompt, no more at once than TOKENS_AT_ONCE, one at least."""
    run: list[int] = []
    for number in numbers:
        if run and sum(lengths[n] for n in [*run, number]) > TOKENS_AT_ONCE:
            yield run
            run = []
        run.append(number)
    if run:
        yield run


def _batches(parts: Sequence[_Part], way: Way) -> Iterator[list[_Part]]:
    """Of like length, so that little is padded; as many as fit into TOKENS_AT_ONCE, one at least."""
    batch: list[_Part] = []
    for part in sorted(parts, key=lambda part: part.group.packed_length):
        if batch and _tokens([*batch, part], way) > TOKENS_AT_ONCE:
            yield batch
            batch = []
        batch.append(part)
    if batch:
        yield batch


def _tokens(batch: Sequence[_Part], way: Way) -> int:
    """That the model computes, padding included."""
    groups = [part.group for part in batch]
    if way == "flat":
        return sum(group.packed_length for group in groups)
    if way == "masked":
        return len(groups) * max(group.packed_length for group in groups)
    return sum(len(group.completions) for group in groups) * max(group.longest for group in groups)
