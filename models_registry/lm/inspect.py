"""What a folder holds, from its JSON files and safetensors headers alone. Light: loads no torch, runs nothing it finds."""

import json
import math
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from . import hard_prompt
from .problems import Problem, _

# Files that run code or unpickle objects when loaded. They are never loaded, and never imported.
_PICKLES = {".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".npy", ".npz", ".joblib", ".h5", ".msgpack"}
_CODE = {".py", ".pyc", ".so", ".sh", ".ipynb"}

SCALE_FILE = "reward.json"  # of a reward model made here: heads.py
MEMBERS_FILE = "reward_members.safetensors"  # of an ensemble, beside the weights: members.py
AVERAGED_FILE = "averaged.safetensors"  # of classifiers that judge together: averaged.py

PICKLE = _("may run code when it is loaded; only safetensors are")
CODE = _("is program code")

_SOFT_PROMPTS = {"PROMPT_TUNING", "P_TUNING"}
# Kinds of PEFT that need more than their folder, or work by other means than layers and virtual tokens.
_UNKNOWN_ADAPTERS = {"MULTITASK_PROMPT_TUNING", "ADAPTION_PROMPT", "CPT", "CARTRIDGE", "POLY", "XLORA", "MIXED"}

_DTYPE_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}
_HEADER_LIMIT = 100_000_000  # bytes; the format's own limit


