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
from models_registry.lm.score import Padded
from models_registry.lm.tuning.apply import trained_parameters
from models_registry.lm.tuning.lean_lora import lean

from ...chosen import chosen, of_logits
from ...packing import TRIED, probe, states
from .flat import Flat, flat


class Judged(NamedTuple):
    """What the policy says about answers that stand already, all (batch, C)."""

    logprobs: Tensor  # of each token, in nats, at the sampling temperature
    values: Tensor  # expected return before each token
    entropy: Tensor  # of the distribution that each token was drawn from, in nats


class Actors:
    """`loaded` is a language model with its Tune applied. Dropout stays off: the ratio would not be 1 at the start. `longest`: tokens of the longest
    prompt with its answer; None: as many as the model holds."""

    def __init__(self, loaded: Loaded, *, separate_critic: bool, longest: int | None = None) -> None:
        self.loaded = loaded
        self.model: PreTrainedModel = loaded.model.eval()
        lean(self.model)
        # Virtual tokens must lead every text, so several in one row are out of the question.
        found = probe(self.model, longest or loaded.context_length or TRIED)
        self.way = replace(found, together=found.together and not loaded.leads)
        # With an adapter the model is its own reference.
        self.frozen = _own(self.model).requires_grad_(False) if loaded.trainable is None else None
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

    @property
    def unmoved(self) -> PreTrainedModel:
        """The model that holds the weights which the run started from and which do not move."""
        return self.model if self.frozen is None else self.frozen

    def judge(self, batch: Padded, *, temperature: float) -> Judged:
        """One forward pass of the policy over prompts and answers, and one of the critic if it has its own trunk."""
        row, mask = flat(batch), batch.completion_mask.bool()
        hidden, logprobs, entropy = self._read(self.model, row, temperature)
        if "trunk" in self.critic:
            hidden = states(self.critic["trunk"], row.batch, replace(self.way, short=True))[row.places]
        with torch.autocast(hidden.device.type, enabled=False):  # a value in bf16 has three digits
            values = self.critic["head"](hidden.float()).squeeze(-1)

        def spread(found: Tensor) -> Tensor:
            return found.new_zeros(mask.shape).masked_scatter(mask, found)

        return Judged(spread(logprobs), spread(values), spread(entropy))

    def _read(self, model: PreTrainedModel, row: Flat, temperature: float) -> tuple[Tensor, Tensor, Tensor]:
        """Of the answers' N tokens: the states that they were drawn at (N, hidden), their log-probabilities and entropies (N,)."""
        head = model.get_output_embeddings()
        if self.way.short:
            hidden = states(model, row.batch, self.way)[row.places]
            return hidden, *chosen(hidden, head, row.ids, temperature=temperature)
        seen: list[Tensor] = []
        # What the output layer is given are the hidden states, in every architecture.
        hook = head.register_forward_pre_hook(lambda _layer, given: seen.append(given[0].flatten(0, 1)))
        try:
            logits = states(model, row.batch, self.way)[row.places]
        finally:
            hook.remove()
        return torch.cat(seen)[row.places], *of_logits(logits, row.ids, temperature=temperature)

    @contextmanager
    def reference(self) -> Iterator[Loaded]:
        """The version that the run started from, to write and to score with inside the block."""
        if self.frozen is not None:
            yield replace(self.loaded, model=self.frozen)
            return
        with adapter_off(self.loaded):
            yield self.loaded

    @torch.no_grad()
    def reference_logprobs(self, batch: Padded, *, temperature: float) -> Tensor:
        """Log-probabilities of the answers under the reference: (batch, C)."""
        mask = batch.completion_mask.bool()
        with self.reference() as start:
            _hidden, logprobs, _entropy = self._read(start.model, flat(batch), temperature)
        return logprobs.new_zeros(mask.shape).masked_scatter(mask, logprobs)


def _own(module: nn.Module) -> nn.Module:
    """A module with its own copy of what moves; what is frozen is shared, not copied."""
    return copy.deepcopy(module, {id(p): p for p in module.parameters() if not p.requires_grad})
