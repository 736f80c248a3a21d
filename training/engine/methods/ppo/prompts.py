"""The prompts of a run, tokenized once."""

from collections.abc import Callable
from dataclasses import dataclass

from models_registry.lm.chain import Loaded
from models_registry.lm.text import Prompt, encode_prompt, plain_chat

from ...context import Context
from ...data import as_prompt, rows
from ...messages import Message, Refused, _
from ...moving import room
from .config import METHOD, Config


@dataclass(frozen=True)
class Tokenized:
    """A prompt as it was given and as the model reads it."""

    prompt: Prompt
    ids: list[int]

    @property
    def text(self) -> str:
        return self.prompt if isinstance(self.prompt, str) else plain_chat(self.prompt)


def tokenized_prompts(
    ctx: Context, loaded: Loaded, fits: Callable[[Prompt], bool]
) -> tuple[list[Tokenized], list[Tokenized]]:
    """The prompts to train on and the held-out ones, each once. Those that are too long with an answer, for the model or by `fits` for
    what judges it, are left out, and told."""
    config: Config = ctx.config
    limit, context = config.max_prompt_tokens, room(loaded, config.tune)
    if context is not None:
        limit = min(limit or context, context - config.max_tokens)
    if limit is not None and limit < 1:
        text = _(
            "The longest answer (%(answer)s tokens) leaves no room for a prompt: the model holds %(context)s tokens."
        )
        raise Refused(
            Message("no-room", text, {"answer": config.max_tokens, "context": context})
        )  # fmt: skip
    found: dict[str, dict[tuple[int, ...], Tokenized]] = {"train": {}, "heldout": {}}
    too_long = 0
    for row in rows(ctx.inputs["dataset"], METHOD.inputs["dataset"].accepts):
        prompt = as_prompt(row.prompt)
        ids = encode_prompt(loaded, prompt)
        if (limit is not None and len(ids) > limit) or not fits(prompt):
            too_long += 1
        else:
            found[row.split].setdefault(tuple(ids), Tokenized(prompt, ids))
    heldout = found["heldout"]
    train = {ids: prompt for ids, prompt in found["train"].items() if ids not in heldout}
    if not train:
        text = _("There is no prompt to train on: the data set has none in its training split, or they are all held out too, or too long with an answer of %(answer)s tokens (%(number)s).")  # fmt: skip
        raise Refused(Message("no-prompts", text, {"answer": config.max_tokens, "number": too_long}))
    if too_long:
        text = _("%(number)s prompts are left out: with an answer of %(answer)s tokens they are too long for the model, for the reward model, or for the longest prompt that is allowed.")  # fmt: skip
        ctx.note(Message("prompts-too-long", text, {"number": too_long, "answer": config.max_tokens}), "warning")
    if both := len(found["train"]) - len(train):
        text = _("%(number)s prompts are in both splits; they are held out, and not trained on.")
        ctx.note(Message("prompt-in-both", text, {"number": both}), "warning")
    if not heldout:
        text = _(
            "No prompt is held out, so the result cannot be compared with its start on prompts that it has not seen."
        )
        ctx.note(Message("no-heldout-prompts", text), "warning")
    return list(train.values()), list(heldout.values())
