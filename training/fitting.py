"""What settings, versions and data say together before anything is loaded: why a run that is well written would fail all the same."""

import json
import math
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from django.utils.translation import gettext as _

from labeling.datasets.store import rows_of
from labeling.models import Dataset
from models_registry.lm.inspect import MEMBERS_FILE, linear_layers
from models_registry.lm.tuning.config import Target, TuneFourier, TuneLastLayers, TuneLokr, TuneOft, result_kind
from models_registry.merging import reasons_against
from models_registry.models import Head, Kind, Version

from . import fitting_rankings
from .engine.config import Settings
from .engine.evaluation.tasks import task_for
from .engine.methods.ppo.config import REWARD_MODELS, caution_of_one
from .engine.methods.ppo.config import Config as PpoConfig
from .engine.methods.reward.config import Config as RewardConfig
from .engine.rollouts import RolloutSettings
from .failures import said

LOOKED_AT = 1000  # rows of a data set; the engine looks at all
CONV1D = {"gpt2", "openai-gpt"}  # models whose linear layers are transformers' Conv1D


def misfits(method: str, config: Settings, inputs: Mapping[str, Version | Dataset]) -> Iterator[tuple[str, str]]:
    """(name of the form's field, sentence) of everything that is known already. Config and inputs are right, each by itself."""
    base, data = inputs.get("base"), inputs.get("dataset")
    if isinstance(base, Version):
        yield from _of_tune(config, base)
    if isinstance(base, Version) and isinstance(config, RolloutSettings):
        yield from _of_answers(config, base)
    if isinstance(config, PpoConfig) and config.is_careful_of_heads(inputs):
        yield from _of_heads(inputs)
    if isinstance(data, Dataset):
        yield from _of_rows(method, config, data)
    if isinstance(config, RewardConfig) and isinstance(data, Dataset):
        yield from fitting_rankings.misfits(config, base if isinstance(base, Version) else None, data)
    if method == "evaluate":
        yield from _of_task(config, inputs)


def remarks(method: str, base: Version | None) -> list[str]:
    """What a run of the method will do to its base that nobody asked for."""
    return list(fitting_rankings.remarks(base)) if method == "reward" and base is not None else []


def _of_tune(config: Settings, base: Version) -> Iterator[tuple[str, str]]:
    tune = getattr(config, "tune", None)
    if tune is None:
        return
    if result_kind(tune) == "full" and base.kind != Kind.FULL and (reasons := reasons_against(base)):
        way_out = _(
            "So the model's own weights cannot move here: let an adapter or a soft prompt learn, or start from another model."
        )
        yield "config.tune", " ".join([*reasons, way_out])
    blocks = _blocks(base)
    if isinstance(tune, TuneLastLayers) and blocks is not None and tune.n > blocks:
        text = _("%(base)s has %(blocks)s blocks, so no %(last)s can move.")
        yield "config.tune.n", text % {"base": base, "blocks": blocks, "last": tune.n}
    if isinstance(tune, (TuneLokr, TuneOft)) and root_config(base).get("model_type") in CONV1D:
        text = _("PEFT cannot put %(kind)s on this model's layers, which are of the kind Conv1D, as GPT-2's are")
        yield "config.tune", text % {"kind": tune.kind} + "."
    if isinstance(tune, TuneFourier) and (most := _weights_of_smallest_layer(base, tune.target)) < tune.frequencies:
        text = _("The smallest of these layers has %(most)s weights, so it cannot have %(frequencies)s frequencies.")
        yield "config.tune.frequencies", text % {"most": most, "frequencies": tune.frequencies}
    length = getattr(tune, "length", 0)
    if base.context_length is not None and length >= base.context_length:
        text = _("%(base)s holds %(context)s tokens: %(length)s in front of every text leave no room for any.")
        yield "config.tune.length", text % {"base": base, "context": base.context_length, "length": length}


def _of_answers(config: RolloutSettings, base: Version) -> Iterator[tuple[str, str]]:
    context = base.context_length
    if context is not None and config.max_tokens >= context:
        text = _(
            "The longest answer (%(answer)s tokens) leaves no room for a prompt: the model holds %(context)s tokens."
        )
        yield "config.max_tokens", text % {"answer": config.max_tokens, "context": context}


def _of_heads(inputs: Mapping[str, Version | Dataset]) -> Iterator[tuple[str, str]]:
    """Of the one reward model: whether its heads can disagree. What is not in the store is left to the run."""
    [folder] = [inputs[role].folder for role in REWARD_MODELS if role in inputs]
    if folder.is_dir() and not (folder / MEMBERS_FILE).is_file():
        yield "config.reward_caution", said([caution_of_one().as_json()])[0]


def root_config(base: Version) -> dict[str, Any]:
    """The config.json of the model that a version stands on; {} where it cannot be read."""
    try:
        config = json.loads((base.chain()[0].folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return config.get("text_config", config)


def _blocks(base: Version) -> int | None:
    """How many blocks the model has that a version stands on; None where it does not say."""
    config = root_config(base)
    return config.get("num_hidden_layers", config.get("n_layer"))


def _weights_of_smallest_layer(base: Version, target: Target) -> float:
    """Of the layers that an adapter would be put on; infinite where they cannot be found."""
    try:
        sizes = [math.prod(shape) for shape in linear_layers(base.chain()[0].folder, target).values()]
    except ValueError:
        return math.inf
    return min(sizes, default=math.inf)


def _of_rows(method: str, config: Settings, data: Dataset) -> Iterator[tuple[str, str]]:
    place = {"dataset": data.name}
    wanted = getattr(config, "split", "all") if method == "evaluate" else "all"
    if wanted != "all" and data.splits and not data.splits.get(wanted):
        text = (
            _("%(dataset)s has no held-out rows to judge on: choose other rows below, or data with a held-out split.")
            if wanted == "heldout"
            else _("%(dataset)s has no training rows to judge on: choose other rows below.")
        )
        yield "inputs.dataset", text % place
    if getattr(config, "without_line", "") == "refuse" and _has_none_of_line(data):
        text = _(
            "%(dataset)s has rankings without an acceptability line, which say of no answer that it is good enough. Leave them out, or "
            "let their first tier count as wanted and their last as unwanted."
        )
        yield "config.without_line", text % place


def _has_none_of_line(data: Dataset) -> bool:
    """Whether a ranking among the first ones draws no line."""
    return any("|" not in str(row.get("ranking", "|")) for row in islice(rows_of(data.folder), LOOKED_AT))


def _of_task(config: Settings, inputs: Mapping[str, Version | Dataset]) -> Iterator[tuple[str, str]]:
    version, data = inputs["base"], inputs["dataset"]
    _task, problems = task_for(
        data.kind,
        head=_head_of_weights(version),
        has_labels=version.head == Head.CLASSES,
        wanted=config.task,
        has_reward_model="reward_model" in inputs,
        has_reference="reference" in inputs,
    )
    for problem in problems:
        yield "inputs.dataset", _(problem.text) % problem.params


def _head_of_weights(version: Version) -> str:
    """A hard prompt with labels makes a classifier of weights that write."""
    while version.kind == Kind.HARD_PROMPT and version.parent:
        version = version.parent
    return version.head
