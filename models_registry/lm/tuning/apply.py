"""Making the parameters move that a Tune names, and saving the result: a full folder, or a PEFT adapter folder."""

import json
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model_state_dict
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors.torch import save_file
from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from ..chain import Loaded, adapter_off, use, wrap
from .config import Tune, TuneAll, TuneLora

__all__ = ["adapter_off", "apply", "counts", "save", "trained_parameters"]

NEW = "trained"  # PEFT's name of the adapter that is being trained


def apply(loaded: Loaded, tune: Tune) -> None:
    """Mark what moves; everything else is frozen. A LoRA starts with zero effect, from torch's random state."""
    loaded.model.requires_grad_(False)
    if isinstance(tune, TuneAll):
        _merge(loaded)
        loaded.model.requires_grad_(True)
    elif isinstance(tune, TuneLora):
        _lora(loaded, tune)
    else:
        raise TypeError(f"no such kind of tuning: {tune!r}")
    loaded.tune = tune


def _merge(loaded: Loaded) -> None:
    """Fold the chain's adapters into the weights: what moves as a whole cannot keep a frozen part."""
    if loaded.peft is not None:
        loaded.model = loaded.peft.merge_and_unload(adapter_names=list(loaded.adapters))
        loaded.peft, loaded.adapters = None, ()


def _lora(loaded: Loaded, tune: TuneLora) -> None:
    targets = _linear_layers(loaded.model, tune.target)
    if not targets:
        raise ValueError(f"the model has no linear layers of the kind {tune.target!r}")
    config = LoraConfig(
        r=tune.rank,
        lora_alpha=tune.alpha,
        lora_dropout=tune.dropout,
        target_modules=targets,
        fan_in_fan_out=any(isinstance(_inner(loaded.model.get_submodule(name)), Conv1D) for name in targets),
        task_type="CAUSAL_LM" if loaded.head == "lm" else "SEQ_CLS",
        modules_to_save=None if loaded.head == "lm" else ["score"],
    )
    wrap(loaded, config, NEW)
    loaded.trainable = NEW
    use(loaded, loaded.active)
    loaded.model.requires_grad_(False)
    for name, parameter in loaded.model.named_parameters():
        if f".{NEW}." in name:
            parameter.requires_grad_(True)


def _inner(module: nn.Module) -> nn.Module:
    """The layer itself, also where an adapter of the chain is wrapped around it."""
    return module.get_base_layer() if isinstance(module, BaseTunerLayer) else module


def _linear_layers(model: PreTrainedModel, target: str) -> list[str]:
    """Names of the trunk's linear layers; output layer, score head and the insides of adapters are left out."""
    names: list[str] = []
    wrapped = ""
    prefix = model.base_model_prefix
    for name, module in getattr(model, prefix).named_modules(prefix=prefix):
        if wrapped and name.startswith(wrapped):
            continue
        if isinstance(module, BaseTunerLayer):
            wrapped = name + "."
        if isinstance(_inner(module), (nn.Linear, Conv1D)) and (target == "all_linear" or _place(name) == target):
            names.append(name)
    return names


def _place(name: str) -> str:
    """Whether a layer belongs to the attention or to the MLP, from the name of what it stands in."""
    parents = name.split(".")[:-1]
    return "attention" if any("attn" in part or "attention" in part for part in parents) else "mlp"


def trained_parameters(loaded: Loaded) -> dict[str, nn.Parameter]:
    """What moves, by name. Tied parameters appear once."""
    return {name: parameter for name, parameter in loaded.model.named_parameters() if parameter.requires_grad}


def counts(loaded: Loaded) -> tuple[int, int]:
    """(trained, total) parameters; the total counts the whole chain."""
    sizes = [(parameter.numel(), parameter.requires_grad) for parameter in loaded.model.parameters()]
    return sum(size for size, trained in sizes if trained), sum(size for size, _trained in sizes)


def save(loaded: Loaded, folder: Path) -> None:
    """Write what training made, in the layout that transformers and peft load themselves.

    tune = all: a full model with its tokenizer. An adapter: adapter_config.json and adapter_model.safetensors, nothing of the base.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if loaded.trainable is None or loaded.peft is None:
        loaded.model.save_pretrained(folder)
        loaded.tokenizer.save_pretrained(folder)
        return
    state = get_peft_model_state_dict(loaded.peft, adapter_name=loaded.trainable, save_embedding_layers=False)
    # Copies: safetensors refuses tensors that share memory.
    tensors = {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in sorted(state.items())}
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    config = loaded.peft.peft_config[loaded.trainable].to_dict()
    config["inference_mode"] = True
    (folder / "adapter_config.json").write_text(json.dumps(_plain(config), indent=2, sort_keys=True) + "\n", "utf-8")


def _plain(value: object) -> object:
    """PEFT's config as JSON: sets in alphabetical order, so that the same training gives the same bytes."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, torch.dtype):
        return str(value)
    return getattr(value, "value", value)
