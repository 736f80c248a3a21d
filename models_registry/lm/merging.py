"""Folding the adapters of a chain into the weights of its model: exact for adapters that are linear, impossible for all others."""

from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils import ModulesToSaveWrapper
from torch import nn

from . import leading
from .bottleneck_loader import Bottlenecks
from .chain import Loaded, active_head, use
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
    layers = [(name, module) for name, module in loaded.model.named_modules() if isinstance(module, BaseTunerLayer)]
    for _name, layer in reversed(
        layers
    ):  # an adapter that lies on others is wrapped around them: from inside to outside
        layer.merge(adapter_names=list(loaded.adapters))
    for name, layer in layers:
        if not any(name.startswith(f"{outer}.") for outer, _layer in layers):
            _put(loaded.model, name, layer.get_base_layer())
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
    if any(_dora_on_others(module) for module in loaded.model.modules()):
        problems.append(Problem(_("a DoRA adapter that shares a layer with other adapters cannot be merged exactly")))
    for module in loaded.model.modules():
        if isinstance(module, BaseTunerLayer) and not hasattr(module, "merge"):
            text = _("an adapter of the kind %(kind)s cannot be merged")
            problems.append(Problem(text, kind=type(module).__name__))
    return list(dict.fromkeys(problems))


def _dora_on_others(module: nn.Module) -> bool:
    if not isinstance(module, BaseTunerLayer) or not any(getattr(module, "use_dora", {}).values()):
        return False
    return isinstance(module.base_layer, BaseTunerLayer) or len(module.lora_A) > 1


def _put(model: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(model.get_submodule(parent), child, module)
