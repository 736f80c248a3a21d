"""Settings of classification. Light."""

from typing import Literal

from pydantic import field_validator

from models_registry.lm.problems import Problem, Unfit
from models_registry.lm.tuning.config import Tune, TuneAll

from ...config import Input, Method, TrainingSettings, setting
from ...messages import Message, _
from ...tunes import BY_KIND, problems_of_tune

METHOD = Method(
    title=_("Classify"),
    summary=_(
        "Teach a model to tell classes of text apart from labelled examples: its output layer gets one neuron a class."
    ),
    inputs={
        "base": Input(
            "version",
            _("Model"),
            ("lm", "classes"),
            help=_("A language model gets a new output layer; a classifier of the same classes is trained further."),
        ),
        "dataset": Input("dataset", _("Labelled texts"), ("labelled",), help=_("Rows of a text and its label.")),
    },
    result="classes",
)


class Config(TrainingSettings):
    tune: Tune = setting(
        TuneAll(),
        _("What moves"),
        _("The output layer always does; besides it all weights, some of them, an adapter, or a soft prompt."),
        group="model",
    )
    class_weights: Literal["none", "balanced", "given"] = setting(
        "none",
        _("Class weights"),
        _(
            "How much an example of each class counts: all alike; the rarer its class, the more (every class then counts "
            "as much as any other); or as given."
        ),
        group="goal",
        source="King and Zeng 2001, Logistic regression in rare events data (balanced)",
    )
    weights: list[str] = setting(
        [],
        _("Weights"),
        _("Of the classes, where they are given: a line each, like “negative: 2”. A class that is not named has 1."),
        group="goal",
        when={"class_weights": ["given"]},
    )
    label_smoothing: float = setting(
        0.0,
        _("Label smoothing"),
        _("Share of certainty that is taken from the label and spread over all classes: against overconfidence."),
        group="goal",
        source="Szegedy et al. 2016, section 7",
        advanced=True,
        ge=0,
        lt=1,
    )
    lm_weight: float = setting(
        0.0,
        _("Weight of the language model's loss"),
        _(
            "The model also goes on learning to foretell the texts, as it did before it got classes: helps where labels are "
            "few. 0 switches it off; 0.5 is usual."
        ),
        group="goal",
        source="Radford et al. 2018, Improving language understanding by generative pre-training, equation 5",
        ge=0,
        le=100,
    )
    drop_tokens: float = setting(
        0.0,
        _("Leave out tokens"),
        _(
            "Share of a text's tokens that is left out at random while training, anew each time: more examples of the same."
        ),
        group="data",
        source="Iyyer et al. 2015, Deep averaging networks, section 3.1 (word dropout)",
        unit="share",
        ge=0,
        lt=1,
    )
    dropout: float = setting(
        0.0,
        _("Dropout"),
        _(
            "Share of what each attention and MLP adds, and of the embeddings, that is left out at random while training: against learning "
            "few texts by heart. 0.1 to 0.3."
        ),
        group="optimizer",
        unit="share",
        source="Srivastava et al. 2014; where it lies: Vaswani et al. 2017, section 5.4",
        advanced=True,
        ge=0,
        lt=1,
    )
    consistency: float = setting(
        0.0,
        _("Weight of consistency"),
        _(
            "Each text is judged twice, with other parts left out by dropout, and the two judgements are drawn together. Against learning few "
            "texts by heart, for twice the time. 0.5 to 2; needs dropout; 0 switches it off."
        ),
        group="goal",
        source="Liang et al. 2021, R-Drop, equation 4 (their alpha is twice this weight)",
        advanced=True,
        ge=0,
        le=100,
    )
    max_length: int | None = setting(
        None,
        _("Longest text"),
        _("What lies beyond is left out. Empty: what the model holds."),
        group="data",
        unit="tokens",
        advanced=True,
        ge=1,
        le=131072,
    )
    patience: int | None = setting(
        None,
        _("Patience"),
        _(
            "Evaluations without a better held-out loss before the run ends; the best weights are then kept, and the held-out "
            "figures flatter a little, since they chose. Empty: all updates are done and the last weights kept."
        ),
        group="watch",
        unit="evaluations",
        ge=1,
        le=1000,
    )
    eval_rows: int = setting(
        10_000,
        _("Held-out rows"),
        _("Held-out rows that are evaluated on, at most; the first of them are taken."),
        group="watch",
        unit="rows",
        advanced=True,
        ge=1,
    )

    lr: float = setting(
        1e-4,
        _("Learning rate"),
        BY_KIND,
        group="optimizer",
        gt=0,
        le=1,
    )
    batch_size: int = setting(
        32, _("Batch size"), _("Texts in one update."), group="optimizer", unit="texts", ge=1, le=65536
    )

    @field_validator("weights")
    @classmethod
    def _are_weights(cls, lines: list[str]) -> list[str]:
        given = [_weight(line) for line in lines]
        if len({label for label, _number in given}) < len(given):
            raise Unfit(Problem(_("a class has two weights")))
        return lines

    @property
    def given_weights(self) -> dict[str, float]:
        """Weight of each class that was named, by label."""
        return dict(_weight(line) for line in self.weights)

    def problems(self, inputs: set[str]) -> list[Message]:
        found = super().problems(inputs) + problems_of_tune(self.tune, has_classes=True)
        if self.class_weights == "given" and not self.weights:
            found.append(
                Message("no-weights", _("Class weights are to be as given, and none are given: set weights."))
            )
        if self.consistency and not self.dropout:
            text = _("Without dropout both judgements of a text are the same: set dropout, or consistency to 0.")
            found.append(Message("consistency-without-dropout", text))
        if self.class_weights != "given" and self.weights:
            text = _("Weights are given and not used: set class_weights to given, or leave them out.")
            found.append(Message("weights-unused", text))
        return found


def _weight(line: str) -> tuple[str, float]:
    """“label: number” taken apart; a label may have colons of its own."""
    label, colon, number = line.rpartition(":")
    try:
        value = float(number)
    except ValueError:
        value = -1.0
    if not colon or not label.strip() or not 0 <= value <= 1e6:
        text = _("“%(line)s” is not a label, a colon and a number from 0 to a million")
        raise Unfit(Problem(text, line=line))
    return label.strip(), value
