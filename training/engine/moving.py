"""What moves in a run: made to move, counted, and shown at the end to be all that did."""

from typing import Any

from torch import nn

from models_registry.lm.chain import Loaded
from models_registry.lm.tuning import apply as tuning
from models_registry.lm.tuning.untouched import Untouched, folders_sha256

from .context import Context
from .messages import Failed, Message, _
from .rates import far_off


class Moving:
    """Makes what ctx.config.tune names move. `parameters`: all of it, by name; `trained` and `total`: how many numbers that is."""

    def __init__(self, ctx: Context, loaded: Loaded) -> None:
        self._loaded = loaded
        self._sha256 = folders_sha256(loaded.folders)
        tuning.apply(loaded, ctx.config.tune)
        self.parameters: dict[str, nn.Parameter] = tuning.trained_parameters(loaded)
        self.trained, self.total = tuning.counts(loaded)
        self._untouched = Untouched(loaded.model)
        ctx.facts(trained_parameters=self.trained, total_parameters=self.total)
        if remark := far_off(ctx.config.lr, ctx.config.tune.kind, self.total):
            ctx.note(remark)

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
