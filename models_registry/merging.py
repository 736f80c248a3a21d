"""Folding the adapters of a version into its base: whether it can be done, and doing it. The worker loads the model, never the web."""

import shutil
from pathlib import Path

from django.utils.translation import gettext as _

from people.errors import Refusal

from . import queries
from .models import Kind, Version


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
    return ""  # of the others, PEFT says when they are loaded


def merge(version: Version, folder: Path) -> None:
    """Write the merged model into `folder`, with the tokenizer, and a reward model's scale and the heads of its ensemble, in the base's own precision.

    Refusal when it cannot be loaded, or when only the loaded adapter shows that it cannot be merged.
    """
    import torch

    from .lm import inspect
    from .lm.chain import load
    from .lm.heads import SCALE_FILE
    from .lm.members import MEMBERS_FILE
    from .lm.merging import merge as fold
    from .lm.problems import Unfit

    chain = queries.folders(version)
    halves = {"BF16": torch.bfloat16, "F16": torch.float16}
    try:
        loaded = load(chain, device="cpu", dtype=torch.float32)
        fold(loaded)  # computed in float32, rounded once
    except ValueError as error:
        reasons = (
            [_(each.template) % each.params for each in error.problems] if isinstance(error, Unfit) else [str(error)]
        )
        text = _("%(version)s cannot be merged: %(reason)s.")
        raise Refusal([text % {"version": version, "reason": reason} for reason in reasons]) from None
    loaded.model.to(halves.get(inspect.describe(chain[0]).dtype, torch.float32))
    loaded.model.save_pretrained(folder)
    loaded.tokenizer.save_pretrained(folder)
    for name in (SCALE_FILE, MEMBERS_FILE):
        if (beside := chain[-1] / name).is_file():
            shutil.copyfile(beside, folder / name)
