"""Settings of evaluation. Light."""

from typing import Literal

from ...config import ANY_LINK, ComputeSettings, Input, Method, setting
from ...messages import _

METHOD = Method(
    title=_("Evaluate"),
    summary=_("Says how well a version of any kind does on rows it was not trained on. Changes nothing."),
    inputs={
        "base": Input("version", _("Version"), ("lm", "reward", "classes"), links=ANY_LINK),
        "dataset": Input(
            "dataset",
            _("Data"),
            ("text", "sft", "labelled", "rankings", "prompts"),
            help=_("Its held-out rows are used, unless the settings say otherwise."),
        ),
        "reward_model": Input(
            "version",
            _("Reward model"),
            ("reward",),
            required=False,
            help=_("Scores the answers that a language model writes to prompts."),
            links=ANY_LINK,
        ),
        "reference": Input(
            "version",
            _("Compared with"),
            ("lm",),
            required=False,
            help=_("Its answers are scored too: the win rate is over them. Needs a reward model."),
            links=ANY_LINK,
        ),
    },
    result=None,
    family="judge",
)


class Config(ComputeSettings):
    task: Literal["auto", "language", "classification", "preference"] = setting(
        "auto",
        _("Task"),
        _(
            "Language: how well texts are foretold. Classification: how often the label is right. Preference: how often the better "
            "answer is known. Automatic: what the data set and the model are made for."
        ),
        group="goal",
        labels={
            "auto": _("automatic"),
            "language": _("language"),
            "classification": _("classification"),
            "preference": _("preference"),
        },
    )
    split: Literal["heldout", "train", "all"] = setting(
        "heldout",
        _("Rows"),
        _("Which rows are judged. Figures on training rows say how well they were learned by heart."),
        group="data",
        labels={"heldout": _("held out"), "train": _("training"), "all": _("all")},
    )
    limit: int | None = setting(
        None,
        _("Largest number of rows"),
        _("The first of them are taken; empty: all."),
        group="data",
        unit="rows",
        advanced=True,
        ge=1,
    )
    samples: int = setting(
        1,
        _("Answers to each prompt"),
        _("Where a reward model scores answers: how many are written to each prompt."),
        group="goal",
        unit="answers",
        advanced=True,
        ge=1,
        le=64,
    )
    max_tokens: int = setting(
        64,
        _("Length of answers"),
        _("Tokens that an answer has at most."),
        group="goal",
        unit="tokens",
        advanced=True,
        ge=1,
        le=8192,
    )
    temperature: float = setting(
        1.0,
        _("Temperature"),
        _("Of the answers; 0 always takes the likeliest token."),
        group="goal",
        advanced=True,
        ge=0,
        le=10,
    )
    batch_size: int = setting(
        32, _("Rows at once"), _("Rows in one forward pass."), group="compute", unit="rows", advanced=True, ge=1
    )
    resamples: int = setting(
        2000,
        _("Resamples"),
        _("Draws of the bootstrap that the intervals come from."),
        group="compute",
        source="Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 13",
        advanced=True,
        ge=200,
        le=100000,
    )
