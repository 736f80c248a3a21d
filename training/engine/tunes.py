"""What can be said of what moves without a model: learning rates that go well with it, and choices that cannot be. Light."""

from math import log, sqrt

from models_registry.lm.tuning.config import Tune, TuneSoftPrompt

from .config import Settings
from .messages import Message, _

# Kind of tuning → the usual range. Full weights depend on the size of the model besides: see suggested_lr.
RANGES = {
    "last_layers": (1e-4, 1e-3),
    "head": (1e-3, 1e-2),
    "serial": (1e-4, 3e-3),
    "parallel": (1e-4, 3e-3),
    "lora": (1e-4, 1e-3),
    "ia3": (3e-3, 3e-2),
    "vera": (1e-3, 3e-2),
    "lokr": (1e-4, 3e-3),
    "oft": (1e-4, 3e-3),
    "fourier": (1e-3, 1e-1),
    "prefix": (1e-3, 3e-2),
    "soft_prompt": (1e-3, 0.3),
}
SMALL, LARGE = (1e6, 1e-3), (1e9, 2e-5)  # (parameters, learning rate of all of them)
FAR = 10.0  # this many times beyond the range is worth a note

BY_KIND = _(
    "Size of a step at its largest. All weights: 0.001 for a model of a million parameters, 0.00002 for one of a billion; last layers "
    "0.0001 to 0.001; output layer 0.001 to 0.01; bottleneck adapters 0.0001 to 0.003; LoRA 0.0001 to 0.001; (IA)³ 0.003 to 0.03; other "
    "adapters 0.0001 to 0.1; prefix 0.001 to 0.03; soft prompt 0.001 to 0.3."
)

OF_REWARD = _("About 3e-3 for a model below a million parameters; 1e-5 for all weights of a large one, 1e-4 for LoRA.")
OF_PPO = _("About 3e-4 for all weights of a model below a million parameters and three times that for LoRA; 1e-6 to 1e-5 and 1e-4 for a large one.")  # fmt: skip


def suggested_lr(kind: str, parameters: int) -> tuple[float, float]:
    """The range of learning rates that usually does well with a kind of tuning, for a model of so many parameters."""
    if kind in RANGES:
        return RANGES[kind]
    rate = between(parameters, SMALL[1], LARGE[1])
    return rate / 2, rate * 2


def between(parameters: int, small: float, large: float) -> float:
    """A learning rate by the size of a model, straight on logarithmic scales: `small` up to a million parameters, `large` from a billion."""
    few, many = SMALL[0], LARGE[0]
    return small * (min(max(parameters, few), many) / few) ** (log(large / small) / log(many / few))


def usual_lr(kind: str, parameters: int) -> float:
    """Where to begin: the middle, by orders of magnitude, of what usually does well with what moves."""
    low, high = suggested_lr(kind, parameters)
    return rounded(sqrt(low * high))


def rounded(rate: float) -> float:
    return float(f"{rate:.0e}")


# What the hints above say in words: (kind of tuning, parameters) → where to begin.
LAWS = {
    BY_KIND: usual_lr,
    OF_REWARD: lambda kind, size: between(size, 3e-3, 1e-5 if kind == "all" else 1e-4),
    OF_PPO: lambda kind, size: between(size, 3e-4, 3e-6) if kind == "all" else between(size, 1e-3, 1e-4),
}


def suited_lr(config: type[Settings], kind: str, parameters: int) -> float | None:
    """What the hint of a Config's learning rate recommends; None where it does not go by what moves. The default is one for all."""
    known = config.model_fields.get("lr")
    law = LAWS.get(known.description or "") if known else None
    return rounded(law(kind, parameters)) if law else None


def far_off(lr: float, kind: str, parameters: int) -> Message | None:
    """A remark on a learning rate that is far from the usual; it is used all the same."""
    low, high = suggested_lr(kind, parameters)
    if low / FAR <= lr <= high * FAR:
        return None
    text = _(
        "The learning rate %(lr)s is far from what usually does well with this choice of what moves: %(low).1g to %(high).1g."
    )
    return Message("unusual-lr", text, {"lr": lr, "low": low, "high": high})


def problems_of_tune(tune: Tune, *, has_classes: bool = False) -> list[Message]:
    """Why a choice of what moves cannot be carried out. `has_classes`: the data bring the names of classes."""
    if isinstance(tune, TuneSoftPrompt) and tune.init == "labels" and not tune.labels and not has_classes:
        text = _(
            "A soft prompt that starts at labels needs some here: name them in tune.labels, or choose another start."
        )
        return [Message("no-labels-to-start-from", text)]
    return []
