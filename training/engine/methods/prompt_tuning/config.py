"""Settings of prompt tuning: those of finetuning, with a soft prompt and the rates of Lester et al. 2021. Light."""

from typing import Literal

from models_registry.lm.tuning.config import TuneSoftPrompt

from ...config import Method, setting
from ...messages import _
from ..finetune import config as finetune

METHOD = Method(
    title=_("Prompt tuning"),
    summary=_(
        "Teach a task by a few learned embeddings in front of the text: the model stays as it is, and serves many tasks."
    ),
    inputs=finetune.METHOD.inputs,
    result="lm",
)


class Config(finetune.Config):
    tune: TuneSoftPrompt = setting(
        TuneSoftPrompt(),
        _("Soft prompt"),
        _("The embeddings that are learned: how many, and where they begin."),
        group="model",
        source="Lester et al. 2021, The power of scale for parameter-efficient prompt tuning",
    )
    lr: float = setting(
        0.3,
        _("Learning rate"),
        _(
            "Size of a step at its largest. 0.3 is the paper's, for embeddings as large as T5's; a model whose embeddings are "
            "small (GPT-2, Llama: about 0.02 to 0.1) does better with 1e-3 to 3e-2."
        ),
        group="optimizer",
        source="Lester et al. 2021, section 3.1",
        gt=0,
        le=1,
    )
    schedule: Literal["cosine", "linear", "constant"] = setting(
        "constant",
        _("Schedule"),
        _("How the learning rate falls after the warm-up."),
        group="optimizer",
        source="Lester et al. 2021, section 3.1: constant",
    )
    weight_decay: float = setting(
        1e-5,
        _("Weight decay"),
        _("Pull of the embeddings towards zero."),
        group="optimizer",
        source="Lester et al. 2021, section 3.1",
        advanced=True,
        ge=0,
        le=1,
    )
