"""Several models of the same root over one copy of its weights."""

import torch
from torch import nn


def share(model: nn.Module, other: nn.Module) -> int:
    """Let `model` use the tensors of `other` wherever they hold the same numbers under the same name. Returns how many it now shares.

    For a root that is loaded with two heads. Adapters wrap a layer and call it `base_layer`; that is looked through. What moves in either of
    them stays its own.
    """
    theirs = {_plain(name): parameter for name, parameter in other.named_parameters() if not parameter.requires_grad}
    shared = 0
    for name, parameter in model.named_parameters():
        twin = theirs.get(_plain(name))
        if twin is None or parameter.requires_grad or twin.dtype != parameter.dtype or twin.device != parameter.device:
            continue
        if torch.equal(twin, parameter):
            parameter.data = twin.data
            shared += 1
    return shared


def _plain(name: str) -> str:
    return name.replace(".base_layer.", ".")
