"""What can be said of what moves without a model: learning rates that go well with it, and choices that cannot be. Light."""

from math import log

from models_registry.lm.tuning.config import Tune, TuneSoftPrompt

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


def suggested_lr(kind: str, parameters: int) -> tuple[float, float]:
    """The range of learning rates that usually does well with a kind of tuning, for a model of so many parameters."""
    if kind in RANGES:
        return RANGES[kind]
    (few, high), (many, low) = SMALL, LARGE
    power = log(low / high) / log(many / few)
    rate = high * (min(max(parameters, few), many) / few) ** power
    return rate / 2, rate * 2


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
