"""Does an adapter fit the model it is to stand on? Read from safetensors headers alone, before anything is copied or loaded."""

from pathlib import Path

from django.utils.translation import gettext as _

from .lm import inspect

_PEFT_PREFIX = "base_model.model."
_LORA_INPUT = ".lora_A.weight"


def misfit(adapter: Path, base: Path) -> str | None:
    """Why the LoRA adapter in `adapter` cannot belong to the full model in `base`; None when it may.

    Compares the input width of every adapted layer with the layer of that name. Other kinds of adapter are not looked into.
    """
    layers = {}
    for file in base.glob("*.safetensors"):
        layers |= {name: entry["shape"] for name, entry in inspect.tensors(file).items()}
    adapted = {
        name.removeprefix(_PEFT_PREFIX).removesuffix(_LORA_INPUT): entry["shape"][1]
        for name, entry in inspect.tensors(adapter / "adapter_model.safetensors").items()
        if name.endswith(_LORA_INPUT)
    }
    known = 0
    for name, width in adapted.items():
        # Some checkpoints leave the trunk's own prefix away ("h.0.attn" for "transformer.h.0.attn").
        shape = layers.get(f"{name}.weight") or layers.get(f"{name.partition('.')[2]}.weight")
        if shape is None:
            continue
        known += 1
        if width not in shape:  # a Linear keeps its inputs in the second place, GPT-2's Conv1D in the first
            return _(
                "The adapter does not fit this parent: its layer %(layer)s takes %(adapter)d numbers, the parent's has %(parent)s."
            ) % {
                "layer": name,
                "adapter": width,
                "parent": " × ".join(map(str, shape)),
            }
    if adapted and not known:
        return _("The adapter does not fit this parent: the parent has no layer called %(layer)s.") % {
            "layer": next(iter(adapted))
        }
    return None
