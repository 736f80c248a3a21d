"""Dropout for models that have none of their own: on the embeddings and on what each attention and MLP adds to the residual stream."""

from typing import Any

from torch import Tensor, nn
from torch.nn.functional import dropout
from transformers import PreTrainedModel

_ADDING = {"self_attn", "attn", "mlp"}  # what Llama-, GPT-2- and Qwen-shaped blocks call them


def leave_out(model: PreTrainedModel, share: float) -> None:
    """Leave out this share at random while the model is in training mode; nothing of it is saved with the model.

    As in the transformer's first description (Vaswani et al. 2017, section 5.4).
    """
    if not share:
        return

    def hook(module: nn.Module, _inputs: Any, output: Any) -> Any:
        if isinstance(output, Tensor):
            return dropout(output, share, module.training)
        return (dropout(output[0], share, module.training), *output[1:])

    model.get_input_embeddings().register_forward_hook(hook)
    for name, module in model.base_model.named_modules():
        if name.rpartition(".")[2] in _ADDING:
            module.register_forward_hook(hook)
