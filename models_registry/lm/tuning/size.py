"""How many parameters a Tune would move, told from the headers of the weight files: no weights are loaded. Light."""

import json
import math
from pathlib import Path

from .. import inspect
from .config import (
    Bottleneck,
    Tune,
    TuneAll,
    TuneFourier,
    TuneHead,
    TuneIA3,
    TuneLastLayers,
    TuneOft,
    TunePrefix,
    TuneSoftPrompt,
    TuneVera,
)


def moving_parameters(folder: Path, tune: Tune, *, writes: bool = True) -> int:
    """Of the full model in `folder`; adapters of kinds whose size hangs on more are counted as at most so large. `writes`: it has an output layer
    over the vocabulary, and no score head. Raises ValueError where the folder cannot be read."""
    sizes = {name: int(math.prod(shape)) for name, shape in inspect.shapes(folder).items()}
    config = json.loads((Path(folder) / "config.json").read_text("utf-8"))
    config = config.get("text_config") or config
    hidden = config.get("hidden_size", config.get("n_embd"))
    layers = config.get("num_hidden_layers", config.get("n_layer"))
    if not isinstance(hidden, int) or not isinstance(layers, int):
        raise ValueError("config.json does not say how large the model is")
    if isinstance(tune, TuneAll):
        return sum(sizes.values())
    head: int = hidden * config.get("vocab_size", 0) if writes else hidden
    if isinstance(tune, TuneHead):
        return head
    if isinstance(tune, TuneLastLayers):
        in_blocks = sum(size for name, size in sizes.items() if any(map(str.isdecimal, name.split("."))))
        return head + in_blocks * min(tune.n, layers) // layers
    if isinstance(tune, TuneSoftPrompt):
        return tune.length * hidden
    if isinstance(tune, TunePrefix):
        return tune.length * layers * 2 * hidden
    if isinstance(tune, Bottleneck):
        width = tune.size or max(1, int(hidden // tune.reduction))
        places = 2 if tune.places == "both" else 1
        return layers * places * (2 * hidden * width + width + hidden + 1)
    linear = [sorted(shape) for shape in inspect.linear_layers(folder, getattr(tune, "target", "all_linear")).values()]
    if isinstance(tune, TuneIA3):
        return sum(large for _small, large in linear)
    if isinstance(tune, TuneVera):
        return sum(tune.rank + large for _small, large in linear)
    if isinstance(tune, TuneOft):
        return sum(large * (tune.block_size - 1) // 2 for _small, large in linear)
    if isinstance(tune, TuneFourier):
        return tune.frequencies * len(linear)
    lengths = getattr(tune, "variant", "") == "dora"
    return sum(tune.rank * (small + large) + lengths * large for small, large in linear)  # LoKr is smaller
