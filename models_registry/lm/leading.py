"""Virtual tokens that lead every text: soft prompts (learned embeddings) and prefixes (learned keys and values of every layer).

They are put in front where the trunk begins (`model.base_model`) and taken away again from the hidden states where it ends, by hooks, so
that heads, losses and pooling see the text alone, and every caller works as if nothing were there: with a KV cache, with padding on
either side, with positions given or not. A row of the batch is [prefixes | soft prompts | what the caller gave].
"""

import inspect
import warnings
from collections.abc import Hashable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, cast

import torch
from peft import PeftConfig, PrefixTuningConfig, PromptTuningConfig
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import DynamicCache, PreTrainedModel

from . import apart
from .problems import Problem, Unfit, _

PEFT_TYPES = {"PROMPT_TUNING", "P_TUNING", "PREFIX_TUNING"}  # in a folder, P-tuning's are soft prompts like any


class Leading(nn.Module):
    """Soft prompts (length, hidden) and prefixes (length, layers · 2 · heads · head size) by name; `active` are on, lower ones first.

    `rows`, where set, takes the place of the active soft prompts: one name a row, or None.
    """

    def __init__(self) -> None:
        super().__init__()
        self.prompts = nn.ParameterDict()
        self.prefixes = nn.ParameterDict()
        self.active: tuple[str, ...] = ()
        self.rows: tuple[str | None, ...] | None = None
        self._strip = 0

    def soft(self, batch: int) -> tuple[Tensor | None, Tensor | None]:
        """The soft prompts of `batch` rows: embeddings (batch, S, hidden) and mask (batch, S), False in front of the shorter ones;
        None without any."""
        if self.rows is None:
            on = [self.prompts[name] for name in self.active if name in self.prompts]
            if not on:
                return None, None
            one = torch.cat(list(on))
            return one.expand(batch, -1, -1), one.new_ones(batch, len(one), dtype=torch.bool)
        if len(self.rows) != batch:
            raise ValueError(f"soft prompts are set for {len(self.rows)} rows, and the batch has {batch}")
        lengths = [0 if name is None else len(self.prompts[name]) for name in self.rows]
        longest = max(lengths)
        if not longest:
            return None, None
        like = next(iter(self.prompts.values()))
        mask = torch.zeros(batch, longest, dtype=torch.bool, device=like.device)
        parts = []
        for row, (name, length) in enumerate(zip(self.rows, lengths, strict=True)):
            mask[row, longest - length :] = True
            empty = like.new_zeros(longest - length, like.shape[1])
            parts.append(empty if name is None else torch.cat([empty, self.prompts[name]]))
        return torch.stack(parts), mask

    def prefix(self) -> Tensor | None:
        """All active prefixes, one behind the other: (P, layers · 2 · heads · head size)."""
        on = [self.prefixes[name] for name in self.active if name in self.prefixes]
        return torch.cat(on) if on else None

    @property
    def length(self) -> int:
        """How many virtual tokens lead the longest row."""
        if self.rows is None:
            soft = sum(len(self.prompts[name]) for name in self.active if name in self.prompts)
        else:
            soft = max((len(self.prompts[name]) for name in self.rows if name is not None), default=0)
        return soft + sum(len(self.prefixes[name]) for name in self.active if name in self.prefixes)


def of(model: PreTrainedModel) -> Leading | None:
    """What leads the model's texts; None if it has no virtual tokens at all."""
    return getattr(model.base_model, "leading", None)


def length(model: PreTrainedModel) -> int:
    """How many virtual tokens lead every text at present: places that its context does not have for texts."""
    found = of(model)
    return found.length if found is not None else 0


def make(model: PreTrainedModel) -> Leading:
    """The model's Leading, put there if it is not."""
    trunk = model.base_model
    if not hasattr(trunk, "leading"):
        trunk.leading = Leading()
        trunk.register_forward_pre_hook(_lead, with_kwargs=True)
        trunk.register_forward_hook(_strip)
    return trunk.leading


