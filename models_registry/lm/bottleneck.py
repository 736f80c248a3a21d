"""Bottleneck adapters of one's own making: put into a model, saved, loaded. How they compute stands in bottleneck_loader.py.

Not linear, so no weights of the base could do the same: they cannot be merged.
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import PreTrainedModel

from .blocks import places
from .bottleneck_loader import Bottleneck, Bottlenecks, make, put, read
from .tuning.config import TuneParallel, TuneSerial

PEFT_TYPE = "BOTTLENECK"


def width(model: PreTrainedModel, tune: TuneSerial | TuneParallel) -> int:
    """Neurons of the bottleneck: those asked for, or the hidden size by the reduction factor."""
    return tune.size or max(1, round(_hidden(model) / tune.reduction))


def _hidden(model: PreTrainedModel) -> int:
    return model.config.get_text_config().hidden_size


def wrap(model: PreTrainedModel, tune: TuneSerial | TuneParallel, name: str) -> None:
    """Put a fresh adapter at every place that `tune` names. No effect yet; drawn from torch's random state."""
    for place, _module in list(places(model, tune.places)):
        adapter = Bottleneck(
            _hidden(model),
            width(model, tune),
            kind=tune.kind,
            activation=tune.activation,
            scaling=tune.scaling,
            learned_scaling=tune.learned_scaling,
            dropout=tune.dropout,
        )
        put(model, place, name, adapter)


def add(model: PreTrainedModel, folder: Path, name: str) -> dict[str, Tensor]:
    """Put the adapter of a folder into the model under a name, not yet on. Returns the head that it brings, {} if none.

    Raises ValueError where it does not fit.
    """
    config, tensors, head = read(folder)
    modules = dict(model.named_modules())
    if wrong := [place for place in tensors if place not in modules]:
        raise ValueError(f"{folder}: the adapter does not fit the model below it ({', '.join(wrong[:3])})")
    if config["hidden_size"] != _hidden(model):
        raise ValueError(f"{folder}: the adapter was made for a hidden size of {config['hidden_size']}")
    try:
        for place, own in tensors.items():
            put(model, place, name, make(config, own))
    except (KeyError, RuntimeError) as error:
        raise ValueError(f"{folder}: the adapter is damaged ({error})") from None
    return head


def save(model: PreTrainedModel, folder: Path, name: str, extra: dict[str, Any], head: dict[str, Tensor]) -> None:
    """Write one adapter and what was trained beside it; `extra` goes into adapter_config.json."""
    state: dict[str, Tensor] = {}
    for place, module in model.named_modules():
        if isinstance(module, Bottlenecks) and name in module.adapters:
            adapter: Any = module.adapters[name]
            own = place.removesuffix(".bottlenecks")
            state |= {f"{own}.{key}": tensor for key, tensor in adapter.state_dict().items()}
    config = {
        "peft_type": PEFT_TYPE,
        "format_version": 1,
        "base_model_name_or_path": None,
        "hidden_size": _hidden(model),
        "kind": adapter.kind,
        "size": adapter.down["weight"].shape[0],
        "activation": adapter.activation,
        "scaling": float(torch.as_tensor(adapter.scaling).detach()),
        "learned_scaling": isinstance(adapter.scaling, torch.nn.Parameter),
        "dropout": adapter.dropout,
        **extra,
    }
    tensors = {
        key: tensor.detach().to("cpu", copy=True).contiguous() for key, tensor in sorted((state | head).items())
    }
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", "utf-8")
