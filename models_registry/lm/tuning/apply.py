"""Making the parameters move that a Tune names, and saving the result: a full folder, or a folder of what was trained alone."""

import copy
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import (
    FourierFTConfig,
    IA3Config,
    LoKrConfig,
    LoraConfig,
    OFTConfig,
    PeftConfig,
    VeraConfig,
    get_peft_model_state_dict,
)
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from .. import bottleneck, inspect, leading, soft_prompts
from ..blocks import blocks, final_norms, part
from ..chain import Loaded, active_head, adapter_off, head_of, put_head, use, wrap
from ..heads import score_head
from ..merging import merge
from ..problems import Problem, Unfit, _
from .config import (
    Tune,
    TuneAll,
    TuneFourier,
    TuneHead,
    TuneIA3,
    TuneLastLayers,
    TuneLokr,
    TuneLora,
    TuneOft,
    TuneParallel,
    TunePrefix,
    TuneSerial,
    TuneSoftPrompt,
    TuneVera,
    result_kind,
)

__all__ = ["adapter_off", "apply", "counts", "save", "trained_parameters"]

NEW = "trained"  # name of the adapter, prefix or soft prompt that is being trained


def apply(loaded: Loaded, tune: Tune, *, common: Sequence[int] = ()) -> None:
    """Mark what moves; everything else is frozen. What starts at random is drawn from torch's random state.

    All kinds but prefix and soft prompt start with zero effect. Where the whole model or layers of it move, the chain's adapters are
    folded into the weights first. `common`: the commonest tokens of the training texts (soft_prompts.commonest), from which virtual
    tokens may start. Raises Unfit where the model or its chain cannot be tuned in this way.
    """
    if loaded.others:
        raise Unfit(
            Problem(_("an average of classifiers stays as it is; train one of them further and average again"))
        )
    loaded.model.requires_grad_(False)
    if result_kind(tune) == "full":
        merge(loaded)
        for module in _moving(loaded, tune):
            module.requires_grad_(True)
        loaded.tune = tune
        return
    # The new head goes on from the one that is on, and PEFT would copy the model's own.
    head = None if loaded.head == "lm" else copy.deepcopy(active_head(loaded))
    if isinstance(tune, (TuneSerial, TuneParallel)):
        bottleneck.wrap(loaded.model, tune, NEW)
    elif isinstance(tune, (TuneLora, TuneVera, TuneLokr, TuneOft, TuneFourier)):
        wrap(loaded, _on_linear(loaded, tune), NEW)
    elif isinstance(tune, TuneIA3):
        wrap(loaded, _ia3(loaded), NEW)
    elif isinstance(tune, TunePrefix):
        leading.put(loaded.model, NEW, soft_prompts.prefix_start(loaded, tune, common=common), prefix=True)
    elif isinstance(tune, TuneSoftPrompt):
        start = soft_prompts.start(loaded, tune, common=common, labels=loaded.labels)
        leading.put(loaded.model, NEW, start, prefix=False)
    else:
        raise TypeError(f"no such kind of tuning: {tune!r}")
    if head is not None:
        put_head(loaded, NEW, head)
    loaded.trainable = NEW
    use(loaded, loaded.active)
    for name, parameter in loaded.model.named_parameters():
        parameter.requires_grad_(f".{NEW}." in f"{name}.")
    loaded.tune = tune


def _moving(loaded: Loaded, tune: Tune) -> list[nn.Module]:
    """What moves of a full model. An output layer that is to move apart from the input embedding is untied from it first."""
    if isinstance(tune, TuneAll):
        return [loaded.model]
    if loaded.head == "lm":
        untie(loaded.model)
        head = loaded.model.get_output_embeddings()
    else:
        head = score_head(loaded.model)
    if isinstance(tune, TuneHead):
        return [head]
    assert isinstance(tune, TuneLastLayers)
    all_blocks = list(blocks(loaded.model))
    if tune.n > len(all_blocks):
        raise Unfit(
            Problem(
                _("the model has %(blocks)s blocks, so the last %(last)s cannot move"),
                blocks=len(all_blocks),
                last=tune.n,
            )
        )
    return [*all_blocks[-tune.n :], *final_norms(loaded.model), head]


def untie(model: PreTrainedModel) -> None:
    """Give the output layer a matrix of its own where it shares the input embedding's: else one would move with the other."""
    output, embedding = model.get_output_embeddings(), model.get_input_embeddings()
    if output.weight is not embedding.weight:
        return
    output.weight = nn.Parameter(output.weight.detach().clone(), requires_grad=False)
    for config in {id(c): c for c in (model.config, model.config.get_text_config())}.values():
        config.tie_word_embeddings = False
    model.all_tied_weights_keys = {}


def _on_linear(loaded: Loaded, tune: TuneLora | TuneVera | TuneLokr | TuneOft | TuneFourier) -> PeftConfig:
    """PEFT's config of an adapter that is put on linear layers."""
    targets = _linear_layers(loaded.model, tune.target)
    if not targets:
        raise Unfit(Problem(_("the model has no linear layers of the kind %(kind)s"), kind=tune.target))
    turned = {"fan_in_fan_out": _has_conv1d(loaded.model, targets)}
    common = {"target_modules": targets, **_for_head(loaded)}
    if isinstance(tune, TuneLora):
        return LoraConfig(
            r=tune.rank,
            lora_alpha=tune.alpha,
            lora_dropout=tune.dropout,
            use_rslora=tune.variant == "rslora",
            use_dora=tune.variant == "dora",
            **turned,
            **common,
        )
    if isinstance(
        tune, TuneVera
    ):  # the random matrices are drawn anew from the key in the config, wherever it is loaded
        return VeraConfig(r=tune.rank, vera_dropout=tune.dropout, save_projection=False, **turned, **common)
    if isinstance(tune, TuneFourier):
        return FourierFTConfig(
            n_frequency=tune.frequencies, scaling=tune.scaling, init_weights=True, **turned, **common
        )
    if turned["fan_in_fan_out"]:
        text = _("PEFT cannot put %(kind)s on this model's layers, which are of the kind Conv1D, as GPT-2's are")
        raise Unfit(Problem(text, kind=tune.kind))
    if isinstance(tune, TuneLokr):
        return LoKrConfig(r=tune.rank, alpha=tune.alpha, rank_dropout=tune.dropout, **common)
    return OFTConfig(oft_block_size=tune.block_size, **common)