def use(model: PreTrainedModel, names: Sequence[str]) -> None:
    if (found := of(model)) is not None:
        found.active = tuple(names)


def put(model: PreTrainedModel, name: str, values: Tensor, *, prefix: bool) -> None:
    """Add a soft prompt or a prefix under a name, not yet on; float32 whatever the model computes in. Raises ValueError if it does not fit."""
    if prefix:
        layers, heads, size = prefix_shape(model)
        width = layers * 2 * heads * size
    else:
        width = model.config.get_text_config().hidden_size
    if values.ndim != 2 or values.shape[1] != width:
        raise ValueError(f"virtual tokens of this model have {width} numbers each, not {tuple(values.shape)}")
    state = make(model)
    (state.prefixes if prefix else state.prompts)[name] = nn.Parameter(values.to(model.device, torch.float32))


def peft_config(folder: Path) -> PeftConfig:
    """PEFT's config of a folder; what it does not know (our `labels`) is left out without a word."""
    with warnings.catch_warnings(action="ignore", category=UserWarning):
        return PeftConfig.from_pretrained(str(folder))


def add(model: PreTrainedModel, folder: Path, name: str) -> dict[str, Tensor]:
    """Put the soft prompt or prefix of a PEFT folder into the model, not yet on. Returns the head that it brings, {} if none.

    Raises ValueError where it does not fit.
    """
    config = peft_config(folder)
    tensors = load_file(folder / "adapter_model.safetensors")
    if "prompt_embeddings" not in tensors:
        raise ValueError(f"{folder}: it holds no virtual tokens (prompt_embeddings)")
    try:
        put(model, name, tensors.pop("prompt_embeddings"), prefix=config.peft_type == "PREFIX_TUNING")
    except ValueError as error:
        raise ValueError(f"{folder}: {error}") from None
    return {key[key.index("score.") :]: tensor for key, tensor in tensors.items() if ".score." in key}


def config_and_tensors(
    model: PreTrainedModel, name: str, head: Mapping[str, Tensor]
) -> tuple[PeftConfig, dict[str, Tensor]]:
    """What PEFT keeps of a soft prompt or prefix: its config, and its tensors as they are named in a folder."""
    state = make(model)
    about = model.config.get_text_config()
    common = {
        "task_type": "SEQ_CLS" if head else "CAUSAL_LM",
        "num_layers": about.num_hidden_layers,
        "num_transformer_submodules": 1,
        "inference_mode": True,
    }
    if name in state.prompts:
        values = state.prompts[name]
        sizes = {"token_dim": values.shape[1], "num_attention_heads": about.num_attention_heads}
        config: PeftConfig = PromptTuningConfig(num_virtual_tokens=len(values), **sizes, **common)
    else:
        values = state.prefixes[name]
        _layers, heads, size = prefix_shape(model)
        sizes = {"token_dim": heads * size, "num_attention_heads": heads, "encoder_hidden_size": heads * size}
        config = PrefixTuningConfig(num_virtual_tokens=len(values), **sizes, **common)
    return config, {"prompt_embeddings": values, **{f"base_model.{key}": tensor for key, tensor in head.items()}}


def prefix_shape(model: PreTrainedModel) -> tuple[int, int, int]:
    """(layers, key heads, head size). Raises Unfit where layers differ, so that no one shape fits them all."""
    config = model.config.get_text_config()
    if set(getattr(config, "layer_types", None) or ["full_attention"]) - {"full_attention", "sliding_attention"}:
        text = _("a prefix needs attention in every layer, and %(kind)s has others")
        raise Unfit(Problem(text, kind=config.model_type))
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return config.num_hidden_layers, heads, size


@cache
def _arguments(trunk: Any) -> tuple[str, ...]:
    """Names of what the forward of a class of trunks takes."""
    return tuple(inspect.signature(trunk.forward).parameters)[1:]


