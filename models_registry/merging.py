"""Folding the adapters of a version into its base: whether it can be done, and doing it. The worker loads the model, never the web."""

from pathlib import Path

from django.utils.translation import gettext as _

from . import queries
from .models import Kind, Version

# What PEFT can fold into the weights exactly: a low-rank product, and a scale of rows or columns.
_LINEAR = {"LORA", "IA3"}


def reasons_against(version: Version) -> list[str]:
    """Why this version cannot be merged; empty when it can."""
    if version.kind == Kind.REMOTE:
        return [_("A remote endpoint has no weights here to merge.")]
    if version.kind == Kind.FULL:
        return [_("%(version)s has full weights of its own; there is nothing to merge.") % {"version": version}]
    return [reason for link in version.chain()[1:] if (reason := _reason(link))]


def _reason(link: Version) -> str:
    if link.kind == Kind.SOFT_PROMPT:
        return _(
            "%(version)s is a soft prompt: it stands in front of the text and changes no weight, so it cannot be folded into weights."
        ) % {"version": link}
    if link.kind == Kind.HARD_PROMPT:
        return _("%(version)s is a hard prompt: words, which cannot be folded into weights.") % {"version": link}
    if link.architecture == "BOTTLENECK":
        return _("%(version)s is a bottleneck adapter: it is not linear, so no weights could do the same.") % {
            "version": link
        }
    if link.architecture == "PREFIX_TUNING":
        return _(
            "%(version)s is a prefix: it adds to what attention looks at and changes no weight, so it cannot be folded into weights."
        ) % {"version": link}
    if link.architecture not in _LINEAR:
        return _("%(version)s is an adapter of the kind %(kind)s, which cannot be folded into weights here.") % {
            "version": link,
            "kind": link.architecture,
        }
    return ""


def merge(version: Version, folder: Path) -> None:
    """Write the merged model into `folder`, with the tokenizer, and a reward model's scale. On the CPU, in the base's own precision.

    Raises what lm.chain.load raises.
    """
    import torch

    from .lm import inspect
    from .lm.chain import load
    from .lm.heads import read_scale, write_scale
    from .lm.tuning.apply import apply, save
    from .lm.tuning.config import TuneAll

    chain = queries.folders(version)
    halves = {"BF16": torch.bfloat16, "F16": torch.float16}
    loaded = load(chain, device="cpu", dtype=torch.float32)
    apply(loaded, TuneAll())  # folds the chain's adapters into the weights: computed in float32, rounded once
    loaded.model.to(halves.get(inspect.describe(chain[0]).dtype, torch.float32))
    save(loaded, folder)
    if loaded.head == "reward":
        write_scale(folder, read_scale(chain[-1]))
