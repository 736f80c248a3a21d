"""The loss of an output layer over many tokens, a few hundred at a time: the logits of all of them never stand in memory together.

The gradients are computed along with the loss, while a part's logits are at hand and warm in the cache, so nothing is computed twice. Memory for the
logits is CHUNK · vocabulary numbers, whatever the batch.
"""

from typing import Any

import torch
from torch import Tensor, nn

CHUNK = 512  # tokens


def fits(head: nn.Module) -> bool:
    """Whether an output layer is a plain matrix in float32: no adapter in it, nothing hooked to it, no other precision."""
    return (
        type(head) is nn.Linear
        and head.weight.dtype == torch.float32
        and not (head._forward_hooks or head._forward_pre_hooks or head._backward_hooks)
        and not torch.is_autocast_enabled(head.weight.device.type)
    )


def summed(states: Tensor, head: nn.Linear, targets: Tensor) -> Tensor:
    """Sum of the negative log-likelihoods in nats: states (T, hidden) behind the output layer, targets (T,)."""
    return _Summed.apply(states.float(), head.weight, head.bias, targets, torch.is_grad_enabled())


class _Summed(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, states: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, learning: bool
    ) -> Tensor:
        wanted = [learning and need for need in ctx.needs_input_grad[:3]]
        of_states = torch.empty_like(states) if wanted[0] else None
        of_weight = torch.zeros_like(weight) if wanted[1] else None
        of_bias = torch.zeros_like(bias) if bias is not None and wanted[2] else None
        total = states.new_zeros(())
        for begin in range(0, len(states), CHUNK):
            some, aims = states[begin : begin + CHUNK], targets[begin : begin + CHUNK, None]
            logits = nn.functional.linear(some, weight, bias)
            norm = logits.logsumexp(1, keepdim=True)
            total += (norm - logits.gather(1, aims)).sum()
            if not any(wanted):
                continue
            # d loss / d logits: the probabilities, less one at the target.
            slope = logits.sub_(norm).exp_().scatter_add_(1, aims, logits.new_full(aims.shape, -1.0))
            if of_states is not None:
                torch.mm(slope, weight, out=of_states[begin : begin + CHUNK])
            if of_weight is not None:
                of_weight.addmm_(slope.T, some)
            if of_bias is not None:
                of_bias += slope.sum(0)
        ctx.save_for_backward(of_states, of_weight, of_bias)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        # In place: no one else has them, and a run goes backwards once.
        of_states, of_weight, of_bias = (None if part is None else part.mul_(grads[0]) for part in ctx.saved_tensors)
        return of_states, of_weight, of_bias, None, None
