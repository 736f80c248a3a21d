"""Loading a chain of folders, root first: a full model and the adapters that lie on it, in the order they were trained."""

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
import transformers
from peft import PeftConfig, PeftModel, set_peft_model_state_dict
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils import ModulesToSaveWrapper
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from . import averaged, bottleneck, hard_prompt, inspect, leading
from .bottleneck_loader import Bottlenecks
from .hard_prompt import HardPrompt
from .heads import score_head
from .text import Continuation, without_prefix
from .tuning.config import Tune

transformers.utils.logging.disable_progress_bar()
logging.getLogger("peft").setLevel(logging.ERROR)

Head = Literal["lm", "reward", "classes"]


@dataclass
class Loaded:
    """A chain in memory.

    `model` is always the transformers model itself (LlamaForCausalLM, …): adapters live inside its layers and virtual tokens at its trunk, so
    its forward, its trunk (`model.base_model`) and its config are used as if none were there. `pefts` are PEFT's handles on the same
    modules, one for each of its kinds of adapter, and for each VeRA adapter. `adapters` are the names of the chain's links, adapters, prefixes and soft prompts
    alike, lowest first: on and frozen. `trainable` names the one that is being trained. `on`: those that are on now.
    `others` judge beside the model where a classifier is the average of several (averaged.py); only what judges classes reads them.
    `hard_prompt` is put around every prompt by text.encode_prompt; `shortened` counts the prompts for which that had to leave out examples.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    head: Head
    folders: tuple[Path, ...] = ()
    adapters: tuple[str, ...] = ()
    trainable: str | None = None
    pefts: dict[str, PeftModel] = field(default_factory=dict)
    tune: Tune | None = field(default=None)
    hard_prompt: HardPrompt | None = None
    shortened: int = 0
    on: tuple[str, ...] = ()
    others: tuple[PreTrainedModel, ...] = ()
    labels_of: dict[str, tuple[str, ...]] = field(default_factory=dict)  # of links that bring a head

    @property
    def device(self) -> torch.device:
        return self.model.device

    @property
    def active(self) -> tuple[str, ...]:
        """All adapters that are on by default: the chain's and the trained one."""
        return self.adapters + ((self.trainable,) if self.trainable else ())

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes that this chain tells apart, in the order of its outputs: those of its hard prompt, or of its head. Often none."""
        if self.hard_prompt is not None and self.hard_prompt.labels:
            return tuple(self.hard_prompt.labels)
        if self.head != "classes":
            return ()
        for name in reversed(self.on):
            if name in self.labels_of:
                return self.labels_of[name]
        names = self.model.config.id2label
        return tuple(names[number] for number in sorted(names))

    @property
    def context_length(self) -> int | None:
        """Most tokens of text the model can look at, virtual tokens in front of it left out; None where its positions have no end."""
        config = self.model.config.get_text_config()
        places = getattr(config, "max_position_embeddings", None) or getattr(config, "n_positions", None)
        return places - leading.length(self.model) if places else None

    @property
    def leads(self) -> bool:
        """Virtual tokens must lead every text: several texts in one row, flat or packed, are not possible then."""
        return leading.length(self.model) > 0

    def replace(self, model: PreTrainedModel) -> None:
        """Go on with another model over the very same trunk, as with a new head; heads that links of the chain brought are gone."""
        self.model = model
        self.labels_of.clear()
        for peft in self.pefts.values():
            peft.base_model.model = model

    @cached_property
    def continuation(self) -> Continuation:
        """The tokenizer for text that goes on from other text: see text.Continuation."""
        return without_prefix(self.tokenizer)

    @cached_property
    def eos_ids(self) -> tuple[int, ...]:
        """Every token that ends a text: EOS by the tokenizer or by the model's generation settings, and BOS, since a model that begins
        another text has ended this one (stories260K was trained with BOS alone between its stories). What the model has no embedding of it cannot
        write: the config of a small GPT-2 that names none says 50256."""
        ids = {
            self.tokenizer.eos_token_id,
            self.tokenizer.bos_token_id,
            self.model.config.get_text_config().eos_token_id,
        }
        if (settings := getattr(self.model, "generation_config", None)) is not None:
            ids.add(tuple(settings.eos_token_id) if isinstance(settings.eos_token_id, list) else settings.eos_token_id)
        flat = {i for item in ids for i in (item if isinstance(item, (tuple, list)) else (item,))}
        return tuple(sorted(i for i in flat if i is not None and i < len(self.model.get_input_embeddings().weight)))


def load(
    folders: Sequence[Path],
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    trainable: Tune | None = None,
) -> Loaded:
    """Load a chain, frozen and in eval mode; with `trainable`, what it names is then made to move (tuning.apply).

    The head is that of the last folder that has one: a reward adapter on a language model makes a reward model.
    Raises ValueError when a folder cannot be loaded (see inspect.describe). Only safetensors are read; no code of the folder is run.
    """
    folders = [Path(folder) for folder in folders]
    facts = [inspect.describe(folder) for folder in folders]
    for folder, about in zip(folders, facts, strict=True):
        if about.problems:
            raise ValueError(f"{folder}: " + " ".join(map(str, about.problems)))
    if not facts or facts[0].kind != "full" or any(about.kind == "full" for about in facts[1:]):
        raise ValueError("a chain is one full model, then what lies on it")
    several = facts[0].head == "classes" and facts[0].members > 1
    if several and len(facts) > 1:
        raise ValueError("nothing can lie on an average of classifiers")
    weights = [about for about in facts if about.kind != "hard_prompt"]
    head: Head = next(about.head for about in reversed(weights) if about.head)
    outputs = next((about.outputs for about in reversed(weights[1:]) if about.outputs), None)
    loaded = Loaded(
        model=_root(folders[0], head, outputs, dtype),
        tokenizer=_tokenizer(folders[0]),
        head=head,
        folders=tuple(folders),
    )
    loaded.model.to(device)
    _without_inventions(loaded)
    names = []
    for number, (folder, about) in enumerate(zip(folders, facts, strict=True)):
        if about.kind == "hard_prompt":
            loaded.hard_prompt = hard_prompt.read(folder)  # the uppermost speaks
        elif number:
            names.append(add_adapter(loaded, folder, f"link{number}"))
    loaded.adapters = tuple(names)
    use(loaded, loaded.adapters)
    loaded.model.requires_grad_(False)
    loaded.model.eval()
    if several:
        loaded.others = averaged.read(folders[0], loaded.model)
    if trainable is not None:
        from .tuning.apply import apply

        apply(loaded, trainable)
    return loaded


def _root(folder: Path, head: Head, outputs: int | None, dtype: torch.dtype) -> PreTrainedModel:
    options = {"dtype": dtype, "use_safetensors": True, "local_files_only": True, "trust_remote_code": False}
    if head == "lm":
        return AutoModelForCausalLM.from_pretrained(folder, **options)
    if outputs is not None:
        options["num_labels"] = outputs
    verbosity = transformers.utils.logging.get_verbosity()
    transformers.utils.logging.set_verbosity_error()  # "newly initialized: score": the adapter above brings it
    try:
        return AutoModelForSequenceClassification.from_pretrained(folder, **options)
    finally:
        transformers.utils.logging.set_verbosity(verbosity)


def _tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)


def _without_inventions(loaded: Loaded) -> None:
    """Take away special tokens of which the model has no embedding: GPT-2's class adds <|endoftext|> also to a vocabulary without it, and a text
    that ends with that could not be read."""
    embeddings, tokenizer = len(loaded.model.get_input_embeddings().weight), loaded.tokenizer
    for name in ("pad_token", "unk_token", "bos_token", "eos_token"):
        number = getattr(tokenizer, f"{name}_id", None)
        if number is not None and number >= embeddings:
            setattr(tokenizer, name, None)


def add_adapter(loaded: Loaded, folder: Path, name: str) -> str:
    """Put the adapter, prefix or soft prompt of a folder into the model under a name, frozen and not yet on. Returns the name.

    Several may be put over one model and switched with `use`, each alone or on top of others. Raises ValueError where the folder does not
    fit the model, and for a name with a dot or one that a part of the model has already.
    """
    if "." in name or any(name in part.split(".") for part, _parameter in loaded.model.named_parameters()):
        raise ValueError(f"an adapter cannot be called {name} here: choose a name without dots that is not taken")
    about = inspect.describe(folder)
    if about.problems:
        raise ValueError(f"{folder}: " + " ".join(map(str, about.problems)))
    if about.head not in (None, loaded.head, "lm"):
        raise ValueError(
            f"{folder}: it brings a head ({about.head}), and the model below it is loaded with another ({loaded.head})"
        )
    if about.architecture == bottleneck.PEFT_TYPE:
        head = bottleneck.add(loaded.model, folder, name)
    elif about.architecture in leading.PEFT_TYPES:
        head = leading.add(loaded.model, folder, name)
    else:
        _add_peft(loaded, folder, name)
        head = {}  # it is there already
    if head:
        put_head(loaded, name, _head_from(head))
    if about.labels:
        loaded.labels_of[name] = about.labels
    for part, parameter in loaded.model.named_parameters():
        if f".{name}." in f".{part}.":
            parameter.requires_grad_(False)
    use(loaded, loaded.on)  # PEFT has switched it on
    return name


def _add_peft(loaded: Loaded, folder: Path, name: str) -> None:
    config = leading.peft_config(folder)
    config.inference_mode = True
    peft = wrap(loaded, config, name)
    state = load_file(folder / "adapter_model.safetensors", device=str(loaded.device))
    if head := {key[key.index("score.") :]: tensor for key, tensor in state.items() if ".score." in key}:
        put_head(loaded, name, _head_from(head))  # it may have more or fewer outputs than the model's own
    try:
        with warnings.catch_warnings(
            action="ignore", category=UserWarning
        ):  # VeRA's matrices are drawn anew, and rightly
            result = set_peft_model_state_dict(peft, state, adapter_name=name)
    except RuntimeError as error:
        raise ValueError(f"{folder}: the adapter does not fit the model below it ({error})") from None
    missing = [key for key in result.missing_keys if f".{name}." in f"{key}."]
    if missing or result.unexpected_keys:
        wrong = ", ".join((missing + list(result.unexpected_keys))[:3])
        raise ValueError(f"{folder}: the adapter does not fit the model below it ({wrong})")


def wrap(loaded: Loaded, config: PeftConfig, name: str) -> PeftModel:
    """Put a fresh adapter into the model's layers, on top of those that are there. Which are on, and what is trained, is left to the caller."""
    # The registry knows the parent; a path of this machine would say nothing elsewhere.
    config.base_model_name_or_path = None
    kind = getattr(config.peft_type, "value", config.peft_type)
    if kind == "VERA":
        # PEFT finds bare layers alone, and all VeRA adapters of one handle share the first one's random matrices.
        kind = f"VERA {name}"
        with bare(loaded.model):
            _new_handle(loaded, kind, config, name)
    elif kind in loaded.pefts:
        loaded.pefts[kind].add_adapter(name, config, autocast_adapter_dtype=False)
    else:
        _new_handle(loaded, kind, config, name)
    return loaded.pefts[kind]


