"""How much room on the disk a run needs at its largest, told from its settings, so that none is started that cannot end.

A checkpoint holds what moves and AdamW's two moments of it, in fp32; so many are kept, and one more is written before the oldest goes. The
result is written while all of them are there, and beside the policies that PPO keeps along the way, which are of its size.
"""

from collections.abc import Mapping
from typing import Any

from labeling.models import Dataset
from models_registry.lm.tuning.config import Tune, TuneAll, result_kind
from models_registry.lm.tuning.size import moving_parameters
from models_registry.models import Head, Version

from . import disk
from .engine import contract, methods
from .engine.config import Settings
from .models import Run

FP32 = 4  # bytes
MOMENTS = 2
MOST = 2**31  # of any size that a full config may name: beyond, it is a slip


def needed(method: str, config: Settings, inputs: Mapping[str, Version | Dataset]) -> int:
    """Bytes, about; 0 where nothing is trained, or where the weights that would tell cannot be read."""
    base = inputs.get("base")
    tune = getattr(config, "tune", TuneAll())
    if methods.facts_of(method).family == "judge" or not hasattr(config, "keep_checkpoints"):
        return 0
    whole = base.chain()[0].parameters if isinstance(base, Version) else from_nothing(config)
    moving = moving_of(base, tune) if isinstance(base, Version) else whole
    if moving is None or not whole:
        return 0
    copies = 1 + MOMENTS
    if hasattr(config, "patience") and (method == "reward" or config.patience):
        copies += 1  # the best weights so far
    if getattr(config, "ema_decay", None):
        copies += 1
    if getattr(config, "critic", "") == "separate":
        moving *= 2
    result = whole if result_kind(tune) == "full" else moving
    results = 1 + getattr(config, "keep_along_kl", 0)
    return FP32 * (moving * copies * (config.keep_checkpoints + 1) + result * results)


def of_run(run: Run) -> int:
    """The same for a run that was created."""
    config, _problems = contract.check_config(run.method, run.config) if run.method in methods.names() else (None, [])
    inputs: dict[str, Version | Dataset] = {
        each.role: each.version or each.dataset for each in run.inputs.select_related("version__model", "dataset")
    }
    return needed(run.method, config, inputs) if config else 0


def has_room_for(run: Run) -> bool:
    """Whether it would fit beside what is there and what the runs at work may yet need."""
    if disk.is_full():
        return False
    at_work = Run.objects.filter(state__in=[Run.State.RUNNING, Run.State.STOPPING]).exclude(pk=run.pk)
    wanted = sum(max(0, of_run(each) - disk.size_of(each.folder)) for each in [run, *at_work])
    return wanted <= disk.free()


def is_stuck() -> bool:
    """Whether the queue stays as it is: nothing is at work that could leave room, and what is first in it does not fit."""
    if Run.objects.filter(state__in=[Run.State.RUNNING, Run.State.STOPPING]).exists():
        return False
    first = Run.objects.filter(state=Run.State.QUEUED).order_by("queue_order", "created_at").first()
    if first is None or has_room_for(first):
        return False
    disk.used(now=True)  # what ended a moment ago may have left some
    return not has_room_for(first)


def from_nothing(config: Any) -> int:
    """Parameters of the model that pretraining would make; 0 where it does not say."""
    if not hasattr(config, "shape"):
        return 0
    told = _sizes(config.full_config or {})
    hidden = told.get("hidden_size", told.get("n_embd", config.shape.hidden_size))
    layers = told.get("num_hidden_layers", told.get("n_layer", config.shape.layers))
    inner = told.get("intermediate_size") or config.intermediate_size
    mlp = 3 * hidden * inner if inner else 8 * hidden**2  # two matrices of 4 times the width, or three of 8/3
    tied = (config.full_config or {}).get("tie_word_embeddings", config.tie_embeddings)
    vocabulary = min(config.wanted_vocabulary, MOST)
    return vocabulary * hidden * (1 if tied else 2) + layers * (4 * hidden**2 + mlp)


def _sizes(told: Mapping[str, Any]) -> dict[str, int]:
    """What of a full config can be a size; the rest is refused at the start of the run, in the words of transformers."""
    return {name: value for name, value in told.items() if type(value) is int and 0 < value <= MOST}


def moving_of(base: Version, tune: Tune) -> int | None:
    root = base.chain()[0]
    try:
        return moving_parameters(root.folder, tune, writes=base.head == Head.LM)
    except (OSError, ValueError):
        return root.parameters if result_kind(tune) == "full" else None
