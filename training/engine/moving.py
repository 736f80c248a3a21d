"""What moves in a run: made to move, counted, and shown at the end to be all that did."""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

from torch import Tensor, nn

from models_registry.lm.chain import Loaded
from models_registry.lm.problems import Unfit
from models_registry.lm.soft_prompts import commonest
from models_registry.lm.tuning import apply as tuning
from models_registry.lm.tuning.config import Tune, TunePrefix, TuneSoftPrompt
from models_registry.lm.tuning.untouched import Untouched, folders_sha256

from .context import Context
from .messages import Failed, Message, Refused, _
from .tunes import far_off

COUNTED_TEXTS = 10_000  # among which the commonest tokens are looked for


def room(loaded: Loaded, tune: Tune) -> int | None:
    """Most tokens that a text may have once `tune` has put its own in front: None where the model's positions have no end. Before Moving.

    Raises Refused when nothing is left.
    """
    context, in_front = loaded.context_length, getattr(tune, "length", 0)
    if context is None or in_front < context:
        return context if context is None else context - in_front
    text = _(
        "The model holds %(context)s tokens: a length of %(length)s in front of every text leaves no room for any."
    )
    raise Refused(Message("no-room-for-text", text, {"context": context, "length": in_front}))


class Moving:
    """Makes what ctx.config.tune names move. `parameters`: all of it, by name; `trained` and `total`: how many numbers that is.

    `texts`: tokens of the training texts; soft prompts and prefixes begin at the commonest. Raises Refused where this model cannot be
    tuned in this way.
    """

    def __init__(self, ctx: Context, loaded: Loaded, texts: Iterable[Sequence[int]]) -> None:
        self._loaded = loaded
        self._sha256 = folders_sha256(loaded.folders)
        tune = ctx.config.tune
        leads = isinstance(tune, (TunePrefix, TuneSoftPrompt))
        try:
            tuning.apply(loaded, tune, common=commonest(islice(texts, COUNTED_TEXTS)) if leads else ())
        except ValueError as error:
            text = _("This cannot move here: %(reason)s.")
            raise Refused(Message("cannot-tune", text, {"reason": reason}) for reason in _reasons(error)) from None
        self.parameters: dict[str, nn.Parameter] = tuning.trained_parameters(loaded)
        self.trained, self.total = tuning.counts(loaded)
        self._untouched = Untouched(loaded.model)
        ctx.facts(trained_parameters=self.trained, total_parameters=self.total)
        if remark := far_off(ctx.config.lr, ctx.config.tune.kind, self.total):
            ctx.note(remark)

    def instead(self, ctx: Context, parameter: Tensor, others: dict[str, nn.Parameter]) -> None:
        """These move, by name, in the place of a parameter of the model, which stays."""
        parameter.requires_grad_(False)
        self.parameters = {name: p for name, p in self.parameters.items() if p is not parameter} | others
        more = sum(p.numel() for p in others.values()) - parameter.numel()
        self.trained, self.total = self.trained + more, self.total + more
        ctx.facts(trained_parameters=self.trained, total_parameters=self.total)

    def report(self) -> dict[str, Any]:
        """For metrics.json, after training: how much moved, and that nothing else did. Raises Failed if something else did."""
        changed = self._untouched.changed(self._loaded.model)
        found: dict[str, Any] = {
            "trained_parameters": self.trained,
            "total_parameters": self.total,
            "untouched": {
                "tensors": len(self._untouched),
                "identical": len(self._untouched) - len(changed),
                "changed": len(changed),
            },
        }
        if self._loaded.folders:
            found |= {"base_sha256_before": self._sha256, "base_sha256_after": folders_sha256(self._loaded.folders)}
        if changed:
            text = _("Weights that were not to move have moved: %(names)s. The result is not kept.")
            raise Failed(Message("moved", text, {"names": ", ".join(changed[:5])}))
        return found


def _reasons(error: ValueError) -> list[Message | str]:
    """What stands in the way, each to be translated by itself; what a library says stays as it is."""
    if not isinstance(error, Unfit):
        return [str(error)]
    return [Message("cannot-tune-reason", reason.template, reason.params) for reason in error.problems]
