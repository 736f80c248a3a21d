"""The rankings of a run, tokenized, and whether they can be trained on: every problem is told before the first update."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from labeling.ranking import WeakOrder
from models_registry.lm.chain import Loaded
from models_registry.lm.heads import can_pad
from models_registry.lm.packed import Group
from models_registry.lm.text import encode_pairs

from ...context import Context
from ...data import RankingRow, as_prompt, rows
from ...messages import Message, Refused, _
from ...moving import room
from .config import METHOD, Config
from .padding import nothing_pads


@dataclass(frozen=True)
class Ranking:
    """One person's ranking of the completions of one prompt. Completions about which nothing is said are not in it.

    The loss sees a ranking through `order`, the model through `group`; `weight` has mean 1 over the training set.
    """

    group: Group
    order: WeakOrder
    weight: float
    tokens: tuple[int, ...]  # length of each completion before anything was cut, at least 1
    annotator: str | None
    prompt: str  # as one text
    task: Hashable  # names the outputs: rankings of the same have the same
    whole: WeakOrder  # ranks all of them
    said: tuple[int, ...]  # those that `order` is about


def read_rankings(ctx: Context, loaded: Loaded) -> tuple[list[Ranking], list[Ranking]]:
    """The rankings to train on and the held-out ones. Raises Refused with everything that stands in the way."""
    config: Config = ctx.config
    limit = min(filter(None, (config.max_length, room(loaded, config.tune))), default=None)
    found: dict[str, list[Ranking]] = {"train": [], "heldout": []}
    silent = {"train": 0, "heldout": 0}
    for row in rows(ctx.inputs["dataset"], METHOD.inputs["dataset"].accepts):
        ranking = tokenized(loaded, row, line_says=config.line_weight > 0)
        if ranking is None:
            silent[row.split] += 1
        else:
            found[row.split].append(ranking)
    heldout = found["heldout"]
    held = {tuple(ranking.group.prompt) for ranking in heldout}
    alone = [ranking for ranking in found["train"] if tuple(ranking.group.prompt) not in held]
    train = some_prompts(alone, config.train_share)

    problems: list[Message] = []
    if not train:
        problems.append(_nothing_to_train_on(len(found["train"]), silent["train"], len(heldout) + silent["heldout"]))
    elif not any(ranking.order.strict_pairs() for ranking in train):
        text = _("All %(number)s training rankings tie everything: they say of no output that it is better than another. Let more be ranked, or outputs that differ more.")  # fmt: skip
        problems.append(Message("all-tied", text, {"number": len(train)}))
    elif sum(ranking.weight for ranking in train) <= 0:
        text = _("All %(number)s training rankings have weight 0. Give some of them a larger one.")
        problems.append(Message("no-weight", text, {"number": len(train)}))
    if train and config.line_weight and not any(ranking.order.line is not None for ranking in train):
        text = _("None of the %(number)s training rankings has an acceptability line, so they cannot teach what is good enough: set the weight of the line to 0, or let people draw it.")  # fmt: skip
        problems.append(Message("no-line", text, {"number": len(train)}))
    if not heldout:
        problems.append(_nothing_held_out(len(found["train"]) + silent["train"], silent["heldout"]))
    elif not any(ranking.order.strict_pairs() for ranking in heldout):
        text = _("All %(number)s held-out rankings tie everything, so nothing could be said about how good the reward model is. Hold out more prompts, or let more be ranked.")  # fmt: skip
        problems.append(Message("heldout-all-tied", text, {"number": len(heldout)}))
    excess = [over for r in train + heldout if limit is not None and (over := r.group.longest - limit) > 0]
    if limit is not None and excess:
        params = {
            "number": len(excess),
            "all": len(train) + len(heldout),
            "limit": limit,
            "longest": limit + max(excess),
            "tokens": sum(excess),
        }
        if not config.truncate:
            text = _("%(number)s of %(all)s rankings have texts longer than the model's %(limit)s tokens (the longest: %(longest)s). Cutting them would drop %(tokens)s tokens in all, from the start of their prompts first: allow it, or take a model that holds more.")  # fmt: skip
            problems.append(Message("too-long", text, params))
        else:
            text = _("%(number)s of %(all)s rankings are cut to %(limit)s tokens: %(tokens)s tokens in all are dropped, from the start of their prompts first.")  # fmt: skip
            ctx.note(Message("cut", text, params), "warning")
            train, heldout = (
                [replace(ranking, group=ranking.group.cut(limit)) for ranking in part] for part in (train, heldout)
            )
    if not can_pad(loaded.tokenizer):
        problems.append(nothing_pads())
    if problems:
        raise Refused(problems)

    if said_nothing := sum(silent.values()):
        text = _("%(number)s rankings say nothing about any two outputs and are left out.")
        ctx.note(Message("silent-rankings", text, {"number": said_nothing}))
    if both := len(found["train"]) - len(alone):
        text = _("%(number)s training rankings are left out, because their prompts are also held out.")
        ctx.note(Message("prompt-in-both", text, {"number": both}), "warning")
    if len(train) < len(alone):
        text = _("%(number)s of %(all)s training rankings are used: those of %(share)s of the prompts.")
        said = {"number": len(train), "all": len(alone), "share": f"{config.train_share:.4g}"}
        ctx.note(Message("share-of-prompts", text, said))
    mean = sum(ranking.weight for ranking in train) / len(train)
    return [replace(ranking, weight=ranking.weight / mean) for ranking in train], heldout


def _nothing_to_train_on(in_both: int, silent: int, heldout: int) -> Message:
    """Why, by how many training rankings there are whose prompts are also held out, or that say nothing, and how many are held out."""
    if in_both:
        text = _("There is no ranking to train on: the prompts of all %(number)s training rankings are held out too. Put each prompt into one split.")  # fmt: skip
        return Message("no-rankings", text, {"number": in_both})
    if silent:
        text = _("There is no ranking to train on: none of the %(number)s training rankings says anything about two outputs. Let people rank at least two.")  # fmt: skip
        return Message("no-rankings", text, {"number": silent})
    text = _("There is no ranking to train on: all %(number)s are held out. Hold out fewer prompts.")
    return Message("no-rankings", text, {"number": heldout})


def _nothing_held_out(train: int, silent: int) -> Message:
    if silent:
        text = _("None of the %(number)s held-out rankings says anything about two outputs, so nothing could be said about how good the reward model is. Let people rank at least two, or hold out other prompts.")  # fmt: skip
        return Message("no-heldout", text, {"number": silent})
    text = _("None of the %(number)s rankings is held out, so nothing could be said about how good the reward model is. Hold out some prompts: by the share that a project or an upload sets aside, or in the column “split”.")  # fmt: skip
    return Message("no-heldout", text, {"number": train})


def some_prompts(rankings: Sequence[Ranking], share: float) -> list[Ranking]:
    """All rankings of a share of the prompts, at least one prompt. Which ones hangs on their texts alone, not on the run's seed; those of a larger
    share hold those of a smaller one."""
    prompts = sorted({r.prompt for r in rankings}, key=lambda text: sha256(text.encode()).digest())
    kept = set(prompts[: max(1, round(share * len(prompts)))])
    return [ranking for ranking in rankings if ranking.prompt in kept]


def tokenized(loaded: Loaded, row: RankingRow, *, line_says: bool = False) -> Ranking | None:
    """None if the ranking says nothing about any two completions. `line_says`: its acceptability line alone says something too."""
    said = [item for item in range(row.order.items) if item not in row.order.unranked]
    order = row.order.restrict(said)
    if order is None or not (order.strict_pairs() or order.tied_pairs() or (line_says and order.line is not None)):
        return None
    prompt = as_prompt(row.prompt)
    pairs = encode_pairs(loaded, [(prompt, row.completions[item]) for item in said])
    group = Group(pairs[0][0], [completion for _prompt, completion in pairs])
    tokens = tuple(max(len(ids), 1) for ids in group.completions)
    annotator = None if row.annotator is None else str(row.annotator)
    task = (row.task, str(prompt), *row.completions)
    return Ranking(group, order, row.weight, tokens, annotator, str(prompt), task, row.order, tuple(said))


def batches(rankings: Sequence[Ranking], size: int) -> list[list[Ranking]]:
    """Parts of like length: little padding."""
    ordered = sorted(rankings, key=lambda ranking: ranking.group.packed_length)
    return [ordered[begin : begin + size] for begin in range(0, len(ordered), size)]
