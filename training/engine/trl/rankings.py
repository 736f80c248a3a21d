"""Rankings as dpo and kto need them: read, tokenized, on disk; and how well a model tells better from worse on held-out ones."""

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch

from labeling.ranking import WeakOrder
from models_registry.lm.chain import Loaded, adapter_off
from models_registry.lm.packed import Group
from models_registry.lm.score import completion_logprobs, padded
from models_registry.lm.text import Prompt, encode_pairs

from ..context import Context
from ..data import as_prompt, rows
from ..intervals import clustered_share
from ..messages import Message, Refused, _
from ..moving import room
from .config import RankedSettings

AT_ONCE = 32  # answers in one forward pass


@dataclass(frozen=True)
class Ranking:
    """One person's ranking: `group` is what the model reads, its completions in the order of the letters."""

    prompt: Prompt
    group: Group
    order: WeakOrder

    def pairs(self, ties: str) -> Iterator[tuple[int, int]]:
        """(better, worse) without pairs of the very same text, which teach nothing."""
        said = self.group.completions
        yield from ((a, b) for a, b in self.order.pairs("both" if ties == "both" else "drop") if said[a] != said[b])


def read_rankings(ctx: Context, loaded: Loaded, limit: int | None) -> tuple[list[Ranking], list[Ranking]]:
    """The rankings to train on, and at most eval_rows held-out ones, of at most `limit` tokens each. A held-out prompt is not trained on.
    Refused when there is none."""
    config: RankedSettings = ctx.config
    found: dict[str, list[Ranking]] = {"train": [], "heldout": []}
    cut = 0
    weights = set()
    for row in rows(ctx.inputs["dataset"], ("rankings",)):
        ctx.pause_point()
        if row.weight == 0:
            continue
        weights.add(row.weight)
        prompt = as_prompt(row.prompt)
        encoded = encode_pairs(loaded, [(prompt, text) for text in row.completions])
        group = Group(encoded[0][0], [completion for _prompt, completion in encoded])
        short = group.cut(limit)
        cut += short is not group
        found[row.split].append(Ranking(prompt, short, row.order))
    heldout = found["heldout"]
    held = {tuple(ranking.group.prompt) for ranking in heldout}
    train = [ranking for ranking in found["train"] if tuple(ranking.group.prompt) not in held]
    if not train:
        raise Refused(Message("no-rankings", _("There is no ranking to train on: none is in the training split.")))
    if cut:
        text = _("%(number)s rankings have texts of more than %(limit)s tokens: their prompts lose their start, then their answers their end.")  # fmt: skip
        ctx.note(Message("rankings-cut", text, {"number": cut, "limit": limit}), "warning")
    if both := len(found["train"]) - len(train):
        text = _("%(number)s training rankings are left out, because their prompts are also held out.")
        ctx.note(Message("prompt-in-both", text, {"number": both}), "warning")
    if len(weights) > 1:
        text = _("The rankings have weights, which TRL's losses do not know: all of them count the same.")
        ctx.note(Message("weights-unused", text), "warning")
    if not heldout:
        text = _("No ranking is held out, so this run cannot say how well the result tells better from worse.")
        ctx.note(Message("no-heldout-rankings", text), "warning")
    return train, heldout[: config.eval_rows]


def longest(config: RankedSettings, loaded: Loaded) -> int | None:
    """Most tokens of a prompt with its answer; before anything is made to move."""
    return min(filter(None, (config.max_length, room(loaded, config.tune))), default=None)


def texts(rankings: Sequence[Ranking]) -> Iterator[Sequence[int]]:
    """Tokens of all prompts and answers."""
    return (ids for ranking in rankings for ids in (ranking.group.prompt, *ranking.group.completions))


def stored(ctx: Context, name: str, examples: list[dict[str, Any]]) -> datasets.Dataset:
    """A data set of TRL's in the run's cache, where TRL also keeps what it computes from it: a later attempt finds both."""
    digest = sha256(json.dumps(examples).encode()).hexdigest()
    folder = Path(ctx.cache) / f"{name}-{digest[:16]}"
    if not folder.exists():
        aside = folder.with_suffix(".part")
        shutil.rmtree(aside, ignore_errors=True)
        datasets.Dataset.from_list(examples).save_to_disk(str(aside))
        aside.rename(folder)
    return datasets.load_from_disk(str(folder))


def as_it_was(loaded: Loaded) -> AbstractContextManager:
    """The version that the run started from. Where all weights move: only before the first update."""
    return nullcontext() if loaded.trainable is None else adapter_off(loaded)


@torch.no_grad()
def answer_logprobs(ctx: Context, loaded: Loaded, rankings: Sequence[Ranking]) -> list[np.ndarray]:
    """Of each ranking, the summed log-probability in nats of each of its answers."""
    places = [(r, i) for r, ranking in enumerate(rankings) for i in range(ranking.order.items)]
    found = [np.zeros(ranking.order.items) for ranking in rankings]
    for begin in range(0, len(places), AT_ONCE):
        ctx.pause_point()
        some = places[begin : begin + AT_ONCE]
        groups = [(rankings[r].group.prompt, rankings[r].group.completions[i]) for r, i in some]
        with ctx.autocast():
            batch = padded([prompt for prompt, _ in groups], [answer for _, answer in groups], loaded.device)
            sums = completion_logprobs(loaded.model, batch).double().sum(1).tolist()
        for (r, i), value in zip(some, sums, strict=True):
            found[r][i] = value
    return found


def told_apart(
    rankings: Sequence[Ranking], start: Sequence[np.ndarray], end: Sequence[np.ndarray], beta: float
) -> dict[str, Any]:
    """How often strict pairs stand the right way, by the implicit reward β · (log π − log π_start) and by likelihood a token alone.

    `start` and `end`: answer_logprobs of both. Intervals are over prompts. Empty where no pair is strict.
    """
    counts: dict[tuple[int, ...], list[float]] = {}
    margins: list[float] = []
    for ranking, before, after in zip(rankings, start, end, strict=True):
        lengths = np.maximum([len(answer) for answer in ranking.group.completions], 1)
        reward = beta * (after - before)
        # pairs, and of them right by: implicit reward, likelihood of the result, likelihood of the start
        tally = counts.setdefault(tuple(ranking.group.prompt), [0.0] * 4)
        for a, b in ranking.pairs("drop"):
            margins.append(float(reward[a] - reward[b]))
            tally[0] += 1
            for place, by in enumerate((reward, after / lengths, before / lengths), 1):
                tally[place] += (float(np.sign(by[a] - by[b])) + 1) / 2
    table = np.array([tally for tally in counts.values() if tally[0]])
    if not len(table):
        return {}
    pairs, right, likely, likely_start = table.sum(0)
    low, high = clustered_share(table[:, 1].tolist(), table[:, 0].astype(int).tolist())
    return {
        "heldout_pairs": int(pairs),
        "heldout_accuracy": right / pairs,
        "heldout_accuracy_low": low,
        "heldout_accuracy_high": high,
        "heldout_margin": float(np.mean(margins)),
        "heldout_likelihood_accuracy": likely / pairs,
        "heldout_likelihood_accuracy_start": likely_start / pairs,
    }
