"""LoRA at nearly the cost of the layer below it.

PEFT computes W x + s B (A x) with every product, its scaling and the sum in memory of their own, again in the backward pass. Over many tokens
W + s B A is one small product more than W, so it is made anew for each pass and forgotten; what remains of LoRA are three thin products for its
own gradients. Same function, same gradients, up to rounding.
"""

from types import MethodType
from typing import Any

import torch
from peft.tuners.lora.layer import Linear
from torch import Tensor, nn


def lean(model: nn.Module) -> None:
    """Let every plain LoRA layer of a model compute in this way wherever it can, and as PEFT does elsewhere."""
    for module in model.modules():
        if type(module) is Linear and type(module.base_layer) is nn.Linear:
            module.forward = MethodType(_forward, module)


def _forward(layer: Linear, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    base = layer.base_layer
    names = [name for name in layer.active_adapters if name in layer.lora_A]
    if args or kwargs or not _is_plain(layer, base, names, x):
        return Linear.forward(layer, x, *args, **kwargs)
    pairs = [(layer.lora_A[name].weight, layer.lora_B[name].weight) for name in names]
    scalings = [layer.scaling[name] for name in names]
    rows, (out, into) = x.numel() // x.shape[-1], base.weight.shape
    if torch.is_grad_enabled() or rows * (out + into) > out * into:
        return _Adapted.apply(x, base.weight, base.bias, scalings, *(one for pair in pairs for one in pair))
    found = base(x)
    for (a, b), scaling in zip(pairs, scalings, strict=True):
        found.view(rows, out).addmm_(x.view(rows, into) @ a.T, b.T, alpha=scaling)
    return found


def _is_plain(layer: Linear, base: nn.Linear, names: list[str], x: Tensor) -> bool:
    return (
        bool(names)
        and not (layer.disable_adapters or layer.merged or base._forward_hooks or base._forward_pre_hooks)
        and not any(name in layer.lora_variant or layer.lora_A[name].bias is not None for name in names)
        and not any(layer.lora_B[name].bias is not None for name in names)
        and not (layer.training and any(isinstance(layer.lora_dropout[name], nn.Dropout) for name in names))
        and not base.weight.requires_grad
        and all(one.dtype == torch.float32 for one in (x, base.weight, *(layer.lora_A[name].weight for name in names)))
        and not torch.is_autocast_enabled(x.device.type)
        and x.is_contiguous()
    )


def _together(weight: Tensor, scalings: list[float], factors: tuple[Tensor, ...]) -> Tensor:
    """W + Σ s B A: (out, in)."""
    for scaling, a, b in zip(scalings, factors[::2], factors[1::2], strict=True):
        weight = torch.addmm(weight, b, a, alpha=scaling)
    return weight


class _Adapted(torch.autograd.Function):
    """`factors`: A (rank, in) and B (out, rank) of each adapter in turn."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, scalings: list[float], *factors: Tensor
    ) -> Tensor:
        ctx.scalings = scalings
        ctx.save_for_backward(x, weight, *factors)
        return nn.functional.linear(x, _together(weight, scalings, factors), bias)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, *factors = ctx.saved_tensors
        grad, rows = grads[0].flatten(0, -2), x.flatten(0, -2)
        of_x = None
        if ctx.needs_input_grad[0]:
            of_x = (grad @ _together(weight, ctx.scalings, tuple(factors))).view(x.shape)
        found: list[Tensor | None] = []
        needs = ctx.needs_input_grad[4:]
        for place, scaling in enumerate(ctx.scalings):
            a, b = factors[2 * place : 2 * place + 2]
            found.append(((grad @ b).T @ rows).mul_(scaling) if needs[2 * place] else None)
            found.append((grad.T @ (rows @ a.T)).mul_(scaling) if needs[2 * place + 1] else None)
        return of_x, None, None, None, *found
