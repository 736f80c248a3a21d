"""Policy, reference and critic over as few copies of the weights as can be.

An adapter, prefix or soft prompt: one copy of the base is all three; the reference is the model with only the new part off. Where weights
of the model itself move, the reference has a frozen copy of those, and shares the others. The critic reads the policy's hidden states with a head of its own, or moves a trunk of its own.
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from models_registry.lm.chain import Loaded, adapter_off
from models_registry.lm.generate import positions
from models_registry.lm.score import Padded, completion_logprobs, token_logprobs
from models_registry.lm.tuning.apply import trained_parameters


class Judged(NamedTuple):
    """What the policy says about answers that stand already, all (batch, C)."""

    logprobs: Tensor  # of each token, in nats, at the sampling temperature
    values: Tensor  # expected return before each token
    entropy: Tensor | None  # of the distribution that each token was drawn from, in nats


class Actors:
    """`loaded` is a language model with its Tune applied. Dropout stays off: the ratio would not be 1 at the start."""

    def __init__(self, loaded: Loaded, *, separate_critic: bool) -> None:
        self.loaded = loaded
        self.model: PreTrainedModel = loaded.model.eval()
        # With an adapter the model is its own reference.
        self._frozen = _own(self.model).requires_grad_(False) if loaded.trainable is None else None
        self.critic = nn.ModuleDict()
        if separate_critic:
            self.critic["trunk"] = _own(self.model.base_model)
        head = nn.Linear(self.model.config.get_text_config().hidden_size, 1, device=self.model.device)
        nn.init.zeros_(head.weight)  # every value starts at 0, the mean of a normalised score
        nn.init.zeros_(head.bias)
        self.critic["head"] = head

    def parameters(self) -> dict[str, nn.Parameter]:
        """Everything that moves, by name."""
        critic = {f"critic.{name}": p for name, p in self.critic.named_parameters() if p.requires_grad}
        return trained_parameters(self.loaded) | critic

    def judge(self, batch: Padded, *, temperature: float, entropy: bool = False) -> Judged:
        """One forward pass of the policy over prompts and answers, and one of the critic if it has its own trunk."""
        length = batch.completion_length
        seen: list[Tensor] = []
        # What the output layer is given are the hidden states of just the tokens that count, in every architecture.
        hook = self.model.get_output_embeddings().register_forward_pre_hook(
            lambda _layer, given: seen.append(given[0])
        )
        try:
            logits = self.model(
                input_ids=batch.ids,
                attention_mask=batch.mask,
                position_ids=positions(batch.mask),
                use_cache=False,
                logits_to_keep=length + 1,
            ).logits[:, :-1]
        finally:
            hook.remove()
        logits = logits.float() / temperature
        hidden = seen[0][:, -length - 1 : -1]
        if "trunk" in self.critic:
            states = self.critic["trunk"](
                input_ids=batch.ids, attention_mask=batch.mask, position_ids=positions(batch.mask), use_cache=False
            ).last_hidden_state
            hidden = states[:, -length - 1 : -1]
        values = self.critic["head"](hidden.float()).squeeze(-1)
        return Judged(token_logprobs(logits, batch.ids[:, -length:]), values, _entropy(logits) if entropy else None)

    @contextmanager
    def reference(self) -> Iterator[Loaded]:
        """The version that the run started from, to write and to score with inside the block."""
        if self._frozen is not None:
            yield replace(self.loaded, model=self._frozen)
            return
        with adapter_off(self.loaded):
            yield self.loaded

    @torch.no_grad()
    def reference_logprobs(self, batch: Padded, *, temperature: float) -> Tensor:
        """Log-probabilities of the answers under the reference: (batch, C)."""
        with self.reference() as start:
            return completion_logprobs(start.model, batch, temperature=temperature)


def _own(module: nn.Module) -> nn.Module:
    """A module with its own copy of what moves; what is frozen is shared, not copied."""
    return copy.deepcopy(module, {id(p): p for p in module.parameters() if not p.requires_grad})


def _entropy(logits: Tensor) -> Tensor:
    logprobs = torch.log_softmax(logits, -1)
    return -(logprobs.exp() * logprobs).sum(-1)