def _new_handle(loaded: Loaded, kind: str, config: PeftConfig, name: str) -> None:
    loaded.pefts[kind] = PeftModel(loaded.model, config, adapter_name=name, autocast_adapter_dtype=False)
    # Left there, the next kind of adapter would take the configs of this one for its own.
    if hasattr(loaded.model, "peft_config"):
        del loaded.model.peft_config


def wrapped_layers(model: nn.Module) -> dict[str, BaseTunerLayer]:
    """The layers that adapters are wrapped around, by name; of wrappers around wrappers the outermost."""
    found: dict[str, BaseTunerLayer] = {}
    for name, module in model.named_modules():
        if isinstance(module, BaseTunerLayer) and not any(name.startswith(f"{outer}.") for outer in found):
            found[name] = module
    return found


@contextmanager
def bare(model: nn.Module) -> Iterator[None]:
    """For the time of the block the layers stand there without their adapters; what is wrapped around them meanwhile is then around those too."""
    wrappers = wrapped_layers(model)
    for name, wrapper in wrappers.items():
        model.set_submodule(name, wrapper.get_base_layer())
    try:
        yield
    finally:
        for name, wrapper in wrappers.items():
            now = model.get_submodule(name)
            if isinstance(now, BaseTunerLayer):
                now.base_layer = wrapper
            else:
                model.set_submodule(name, wrapper)


