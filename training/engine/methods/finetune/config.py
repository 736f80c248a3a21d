"""Settings of finetuning. Light."""

from models_registry.lm.tuning.config import Tune, TuneLora

from ...config import Input, LanguageSettings, Method, setting
from ...messages import Message, _
from ...tunes import BY_KIND, problems_of_tune

METHOD = Method(
    title=_("Finetune"),
    summary=_("Teach a model from examples: texts, or prompts with the completions they should get."),
    inputs={
        "base": Input("version", _("Model"), ("lm",)),
        "dataset": Input(
            "dataset",
            _("Examples"),
            ("sft", "text"),
            help=_("Prompts with completions, of which the completions are learned; or texts, learned as a whole."),
        ),
    },
    result="lm",
)


class Config(LanguageSettings):
    tune: Tune = setting(
        TuneLora(),
        _("What moves"),
        _("All weights, some of them, an adapter beside the untouched model, or a soft prompt in front of it."),
        group="model",
    )
    max_length: int | None = setting(
        None,
        _("Longest example"),
        _("Tokens of prompt and completion together; what lies beyond is left out. Empty: the model's context."),
        group="data",
        unit="tokens",
        ge=8,
        le=131072,
    )
    learn_prompts: bool = setting(
        False,
        _("Learn the prompts too"),
        _("Off: the loss looks at the completions only."),
        group="data",
        advanced=True,
    )
    lr: float = setting(
        2e-4,
        _("Learning rate"),
        BY_KIND,
        group="optimizer",
        gt=0,
        le=1,
    )
    batch_size: int = setting(
        16, _("Batch size"), _("Examples in one update."), group="optimizer", unit="examples", ge=1, le=65536
    )

    def problems(self, inputs: set[str]) -> list[Message]:
        return super().problems(inputs) + problems_of_tune(self.tune)
