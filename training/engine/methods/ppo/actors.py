"""Policy, reference and critic over as few copies of the weights as can be.

LoRA: one copy of the base is all three; the reference is the model with only the new adapter off. All weights: the reference is a frozen
copy. The critic reads the policy's hidden states with a head of its own, or moves a trunk of its own.
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
        # Where everything moves; with an adapter the model is its own reference.
        self._frozen = copy.deepcopy(self.model).requires_grad_(False) if loaded.trainable is None else None
        self.critic = nn.ModuleDict()
        if separate_critic:
            # Its own copy of what moves; what is frozen is shared with the policy, not copied.
            frozen = {id(p): p for p in self.model.base_model.parameters() if not p.requires_grad}
            self.critic["trunk"] = copy.deepcopy(self.model.base_model, frozen)
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


def _entropy(logits: Tensor) -> Tensor:
    logprobs = torch.log_softmax(logits, -1)
    return -(logprobs.exp() * logprobs).sum(-1)
