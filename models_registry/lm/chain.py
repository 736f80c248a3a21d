"""Loading a chain of folders, root first: a full model and the adapters that lie on it, in the order they were trained."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

import torch
import transformers
from peft import PeftConfig, PeftModel, set_peft_model_state_dict
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils import ModulesToSaveWrapper
from safetensors.torch import load_file
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from . import hard_prompt, inspect
from .hard_prompt import HardPrompt
from .text import Continuation, without_prefix
from .tuning.config import Tune

transformers.utils.logging.disable_progress_bar()
logging.getLogger("peft").setLevel(logging.ERROR)

Head = Literal["lm", "reward", "classes"]


@dataclass
class Loaded:
    """A chain in memory.

    `model` is always the transformers model itself (LlamaForCausalLM, …): adapters live inside its layers, so its forward, its trunk
    (`model.base_model`) and its config are used as if none were there. `peft` is PEFT's handle on the same modules, None without adapters.
    `adapters` are the names of the chain's adapters, lowest first: on and frozen. `trainable` names the one that is being trained.
    `hard_prompt` is put around every prompt by text.encode_prompt; `shortened` counts the prompts for which that had to leave out examples.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    head: Head
    folders: tuple[Path, ...] = ()
    adapters: tuple[str, ...] = ()
    trainable: str | None = None
    peft: PeftModel | None = None
    tune: Tune | None = field(default=None)
    hard_prompt: HardPrompt | None = None
    shortened: int = 0

    @property
    def device(self) -> torch.device:
        return self.model.device

    @property
    def active(self) -> tuple[str, ...]:
        """All adapters that are on by default: the chain's and the trained one."""
        return self.adapters + ((self.trainable,) if self.trainable else ())

    @property
    def context_length(self) -> int | None:
        """Most tokens the model can look at, or None where its positions have no end."""
        config = self.model.config.get_text_config()
        return getattr(config, "max_position_embeddings", None) or getattr(config, "n_positions", None)

    @cached_property
    def continuation(self) -> Continuation:
        """The tokenizer for text that goes on from other text: see text.Continuation."""
        return without_prefix(self.tokenizer)

    @cached_property
    def eos_ids(self) -> tuple[int, ...]:
        """Every token that ends a text: EOS by the tokenizer or by the model's generation settings, and BOS, since a model that begins
        another text has ended this one (stories260K was trained with BOS alone between its stories)."""
        ids = {
            self.tokenizer.eos_token_id,
            self.tokenizer.bos_token_id,
            self.model.config.get_text_config().eos_token_id,
        }
        if (settings := getattr(self.model, "generation_config", None)) is not None:
            ids.add(tuple(settings.eos_token_id) if isinstance(settings.eos_token_id, list) else settings.eos_token_id)
        flat = {i for item in ids for i in (item if isinstance(item, (tuple, list)) else (item,))}
        return tuple(sorted(flat - {None}))


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
    weights = [about for about in facts if about.kind != "hard_prompt"]
    head: Head = next(about.head for about in reversed(weights) if about.head)
    loaded = Loaded(
        model=_root(folders[0], head, weights[-1].outputs if len(weights) > 1 else None, dtype),
        tokenizer=_tokenizer(folders[0]),
        head=head,
        folders=tuple(folders),
    )
    loaded.model.to(device)
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


def add_adapter(loaded: Loaded, folder: Path, name: str) -> str:
    """Put the adapter of a folder into the model under a name, frozen and not yet on. Returns the name."""
    config = PeftConfig.from_pretrained(str(folder))
    config.inference_mode = True
    wrap(loaded, config, name)
    state = load_file(folder / "adapter_model.safetensors", device=str(loaded.device))
    result = set_peft_model_state_dict(loaded.peft, state, adapter_name=name)
    missing = [key for key in result.missing_keys if f".{name}." in key]
    if missing or result.unexpected_keys:
        wrong = ", ".join((missing + list(result.unexpected_keys))[:3])
        raise ValueError(f"{folder}: the adapter does not fit the model below it ({wrong})")
    return name


def wrap(loaded: Loaded, config: PeftConfig, name: str) -> None:
    """Put a fresh adapter into the model's layers. Leaves which adapters are on, and what is trained, to the caller."""
    config.base_model_name_or_path = (
        None  # the registry knows the parent; a path of this machine would say nothing elsewhere
    )
    if loaded.peft is None:
        loaded.peft = PeftModel(loaded.model, config, adapter_name=name, autocast_adapter_dtype=False)
    else:
        loaded.peft.add_adapter(name, config, autocast_adapter_dtype=False)


def use(loaded: Loaded, names: Sequence[str]) -> None:
    """Switch exactly these adapters on. Touches no requires_grad flag, unlike PEFT's set_adapter.

    A head that several of them bring is that of the uppermost; the model's own where none does.
    """
    for module in loaded.model.modules():
        if isinstance(module, BaseTunerLayer):
            module._active_adapter = list(names)
        elif isinstance(module, ModulesToSaveWrapper):
            module._active_adapter = [name for name in names if name in module.modules_to_save][-1:]


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
