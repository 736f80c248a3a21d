"""Several classifiers as one: each judges the text, and the mean of their probabilities is the judgement (Lakshminarayanan et al. 2017, deep
ensembles, section 2.4).

The folder is that of the first model, so that whatever reads it alone has a classifier, if not the average. The weights of the others lie
beside it in one file, their names behind the number of the model ("2.model.norm.weight"): all have one shape, one tokenizer and one
list of classes, as seeds of one setting have.
"""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel

from .inspect import AVERAGED_FILE
from .problems import Problem, _

if TYPE_CHECKING:
    from .chain import Loaded

# Of a config: what says where a model comes from and not what it computes.
_ASIDE = {"_name_or_path", "transformers_version", "architectures", "dtype", "torch_dtype", "use_cache"}


def misfits(models: Sequence["Loaded"]) -> list[Problem]:
    """Why these classifiers cannot be averaged, by the number of the one that differs from the first; [] where they can."""
    first, problems = models[0], []
    for number, other in enumerate(models[1:], 2):
        if other.labels != first.labels:
            text = _("model %(number)s tells other classes apart than the first: %(labels)s in place of %(first)s")
            told = {"labels": ", ".join(other.labels), "first": ", ".join(first.labels)}
            problems.append(Problem(text, number=number, **told))
        if differing := _differing(first.model, other.model):
            text = _("model %(number)s has another shape than the first: %(settings)s")
            problems.append(Problem(text, number=number, settings=", ".join(differing)))
        if other.tokenizer.get_vocab() != first.tokenizer.get_vocab():
            problems.append(Problem(_("model %(number)s has another tokenizer than the first"), number=number))
    return problems


def _differing(one: PreTrainedModel, other: PreTrainedModel) -> list[str]:
    """Settings of the config that differ, classes left out."""
    configs = [model.config.to_dict() for model in (one, other)]
    keys = {key for config in configs for key in config} - _ASIDE - {"id2label", "label2id"}
    found = sorted(key for key in keys if configs[0].get(key) != configs[1].get(key))
    return ["model_type"] if "model_type" in found else found  # of another kind all else differs too


def save(models: Sequence["Loaded"], folder: Path) -> int:
    """Write their average into `folder`; an average among them counts as the models that it is made of. Returns how many models that are.

    `models` have no misfits and no adapters.
    """
    first = models[0]
    first.model.save_pretrained(folder)
    first.tokenizer.save_pretrained(folder)
    every = [model for loaded in models for model in (loaded.model, *loaded.others)]
    tensors = {
        f"{number}.{name}": tensor.detach().cpu().clone().contiguous()
        for number, model in enumerate(every[1:], 2)
        for name, tensor in model.state_dict().items()
    }
    save_file(tensors, folder / AVERAGED_FILE, metadata={"format": "pt"})
    return len(every)


def read(folder: Path, first: PreTrainedModel) -> tuple[PreTrainedModel, ...]:
    """The models beside the first one of an average, frozen and in eval mode. ValueError where their weights do not fit it."""
    states: dict[int, dict] = {}
    for name, tensor in load_file(folder / AVERAGED_FILE, device=str(first.device)).items():
        number, _dot, rest = name.partition(".")
        states.setdefault(int(number), {})[rest] = tensor.to(first.dtype)
    found = []
    for _number, state in sorted(states.items()):
        model = copy.deepcopy(first)
        try:
            model.load_state_dict(state)
        except RuntimeError as error:
            raise ValueError(f"{folder / AVERAGED_FILE} does not fit the model beside it ({error})") from None
        found.append(model.requires_grad_(False).eval())
    return tuple(found)