def put_head(loaded: Loaded, name: str, head: nn.Module) -> None:
    """Give a link a score head of its own."""
    score = score_head(loaded.model)
    if not isinstance(score, ModulesToSaveWrapper):
        loaded.model.score = score = ModulesToSaveWrapper(score, name)
    elif name not in score.modules_to_save:
        score.update(name)
    score.modules_to_save[name] = head.to(loaded.device, loaded.model.dtype).train(loaded.model.training)


def active_head(loaded: Loaded) -> nn.Linear:
    """The score head that is on: of the uppermost link that brings one, or the model's own."""
    score: Any = score_head(loaded.model)
    if not isinstance(score, ModulesToSaveWrapper):
        return score
    return score.modules_to_save[score.active_adapters[0]] if score.active_adapters else score.original_module


def _head_from(tensors: Mapping[str, Tensor]) -> nn.Module:
    outputs, hidden = tensors["score.weight"].shape
    head = nn.Linear(hidden, outputs, bias="score.bias" in tensors)
    head.load_state_dict({key.removeprefix("score."): tensor for key, tensor in tensors.items()})
    return head


def head_of(loaded: Loaded, name: str) -> dict[str, Tensor]:
    """The score head that a link has of its own, {} if none."""
    score = getattr(loaded.model, "score", None)
    if not isinstance(score, ModulesToSaveWrapper) or name not in score.modules_to_save:
        return {}
    return {f"score.{key}": tensor for key, tensor in score.modules_to_save[name].state_dict(keep_vars=True).items()}


