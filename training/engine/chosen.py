"""Log-probabilities of tokens that stand already, from hidden states; the logits of all of them stand in memory at most once.

PPO's gradient by a token's log-probability is one number a token, g; by the logits it is g · (one-hot - probabilities) / temperature. So with a
frozen output layer all that backward needs is found along with the log-probability, a few hundred tokens at a time, and nothing of the
vocabulary's size is kept. Where the output layer moves, the probabilities are kept, in place of the logits.
"""

from typing import Any

import torch
from torch import Tensor, nn

from .cross_entropy import CHUNK, fits


def chosen(states: Tensor, head: nn.Module, ids: Tensor, *, temperature: float) -> tuple[Tensor, Tensor]:
    """states (N, hidden) behind the output layer, ids (N,) → log-probability of each id in nats, with gradients, and the entropy of the
    distribution that it was drawn from, without: both (N,), float32."""
    if fits(head):
        return _Chosen.apply(states.float(), head.weight, head.bias, ids, temperature, torch.is_grad_enabled())
    return of_logits(head(states), ids, temperature=temperature)


def of_logits(logits: Tensor, ids: Tensor, *, temperature: float) -> tuple[Tensor, Tensor]:
    """The same from logits (N, vocabulary)."""
    logprobs = torch.log_softmax(logits.float() / temperature, -1)
    with torch.no_grad():
        entropy = -(logprobs.exp() * logprobs).sum(-1)
    return logprobs.gather(1, ids[:, None])[:, 0], entropy


class _Chosen(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, states: Tensor, weight: Tensor, bias: Tensor | None, ids: Tensor, temperature: float, learning: bool
    ) -> tuple[Tensor, Tensor]:
        wanted = [learning and need for need in ctx.needs_input_grad[:3]]
        keeps = wanted[1] or wanted[2]
        slopes = states.new_empty(len(states), len(weight)) if keeps else None
        of_states = torch.empty_like(states) if wanted[0] and not keeps else None
        logprobs, entropy = (states.new_empty(len(states)) for _ in range(2))
        for begin in range(0, len(states), CHUNK):
            part = slice(begin, begin + CHUNK)
            logits = nn.functional.linear(states[part], weight, bias).div_(temperature)
            logits.sub_(logits.logsumexp(1, keepdim=True))
            logprobs[part] = logits.gather(1, ids[part, None])[:, 0]
            probabilities = logits.exp()
            entropy[part] = -torch.linalg.vecdot(probabilities, logits)
            if not any(wanted):
                continue
            # d logprob / d logits, but for the temperature
            slope = probabilities.neg_().scatter_add_(1, ids[part, None], logits.new_ones(len(logits), 1))
            if slopes is not None:
                slopes[part] = slope
            elif of_states is not None:
                torch.mm(slope, weight, out=of_states[part])
        ctx.temperature, ctx.wanted = temperature, wanted
        ctx.save_for_backward(of_states, slopes, *((states, weight) if keeps else (None, None)))
        ctx.mark_non_differentiable(entropy)
        return logprobs, entropy

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        of_states, slopes, states, weight = ctx.saved_tensors
        each = (grads[0] / ctx.temperature)[:, None]
        if slopes is None:
            return of_states.mul_(each), None, None, None, None, None
        slopes.mul_(each)  # in place: no one else has them, and a run goes backwards once
        return (
            slopes @ weight if ctx.wanted[0] else None,
            slopes.T @ states if ctx.wanted[1] else None,
            slopes.sum(0) if ctx.wanted[2] else None,
            None,
            None,
            None,
        )
