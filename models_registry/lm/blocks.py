"""The parts of a decoder, found by their structure: its blocks, in each block the attention and the MLP, and the norm behind the last one.

Nothing here knows an architecture by name. A decoder holds its blocks in one list, as many as its config counts; in a block, the part that is
called an attention and holds matrices is the attention, and the other part that holds matrices is the MLP.
"""

from collections.abc import Iterator
from typing import Literal

from torch import nn
from transformers import PreTrainedModel

from .problems import Problem, Unfit, _

Place = Literal["attention", "mlp"]


def blocks(model: PreTrainedModel) -> nn.ModuleList:
    """The model's blocks, the first first. Raises Unfit where no such list is found."""
    return _list_of_blocks(model)[1]


def _list_of_blocks(model: PreTrainedModel) -> tuple[nn.Module, nn.ModuleList]:
    """(what holds the list, the list)."""
    count = model.config.get_text_config().num_hidden_layers
    for (
        parent
    ) in model.base_model.modules():  # from outside to inside: experts and the like are lists too, deeper down
        for child in parent.children():
            if isinstance(child, nn.ModuleList) and len(child) == count and all(_holds_matrices(one) for one in child):
                return parent, child
    raise Unfit(Problem(_("the blocks of %(model)s could not be found"), model=type(model).__name__))


def places(model: PreTrainedModel, wanted: Literal["attention", "mlp", "both"]) -> Iterator[tuple[str, nn.Module]]:
    """(name within the model, module) of each attention or MLP, block by block. Raises Unfit where one is not found."""
    names = {id(module): name for name, module in model.named_modules()}
    kinds: tuple[Place, ...] = ("attention", "mlp") if wanted == "both" else (wanted,)
    for block in blocks(model):
        for kind in kinds:
            module = part(block, kind)
            yield names[id(module)], module


def part(block: nn.Module, kind: Place) -> nn.Module:
    """The attention of a block, or its MLP. Raises Unfit where there is not exactly one."""
    found = [
        module
        for name, module in block.named_children()
        if _holds_matrices(module) and _is_attention(name, module) == (kind == "attention")
    ]
    if len(found) != 1:
        text = _("a block of the kind %(block)s has %(found)s parts that could be its %(part)s, not one")
        raise Unfit(Problem(text, block=type(block).__name__, found=len(found), part=kind))
    return found[0]


def _is_attention(name: str, module: nn.Module) -> bool:
    return any("attn" in word or "attention" in word for word in (name.lower(), type(module).__name__.lower()))


def _holds_matrices(module: nn.Module) -> bool:
    """Norms and activations hold none."""
    return any(parameter.ndim > 1 for parameter in module.parameters())


def final_norms(model: PreTrainedModel) -> list[nn.Module]:
    """What stands behind the last block and holds no matrix: the final norm; empty where a model has none."""
    parent, found = _list_of_blocks(model)
    children = list(parent.children())
    behind = children[next(i for i, child in enumerate(children) if child is found) + 1 :]
    return [child for child in behind if any(True for _ in child.parameters()) and not _holds_matrices(child)]