def _lead(trunk: PreTrainedModel, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict[str, Any]] | None:
    """Forward pre-hook: put the virtual tokens in front, or where the cache has them already, count them in mask and positions."""
    state: Leading = trunk.leading
    state._strip = 0
    if not state.length:
        return None
    names = _arguments(cast(Hashable, type(trunk)))
    given = dict(zip(names, args, strict=False)) | kwargs
    mask, past = given.get("attention_mask"), given.get("past_key_values")
    if trunk.config._attn_implementation == apart.NAME or (
        mask is not None and (not isinstance(mask, Tensor) or mask.ndim != 2)
    ):
        raise NotImplementedError("virtual tokens lead each text of its own, not several in one row")
    inputs = given["inputs_embeds"] if given.get("inputs_embeds") is not None else given["input_ids"]
    batch, count = inputs.shape[:2]
    device = inputs.device

    soft, soft_mask = state.soft(batch)
    prefix = state.prefix()
    before = 0 if prefix is None else len(prefix)
    places = before + (0 if soft is None else soft.shape[1])
    lengths = torch.full((batch,), before, device=device)
    if soft_mask is not None:
        lengths = lengths + soft_mask.sum(1)
    cached = past.get_seq_length() if past is not None else 0

    if mask is None and state.rows is not None:
        mask = torch.ones(batch, max(cached - places, 0) + count, dtype=torch.long, device=device)
    if mask is not None:
        front = [mask.new_ones(batch, before)] + ([] if soft_mask is None else [soft_mask.to(mask.dtype)])
        given["attention_mask"] = torch.cat([*front, mask], 1)

    positions = given.get("position_ids")
    if positions is None:
        positions = torch.arange(count, device=device)[None] + max(cached - places, 0)
    positions = positions.expand(batch, -1) + lengths[:, None]
    if not cached:
        if prefix is not None:
            past = past if past is not None else DynamicCache(config=trunk.config)
            given["past_key_values"] = past
            _fill(past, prefix, trunk, batch)
        if soft is not None and soft_mask is not None:
            if given.get("inputs_embeds") is None:
                given["inputs_embeds"] = trunk.get_input_embeddings()(given.pop("input_ids"))
                given["input_ids"] = None
            embeddings = given["inputs_embeds"]
            given["inputs_embeds"] = torch.cat([soft.to(embeddings.dtype), embeddings], 1)
            positions = torch.cat([before + (soft_mask.long().cumsum(1) - 1).clamp(min=0), positions], 1)
            state._strip = soft.shape[1]
    if "position_ids" in names:
        given["position_ids"] = positions
    return (), given


def _fill(past: DynamicCache, prefix: Tensor, trunk: PreTrainedModel, batch: int) -> None:
    """Write a prefix into an empty cache, as PEFT lays it out: (P, layers · 2 · heads · size), keys before values."""
    layers, heads, size = prefix_shape(trunk)
    dtype = trunk.get_input_embeddings().weight.dtype
    if torch.is_autocast_enabled(prefix.device.type):
        dtype = torch.get_autocast_dtype(prefix.device.type)
    states = prefix.to(dtype).view(1, len(prefix), layers, 2, heads, size).permute(2, 3, 0, 4, 1, 5)
    for layer in range(layers):
        keys, values = states[layer].expand(-1, batch, -1, -1, -1)
        past.update(keys, values, layer)


def _strip(trunk: PreTrainedModel, _args: tuple, output: Any) -> Any:
    """Forward hook: the hidden states of what the caller gave, without those of the virtual tokens."""
    count, trunk.leading._strip = trunk.leading._strip, 0
    if not count:
        return None
    if isinstance(output, tuple):
        return (output[0][:, count:], *output[1:])
    output.last_hidden_state = output.last_hidden_state[:, count:]
    if output.get("hidden_states") is not None:
        output.hidden_states = tuple(states[:, count:] for states in output.hidden_states)
    return output