def use(loaded: Loaded, names: Sequence[str]) -> None:
    """Switch exactly these adapters, prefixes and soft prompts on. Touches no requires_grad flag, unlike PEFT's set_adapter.

    A head that several of them bring is that of the uppermost; the model's own where none does. Virtual tokens stand in this order, prefixes
    before soft prompts.
    """
    for module in loaded.model.modules():
        if isinstance(module, BaseTunerLayer):
            module._active_adapter = list(names)
        elif isinstance(module, ModulesToSaveWrapper):
            module._active_adapter = [name for name in names if name in module.modules_to_save][-1:]
        elif isinstance(module, Bottlenecks):
            module.active = tuple(names)
    leading.use(loaded.model, names)
    loaded.on = tuple(names)


@contextmanager
def using(loaded: Loaded, names: Sequence[str]) -> Iterator[None]:
    """Exactly these adapters on, for the time of the block."""
    use(loaded, names)
    try:
        yield
    finally:
        use(loaded, loaded.active)


@contextmanager
def adapter_off(loaded: Loaded) -> Iterator[None]:
    """The model as it was when training began: the chain's own adapters stay on, only the new one is off.

    ValueError when the whole model moves: then nothing in memory is what it was.
    """
    if loaded.trainable is None:
        raise ValueError("no adapter is being trained: keep a frozen copy as the reference")
    with using(loaded, loaded.adapters):
        yield