@dataclass(frozen=True)
class Facts:
    """`problems` empty: the folder can be loaded. `parameters` counts this folder's tensors alone, tied ones once.

    kind: full | adapter | soft_prompt | hard_prompt | None (no model); head: lm | reward | classes | None (unknown, or a link that keeps the head below
    it). A hard prompt with labels makes a classifier of a model that writes: its head is classes, whatever the weights have.
    """

    kind: Literal["full", "adapter", "soft_prompt", "hard_prompt"] | None = None
    head: Literal["lm", "reward", "classes"] | None = None
    architecture: str = ""
    parameters: int = 0
    dtype: str = ""
    context_length: int | None = None
    vocab_size: int | None = None
    labels: tuple[str, ...] = ()
    outputs: int | None = None  # of a score layer
    members: int = (
        0  # heads of an ensemble whose mean is the score layer; of a classifier: models whose judgements are averaged
    )
    files_refused: list[tuple[str, str]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


class _Broken(Exception):
    """The folder cannot be read any further."""

    def __init__(self, template: str, **params: Any) -> None:
        self.problem = Problem(template, **params)


def describe(folder: Path) -> Facts:
    """Look at a Hugging Face model folder or a PEFT adapter folder. Never raises for what it finds: see Facts.problems."""
    folder = Path(folder)
    if not folder.is_dir():
        return Facts(problems=[Problem(_("There is no such folder."))])
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    refused = [(str(path.relative_to(folder)), reason) for path in files if (reason := refusal(path))]
    try:
        if (folder / "adapter_config.json").is_file():
            return _adapter(folder, refused)
        if (folder / "config.json").is_file():
            return _full(folder, refused)
        if (folder / hard_prompt.FILE).is_file():
            return _hard_prompt(folder, refused)
    except _Broken as error:
        return Facts(files_refused=refused, problems=[error.problem])
    return Facts(
        files_refused=refused,
        problems=[Problem(_("This is no model folder: it has neither a config.json nor an adapter_config.json."))],
    )


def shapes(folder: Path) -> dict[str, list[int]]:
    """Of all tensors of a full model, by name. Raises ValueError where the files cannot be read."""
    try:
        return {name: entry["shape"] for name, entry in _weights(Path(folder), "model.safetensors").items()}
    except _Broken as error:
        raise ValueError(error.problem) from None


def linear_layers(folder: Path, target: str = "all_linear") -> dict[str, list[int]]:
    """Shapes of the matrices in a full model's blocks, by name: of all, of the attention, or of the MLP. Raises ValueError as `shapes`."""
    return {
        name: shape
        for name, shape in shapes(folder).items()
        if len(shape) == 2 and any(map(str.isdecimal, name.split("."))) and target in ("all_linear", place(name))
    }


def place(name: str) -> str:
    """Whether a layer belongs to the attention or to the MLP, from the name of what it stands in."""
    parents = name.removesuffix(".weight").split(".")[:-1]
    return "attention" if any("attn" in part or "attention" in part for part in parents) else "mlp"


def refusal(path: Path) -> str | None:
    """Why a file of a model folder is left out, or None when it may come along."""
    if path.suffix.lower() in _PICKLES or path.name.endswith(".bin.index.json"):
        return PICKLE
    if path.suffix.lower() in _CODE:
        return CODE
    return None


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise _Broken(_("%(file)s cannot be read: %(reason)s."), file=path.name, reason=error) from None
    if not isinstance(value, dict):
        raise _Broken(_("%(file)s holds no JSON object."), file=path.name)
    return value


def tensors(path: Path) -> dict[str, dict[str, Any]]:
    """The header of a safetensors file: {name: {"dtype", "shape", "data_offsets"}}. Raises ValueError when it is broken."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 2 <= length <= min(size - 8, _HEADER_LIMIT):
            raise ValueError("the header is cut off")
        header = json.loads(file.read(length))
    header.pop("__metadata__", None)
    end = max((entry["data_offsets"][1] for entry in header.values()), default=0)
    if end != size - 8 - length:
        raise ValueError("the file is cut off")
    return header


def _weights(folder: Path, single: str) -> dict[str, dict[str, Any]]:
    """Headers of all weight files: one file, or the shards that the index names."""
    index = folder / f"{single}.index.json"
    if (folder / single).is_file():
        names = [single]
    elif index.is_file():
        names = sorted(set(_json(index).get("weight_map", {}).values()))
    else:
        names = []
    found: dict[str, dict[str, Any]] = {}
    for name in names:
        path = folder / name
        if Path(name).name != name:  # a link to elsewhere is fine: the Hugging Face cache is made of them
            raise _Broken(_("The index names a file outside the folder: %(file)s."), file=name)
        try:
            found |= tensors(path)
        except FileNotFoundError:
            raise _Broken(_("A weight file is missing: %(file)s."), file=name) from None
        except (ValueError, KeyError, TypeError, struct.error) as error:
            raise _Broken(_("%(file)s is damaged: %(reason)s."), file=name, reason=error) from None
    return found


def _members(folder: Path) -> list[int]:
    """[heads, width] of an ensemble of heads; [] where there is none."""
    return _weights(folder, MEMBERS_FILE).get("weight", {}).get("shape", [])


def _averaged(folder: Path) -> tuple[int, int]:
    """(models that judge together, parameters of all but the first), (0, 0) where there is one alone."""
    beside = _weights(folder, AVERAGED_FILE)
    models = {name.partition(".")[0] for name in beside}
    return len(models) + 1 if models else 0, sum(math.prod(entry["shape"]) for entry in beside.values())


def _parameters(weights: dict[str, dict[str, Any]], members: list[int]) -> int:
    heads = math.prod(members) if members else 0
    return sum(math.prod(entry["shape"]) for entry in weights.values()) + heads


def _no_weights(refused: list[tuple[str, str]], what: str) -> Problem:
    if any(reason == PICKLE for _name, reason in refused):
        text = _(
            "Its weights are pickles only, and a pickle can run code on this machine. Save it as safetensors first: "
            "model.save_pretrained(folder)."
        )
        return Problem(text)
    return Problem(_("There are no weights in it: %(file)s is missing."), file=what)


def _full(folder: Path, refused: list[tuple[str, str]]) -> Facts:
    config = _json(folder / "config.json")
    problems = []
    if remote := _remote_code(config, folder):
        problems.append(remote)
    weights, members = _weights(folder, "model.safetensors"), _members(folder)
    models, parameters_beside = _averaged(folder)
    if not weights:
        problems.append(_no_weights(refused, "model.safetensors"))
    if not isinstance(config.get("model_type"), str):
        problems.append(Problem(_("config.json does not say which kind of model this is (model_type).")))
    architecture = (config.get("architectures") or [""])[0]
    head, labels = _head(architecture, config, weights)
    if architecture and head is None:
        useless = _("%(architecture)s neither writes text nor classifies it; it cannot be used here.")
        problems.append(Problem(useless, architecture=architecture))
    if not any(
        (folder / name).is_file() for name in ("tokenizer.json", "tokenizer.model", "vocab.json", "spiece.model")
    ):
        problems.append(Problem(_("There is no tokenizer in it: tokenizer.json is missing.")))
    inner = config.get("text_config")  # of models that also see or hear
    text: dict[str, Any] = inner if isinstance(inner, dict) else config
    return Facts(
        kind="full",
        head=head,
        architecture=architecture or str(config.get("model_type", "")),
        parameters=_parameters(weights, members) + parameters_beside,
        dtype=_main_dtype(weights),
        context_length=_first_int(text, "max_position_embeddings", "n_positions", "n_ctx"),
        vocab_size=_first_int(text, "vocab_size"),
        labels=labels,
        outputs=_rows_of_head(weights),
        members=members[0] if members else models,
        files_refused=refused,
        problems=problems,
    )


def _adapter(folder: Path, refused: list[tuple[str, str]]) -> Facts:
    config = _json(folder / "adapter_config.json")
    weights, members = _weights(folder, "adapter_model.safetensors"), _members(folder)
    problems = [] if weights else [_no_weights(refused, "adapter_model.safetensors")]
    if remote := _remote_code(config, folder):
        problems.append(remote)
    kind = config.get("peft_type")
    if not isinstance(kind, str):
        problems.append(Problem(_("adapter_config.json does not say which kind of adapter this is (peft_type).")))
    elif kind in _UNKNOWN_ADAPTERS:
        problems.append(Problem(_("Adapters of the kind %(kind)s cannot be used here."), kind=kind))
    head: Literal["lm", "reward", "classes"] | None = None
    if config.get("task_type") == "SEQ_CLS":
        head = "reward" if _rows_of_head(weights) == 1 else "classes"
    labels = config.get("labels") if head == "classes" else None
    return Facts(
        kind="soft_prompt" if kind in _SOFT_PROMPTS else "adapter",
        head=head,
        architecture=str(kind or ""),
        parameters=_parameters(weights, members),
        dtype=_main_dtype(weights),
        labels=tuple(map(str, labels)) if isinstance(labels, list) else (),
        outputs=_rows_of_head(weights),
        members=members[0] if members else 0,
        files_refused=refused,
        problems=problems,
    )


def _hard_prompt(folder: Path, refused: list[tuple[str, str]]) -> Facts:
    try:
        prompt = hard_prompt.read(folder)
    except (OSError, ValueError) as error:
        raise _Broken(_("%(file)s cannot be used: %(reason)s."), file=hard_prompt.FILE, reason=error) from None
    return Facts(
        kind="hard_prompt",
        head="classes" if prompt.labels else None,
        architecture="HardPrompt",
        labels=tuple(prompt.labels),
        files_refused=refused,
    )


def _remote_code(config: dict[str, Any], folder: Path) -> Problem | None:
    """Models and tokenizers that bring their own program say so with `auto_map`; it is never run."""
    places = [config]
    if (folder / "tokenizer_config.json").is_file():
        places.append(_json(folder / "tokenizer_config.json"))
    if any(place.get("auto_map") for place in places):
        return Problem(_("It needs program code that comes with it (auto_map), and such code is never run here."))
    return None


def _head(
    architecture: str, config: dict[str, Any], weights: dict[str, dict[str, Any]]
) -> tuple[Literal["lm", "reward", "classes"] | None, tuple[str, ...]]:
    if architecture.endswith("ForSequenceClassification"):
        names = config.get("id2label") or {}
        labels = tuple(str(names[key]) for key in sorted(names, key=int)) if names else ()
        outputs = _rows_of_head(weights) or config.get("num_labels") or len(labels)
        return ("reward", ()) if outputs == 1 else ("classes", labels)
    if architecture.endswith(("ForCausalLM", "LMHeadModel")):
        return "lm", ()
    return None, ()


def _rows_of_head(weights: dict[str, dict[str, Any]]) -> int | None:
    """How many outputs the score layer has, from the shape of its matrix."""
    for name, entry in weights.items():
        if name.endswith(("score.weight", "classifier.weight", "score.modules_to_save.weight")):
            return entry["shape"][0]
    return None


def _first_int(config: dict[str, Any], *names: str) -> int | None:
    return next((config[name] for name in names if isinstance(config.get(name), int)), None)


def _main_dtype(weights: dict[str, dict[str, Any]]) -> str:
    """The dtype that most bytes have."""
    sizes: dict[str, int] = {}
    for entry in weights.values():
        name = entry["dtype"]
        sizes[name] = sizes.get(name, 0) + math.prod(entry["shape"]) * _DTYPE_BYTES.get(name, 1)
    return max(sizes, key=lambda name: sizes[name], default="")
