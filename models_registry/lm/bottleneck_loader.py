"""Loads bottleneck adapters saved by Peringkat. One file that needs torch, transformers and safetensors alone, so that it can go anywhere.

    from transformers import AutoModelForCausalLM
    import bottleneck_loader

    model = AutoModelForCausalLM.from_pretrained("base")
    bottleneck_loader.load(model, "adapter")           # on at once
    bottleneck_loader.load(model, "other", "second")   # several over one model: the later lie on the earlier
    bottleneck_loader.use(model, ["second"])           # exactly these; [] gives the base's numbers, bit for bit

A folder holds `adapter_config.json` (peft_type "BOTTLENECK": kind, size, activation, scaling, …) and `adapter_model.safetensors`. For
each place at which an adapter sits, named as in the model (`model.layers.0.mlp`), there are `<place>.down.weight` (size, hidden),
`<place>.down.bias` (size), `<place>.up.weight` (hidden, size), `<place>.up.bias` (hidden), and `<place>.scaling` () where it was learned.
`score.weight` (outputs, hidden) is the head that was trained along with the adapter, if there was one.

    serial      y ← y + s · up(f(down(y)))     y: what the attention or the MLP gives back (Houlsby et al. 2019; Pfeiffer et al. 2021)
    parallel    y ← y + s · up(f(down(x)))     x: what it is given (He et al. 2022; Hu et al. 2023)
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": functional.relu,
    "gelu": functional.gelu,
    "silu": functional.silu,
    "tanh": torch.tanh,
    "identity": lambda hidden: hidden,
}


class Bottleneck(nn.Module):
    """hidden → size → hidden. Starts without any effect: the second matrix is zero, the first is drawn from torch's random state."""

    scaling: nn.Parameter | float

    def __init__(
        self,
        hidden: int,
        size: int,
        *,
        kind: str,
        activation: str,
        scaling: float = 1.0,
        learned_scaling: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.kind, self.activation, self.dropout = kind, activation, dropout
        # Plain tensors, no layers of their own: a LoRA that is put on all linear layers later must not find any here.
        self.down = nn.ParameterDict({"weight": nn.Parameter(torch.empty(size, hidden)), "bias": torch.zeros(size)})
        self.up = nn.ParameterDict({"weight": torch.zeros(hidden, size), "bias": torch.zeros(hidden)})
        nn.init.kaiming_uniform_(self.down["weight"], a=5**0.5)
        if learned_scaling:
            self.scaling = nn.Parameter(torch.tensor(float(scaling)))
        else:
            self.scaling = scaling

    def forward(self, states: Tensor) -> Tensor:
        """(…, hidden) → what is added, (…, hidden)."""
        narrow = functional.linear(states, self.down["weight"], self.down["bias"])
        narrow = functional.dropout(ACTIVATIONS[self.activation](narrow), self.dropout, self.training)
        return self.scaling * functional.linear(narrow, self.up["weight"], self.up["bias"])


class Bottlenecks(nn.Module):
    """The adapters at one place, by name. `active` are on, in this order: the later lie on the earlier."""

    def __init__(self) -> None:
        super().__init__()
        self.adapters = nn.ModuleDict()
        self.active: tuple[str, ...] = ()

    def forward(self, given: Tensor, output: Tensor) -> Tensor:
        for name in self.active:
            if name in self.adapters:
                adapter = self.adapters[name]
                output = output + adapter(output if adapter.kind == "serial" else given)
        return output


def _add(place: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
    """Forward hook of an attention or MLP: it may give back a tensor, or a tuple that begins with one."""
    given = args[0] if args else kwargs["hidden_states"]
    own: Any = place.bottlenecks
    return (own(given, output[0]), *output[1:]) if isinstance(output, tuple) else own(given, output)


def put(model: PreTrainedModel, place: str, name: str, adapter: Bottleneck) -> None:
    """Put an adapter at a place of the model, not yet on."""
    module: Any = model.get_submodule(place)
    if not hasattr(module, "bottlenecks"):
        module.bottlenecks = Bottlenecks()
        module.register_forward_hook(_add, with_kwargs=True)
    like = next(module.parameters())
    adapter.to(like.device, like.dtype).train(model.training)
    module.bottlenecks.adapters[name] = adapter


def read(folder: str | Path) -> tuple[dict[str, Any], dict[str, dict[str, Tensor]], dict[str, Tensor]]:
    """(config, {place: its tensors}, the head's tensors) of a folder. Raises ValueError if it holds no bottleneck adapter."""
    config = json.loads((Path(folder) / "adapter_config.json").read_text("utf-8"))
    if config.get("peft_type") != "BOTTLENECK":
        raise ValueError(f"{folder} holds no bottleneck adapter, but {config.get('peft_type')}")
    places: dict[str, dict[str, Tensor]] = {}
    head: dict[str, Tensor] = {}
    for key, tensor in load_file(Path(folder) / "adapter_model.safetensors").items():
        for part in ("down.weight", "down.bias", "up.weight", "up.bias", "scaling"):
            if key.endswith(f".{part}"):
                places.setdefault(key.removesuffix(f".{part}"), {})[part] = tensor
                break
        else:
            head[key] = tensor
    return config, places, head


def make(config: dict[str, Any], tensors: dict[str, Tensor]) -> Bottleneck:
    """The adapter of one place from its tensors. Raises RuntimeError when one is missing or has another shape."""
    size, hidden = tensors["down.weight"].shape
    adapter = Bottleneck(
        hidden,
        size,
        kind=config["kind"],
        activation=config["activation"],
        scaling=config["scaling"],
        learned_scaling=config["learned_scaling"],
        dropout=config.get("dropout", 0.0),
    )
    adapter.load_state_dict(tensors)
    return adapter


def load(model: PreTrainedModel, folder: str | Path, name: str = "default") -> None:
    """Put the adapter of a folder into the model, frozen and on, on top of those that are there; with its head, if it has one.

    Raises ValueError when the adapter was made for a model of another shape.
    """
    config, places, head = read(folder)
    modules = dict(model.named_modules())
    wrong = [place for place in places if place not in modules]
    wrong += [key for key in head if key not in dict(model.named_parameters())]
    if wrong or config["hidden_size"] != model.config.get_text_config().hidden_size:
        raise ValueError(f"the adapter does not fit this model ({', '.join(wrong) or 'another hidden size'})")
    for place, tensors in places.items():
        put(model, place, name, make(config, tensors).requires_grad_(False))
    with torch.no_grad():
        for key, tensor in head.items():
            model.get_parameter(key).copy_(tensor)
    before = next((m.active for m in modules.values() if isinstance(m, Bottlenecks)), ())
    use(model, [*before, name])


def use(model: PreTrainedModel, names: Sequence[str]) -> None:
    """Switch exactly these adapters on, in this order."""
    for module in model.modules():
        if isinstance(module, Bottlenecks):
            module.active = tuple(names)