def _ia3(loaded: Loaded) -> IA3Config:
    """Keys, values and what goes into the MLP's last layer are rescaled (Liu et al. 2022, section 3.3).

    Where one matrix makes queries, keys and values together, as in GPT-2, all three are, as PEFT does it.
    """
    names = {id(module): name for name, module in loaded.model.named_modules()}
    hidden = loaded.model.config.get_text_config().hidden_size
    attention, mlp = [], []
    for block in blocks(loaded.model):
        own = _linears(part(block, "attention"))
        apart = {key: layer for key, layer in own.items() if key.startswith(("k_", "v_", "key", "value"))}
        together = {key: layer for key, layer in own.items() if _sizes(layer)[1] > hidden}
        attention += [names[id(layer)] for layer in (apart or together).values()]
        mlp += [names[id(layer)] for layer in _linears(part(block, "mlp")).values() if _sizes(layer)[1] == hidden][-1:]
    if not attention or not mlp:
        raise Unfit(Problem(_("the layers that (IA)³ rescales could not be found in this model")))
    return IA3Config(
        target_modules=attention + mlp,
        feedforward_modules=mlp,
        fan_in_fan_out=_has_conv1d(loaded.model, mlp),
        **_for_head(loaded),
    )


def _for_head(loaded: Loaded) -> dict[str, Any]:
    if loaded.head == "lm":
        return {"task_type": "CAUSAL_LM"}
    return {"task_type": "SEQ_CLS", "modules_to_save": ["score"]}


def _has_conv1d(model: PreTrainedModel, names: Sequence[str]) -> bool:
    return any(isinstance(_inner(model.get_submodule(name)), Conv1D) for name in names)


def _linears(module: nn.Module) -> dict[str, nn.Module]:
    """The linear layers right inside a module, by name, with the adapters that are wrapped around them."""
    return {name: child for name, child in module.named_children() if isinstance(_inner(child), (nn.Linear, Conv1D))}


def _sizes(layer: nn.Module) -> tuple[int, int]:
    """(in, out) of a linear layer."""
    inner: Any = _inner(layer)
    rows, columns = inner.weight.shape
    return (rows, columns) if isinstance(inner, Conv1D) else (columns, rows)


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
        if isinstance(_inner(module), (nn.Linear, Conv1D)) and (
            target == "all_linear" or inspect.place(name) == target
        ):
            names.append(name)
    return names


def trained_parameters(loaded: Loaded) -> dict[str, nn.Parameter]:
    """What moves, by name. Tied parameters appear once."""
    return {name: parameter for name, parameter in loaded.model.named_parameters() if parameter.requires_grad}


def counts(loaded: Loaded) -> tuple[int, int]:
    """(trained, total) parameters; the total counts the whole chain."""
    models = (loaded.model, *loaded.others)
    sizes = [(parameter.numel(), parameter.requires_grad) for model in models for parameter in model.parameters()]
    return sum(size for size, trained in sizes if trained), sum(size for size, _trained in sizes)


def save(loaded: Loaded, folder: Path) -> None:
    """Write what training made; transformers or peft load it by themselves, but for bottleneck adapters (see bottleneck_loader.py).

    all, last_layers, head: a full model with its tokenizer. All others: adapter_config.json and adapter_model.safetensors with what was
    trained, and nothing of the base.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = loaded.trainable
    if name is None:
        loaded.model.save_pretrained(folder)
        loaded.tokenizer.save_pretrained(folder)
        return
    head = head_of(loaded, name)
    extra = {"labels": list(loaded.labels)} if loaded.head == "classes" else {}
    if isinstance(loaded.tune, (TuneSerial, TuneParallel)):
        about = {"task_type": "SEQ_CLS" if head else "CAUSAL_LM", **extra}
        bottleneck.save(loaded.model, folder, name, about, head)
    elif isinstance(loaded.tune, (TunePrefix, TuneSoftPrompt)):
        config, tensors = leading.config_and_tensors(loaded.model, name, head)
        _write(folder, config, tensors, extra)
    else:
        [peft] = [peft for peft in loaded.pefts.values() if name in peft.peft_config]
        state = get_peft_model_state_dict(peft, adapter_name=name, save_embedding_layers=False)
        _write(folder, peft.peft_config[name], state, extra)


def _write(folder: Path, config: PeftConfig, tensors: dict[str, Tensor], extra: dict[str, Any]) -> None:
    # Copies: safetensors refuses tensors that share memory.
    copies = {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in sorted(tensors.items())}
    save_file(copies, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    values = {**config.to_dict(), "inference_mode": True, **extra}
    (folder / "adapter_config.json").write_text(json.dumps(_plain(values), indent=2, sort_keys=True) + "\n", "utf-8")


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
