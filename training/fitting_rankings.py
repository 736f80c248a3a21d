"""Why rankings could not teach a reward model on this base, as far as their first rows and its files tell: only ties, no acceptability line, texts
longer than the model, no token that could pad. Loads no torch."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path

from django.utils.translation import gettext as _

from labeling.datasets.store import rows_of
from labeling.models import Dataset
from labeling.ranking import RankingError, WeakOrder
from models_registry.lm.padding import filler, special_tokens
from models_registry.models import Head, Version

from .engine.methods.reward.config import Config
from .engine.methods.reward.padding import becomes_padding, nothing_pads
from .failures import said

LOOKED_AT = 1000  # rankings; the run looks at all
MERGED = 2  # tokens that may become fewer where a prompt and its completion meet


def misfits(config: Config, base: Version | None, data: Dataset) -> Iterator[tuple[str, str]]:
    """(name of the form's field, sentence) of what is known before the run."""
    place = {"dataset": data.name, "number": data.rows}
    if base is not None and _special_tokens(base) == {}:
        yield "inputs.base", said([nothing_pads().as_json()])[0]
    if data.rows and not data.splits.get("heldout"):
        text = _("None of the %(number)s rankings of %(dataset)s is held out, so nothing could be said about how good the reward model is. Hold out some prompts: by the share that a project or an upload sets aside, or in the column “split”.")  # fmt: skip
        yield "inputs.dataset", text % place
    if data.splits.get("heldout") and not data.splits.get("train"):
        text = _("All %(number)s rankings of %(dataset)s are held out, so there is none to learn from. Hold out fewer prompts.")  # fmt: skip
        yield "inputs.dataset", text % place
    if not (data.folder / "data.jsonl").exists():
        return
    for split in sorted(_without_better(data)):
        text = (
            _("All %(number)s held-out rankings of %(dataset)s tie everything, so nothing could be said about how good the reward model is. Hold out more prompts, or let more be ranked.")
            if split == "heldout"
            else _("All %(number)s training rankings of %(dataset)s tie everything: they say of no output that it is better than another. Let more be ranked, or outputs that differ more.")
        )  # fmt: skip
        yield "inputs.dataset", text % {**place, "number": data.splits[split]}
    if config.line_weight and data.splits.get("train") and data.rows <= LOOKED_AT and not _seen(data.folder).has_line:
        text = _("None of the %(number)s training rankings of %(dataset)s has an acceptability line, so they cannot teach what is good enough: set the weight of the line to 0, or let people draw it.")  # fmt: skip
        yield "config.line_weight", text % {**place, "number": data.splits["train"]}
    room = _room(config, base)
    if base is None or room is None or config.truncate:
        return
    tokenizer = base.chain()[0].folder / "tokenizer.json"
    found = _too_long(data.folder, tokenizer, room) if tokenizer.exists() else None
    if found:
        text = _("At least %(number)s of the first %(all)s rankings have texts longer than the %(limit)s tokens that there is room for (the longest: %(longest)s). Cutting them would drop %(tokens)s tokens of these, from the start of their prompts first: allow it, or take a model that holds more.")  # fmt: skip
        params = {"number": found.number, "all": found.looked_at, "longest": found.longest, "tokens": found.tokens}
        yield "config.truncate", text % {**params, "limit": room}


def remarks(base: Version) -> Iterator[str]:
    """What the run will do to the base that nobody asked for."""
    if base.head == Head.LM and (tokens := _special_tokens(base)) and "pad_token" not in tokens:
        yield said([becomes_padding(filler(tokens)).as_json()])[0]


def _special_tokens(base: Version) -> dict[str, str] | None:
    return special_tokens(base.chain()[0].folder)


def _room(config: Config, base: Version | None) -> int | None:
    """Most tokens of a text; None where there is no end."""
    held = base.context_length - getattr(config.tune, "length", 0) if base and base.context_length else None
    return min(filter(None, (config.max_length, held)), default=None)


def _order(row: dict) -> WeakOrder | None:
    """None where the row is none: the run says where and why."""
    try:
        return WeakOrder.parse(row["ranking"], items=len(row["completions"]))
    except (RankingError, KeyError, TypeError):
        return None


def _without_better(data: Dataset) -> frozenset[str]:
    """The splits in which no ranking calls any output better than another; of a large data set only where it says so itself."""
    if counted := data.manifest.get("pairs"):
        return frozenset(split for split in data.splits if data.splits[split] and not counted["strict"].get(split))
    return _seen(data.folder).without_better if data.rows <= LOOKED_AT else frozenset()


@dataclass(frozen=True)
class Seen:
    """`has_line`: whether a training ranking has an acceptability line."""

    without_better: frozenset[str] = frozenset()
    has_line: bool = True


@lru_cache(maxsize=256)
def _seen(folder: Path) -> Seen:
    """A data set's folder never changes, and a form looks at it again and again."""
    seen, better, has_line = set(), set(), False
    for row in rows_of(folder):
        if (order := _order(row)) is None:
            return Seen()
        split = row.get("split", "train")
        seen.add(split)
        if order.strict_pairs():
            better.add(split)
        has_line |= split == "train" and order.line is not None
    return Seen(frozenset(seen - better), has_line)


@dataclass(frozen=True)
class TooLong:
    number: int  # rankings
    looked_at: int
    longest: int  # tokens
    tokens: int  # that would be cut


@lru_cache(maxsize=256)
def _too_long(folder: Path, tokenizer: Path, limit: int) -> TooLong | None:
    """Counts texts alone, without what a model puts before and behind them: never more than the run finds. Chats are left to the run."""
    from tokenizers import Tokenizer

    tokens = Tokenizer.from_file(str(tokenizer))
    tokens.no_truncation()
    tokens.no_padding()
    rows = [row for row in islice(rows_of(folder), LOOKED_AT) if isinstance(row.get("prompt"), str) and _order(row)]
    if not rows:
        return None

    def lengths(texts: list[str]) -> list[int]:
        return [len(found.ids) for found in tokens.encode_batch(texts, add_special_tokens=False)]

    said = [[text for item, text in enumerate(row["completions"]) if item not in _order(row).unranked] for row in rows]
    prompts = lengths([row["prompt"] for row in rows])
    completions = iter(lengths([text for texts in said for text in texts]))
    longest = [p + max(next(completions) for _text in texts) - MERGED for p, texts in zip(prompts, said, strict=True)]
    excess = [length - limit for length in longest if length > limit]
    return TooLong(len(excess), len(rows), max(longest), sum(excess)) if excess else None
