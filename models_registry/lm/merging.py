"""Folding the adapters of a chain into the weights of its model: exact for adapters that are linear, impossible for all others."""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils import ModulesToSaveWrapper
from torch import nn
from transformers.pytorch_utils import Conv1D

from . import leading
from .bottleneck_loader import Bottlenecks
from .chain import Loaded, active_head, use, wrapped_layers
from .problems import Problem, Unfit, _


def merge(loaded: Loaded) -> None:
    """Fold the chain's adapters into the weights; the model is then a full one without any. Raises Unfit, with all the reasons,
    where that cannot be done, and changes nothing."""
    if problems := reasons_against(loaded):
        raise Unfit(*problems)
    use(loaded, loaded.adapters)
    if loaded.labels:
        loaded.model.config.id2label = dict(enumerate(loaded.labels))
        loaded.model.config.label2id = {label: number for number, label in enumerate(loaded.labels)}
    for name, wrapper in wrapped_layers(loaded.model).items():
        _fold(wrapper, loaded.adapters)
        loaded.model.set_submodule(name, wrapper.get_base_layer())
    if isinstance(getattr(loaded.model, "score", None), ModulesToSaveWrapper):
        loaded.model.score = active_head(loaded)
    loaded.pefts, loaded.adapters = {}, ()
    loaded.replace(loaded.model)
    use(loaded, ())


def reasons_against(loaded: Loaded) -> list[Problem]:
    """Why the chain's links cannot be folded into weights; empty where they can."""
    problems: list[Problem] = []
    if any(isinstance(module, Bottlenecks) and len(module.adapters) for module in loaded.model.modules()):
        problems.append(
            Problem(_("a bottleneck adapter is not linear: no weights could do the same, so it cannot be merged"))
        )
    state = leading.of(loaded.model)
    if state is not None and len(state.prompts):
        problems.append(
            Problem(_("a soft prompt stands in front of the text and changes no weight, so it cannot be merged"))
        )
    if state is not None and len(state.prefixes):
        problems.append(
            Problem(_("a prefix adds to what attention looks at and changes no weight, so it cannot be merged"))
        )
    if loaded.hard_prompt is not None:
        problems.append(Problem(_("a hard prompt is words, which cannot be merged into weights")))
    if any(_dora_on_others(wrapper) for wrapper in wrapped_layers(loaded.model).values()):
        problems.append(Problem(_("a DoRA adapter that shares a layer with other adapters cannot be merged exactly")))
    for module in loaded.model.modules():
        if isinstance(module, BaseTunerLayer) and not hasattr(module, "merge"):
            text = _("an adapter of the kind %(kind)s cannot be merged")
            problems.append(Problem(text, kind=type(module).__name__))
    return list(dict.fromkeys(problems))


def _fold(wrapper: BaseTunerLayer, names: Sequence[str]) -> None:
    """Make the layer within do what it does with the adapters around it."""
    around = [module for module in wrapper.modules() if isinstance(module, BaseTunerLayer)]
    if sum(name in _names_on(module) for module in around for name in names) > 1 and _is_linear(wrapper):
        _fold_together(wrapper)
        return
    for module in reversed(around):
        module.merge(adapter_names=list(names))


@torch.no_grad()
def _fold_together(wrapper: BaseTunerLayer) -> None:
    """What several adapters do together, read off at the unit vectors. PEFT folds them one by one, and is wrong where one adapter's change
    depends on the others: DoRA divides by the norm of the bare weights, and rotations (OFT) do not commute."""
    layer: Any = wrapper.get_base_layer()
    whole: Any = copy.deepcopy(wrapper).float()
    weight = whole.get_base_layer().weight
    size = weight.shape[0 if isinstance(layer, Conv1D) else 1]
    nothing = whole(weight.new_zeros(1, size))
    columns = whole(torch.eye(size, device=weight.device)) - nothing  # (in, out)
    layer.weight.copy_(columns if isinstance(layer, Conv1D) else columns.T)
    if layer.bias is not None:
        layer.bias.copy_(nothing[0])


def _is_linear(wrapper: BaseTunerLayer) -> bool:
    return isinstance(wrapper.get_base_layer(), (nn.Linear, Conv1D))


def _names_on(module: BaseTunerLayer) -> set[str]:
    """The adapters that this wrapper holds."""
    return {name for part in module.adapter_layer_names for name in getattr(module, part)}


def _dora_on_others(wrapper: BaseTunerLayer) -> bool:
    """Whether a DoRA shares a layer that is looked up rather than multiplied."""
    around = [module for module in wrapper.modules() if isinstance(module, BaseTunerLayer)]
    doras = any(any(getattr(module, "use_dora", {}).values()) for module in around)
    return doras and not _is_linear(wrapper) and sum(len(_names_on(module)) for module in around) > 1
