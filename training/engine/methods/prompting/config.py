"""Settings of prompting. Light."""

from collections.abc import Iterable
from typing import Literal

from pydantic import field_validator

from models_registry.lm.hard_prompt import PLACE, Example, checked_labels, checked_template, foreign_outputs

from ...config import ComputeSettings, Input, Method, setting
from ...messages import Message, _

METHOD = Method(
    title=_("Prompting"),
    summary=_("Trains nothing: puts an instruction and examples in front of what a model is asked."),
    inputs={
        "base": Input("version", _("Model"), ("lm",), help=_("It is not touched: no parameter changes.")),
        "dataset": Input(
            "dataset",
            _("Examples"),
            ("labelled", "sft"),
            required=False,
            help=_(
                "Examples are drawn from its training rows, and the prompt is evaluated on its held-out rows. "
                "Texts with labels make a classifier."
            ),
        ),
    },
    result="lm",
)


class Config(ComputeSettings):
    template: str = setting(
        PLACE,
        _("Template"),
        _("How one text is asked: {input} stands for the text. Every example is written in the same way."),
        group="prompt",
        multiline=True,
    )
    instruction: str = setting(
        "", _("Instruction"), _("Stands in front of everything."), group="prompt", multiline=True
    )  # fmt: skip
    shots: int = setting(
        4,
        _("Examples drawn"),
        _("From the training rows of the data set, with the run's seed; never from held-out rows."),
        group="prompt",
        unit="examples",
        source="Brown et al. 2020, Language Models are Few-Shot Learners, section 2",
        ge=0,
        le=1024,
    )
    balanced: bool = setting(
        True,
        _("Balanced"),
        _("As many examples of each label as of any other; otherwise as the rows come."),
        group="prompt",
    )
    examples: tuple[Example, ...] = setting(
        (),
        _("Examples by hand"),
        _(
            'They stand behind those that are drawn: [{"input": "…", "output": "…"}]. An output that is a label is written in its words.'
        ),
        group="prompt",
        columns=[_("Input"), _("Output")],
    )
    labels: dict[str, str] = setting(
        {},
        _("Words of the labels"),
        _(
            'How the model would write each label: {"positive": "good", "negative": "bad"}. '
            "Empty: with a data set of labels, the labels themselves."
        ),
        group="prompt",
        columns=[_("Label"), _("Its words")],
    )
    scoring: Literal["mean", "sum"] = setting(
        "mean",
        _("Likelihood of a label"),
        _(
            "The mean over the tokens of its words, so that long words are not worse off; or the sum, which is the likelihood itself."
        ),
        group="prompt",
        source="Brown et al. 2020, section 2.4 (mean)",
        labels={"mean": _("mean a token"), "sum": _("sum")},
    )
    calibration: Literal["none", "contextual"] = setting(
        "none",
        _("Calibration"),
        _("Contextual: what the model says of inputs without content is taken out of its answers."),
        group="prompt",
        source="Zhao et al. 2021, Calibrate Before Use, section 5",
        labels={"none": _("none"), "contextual": _("contextual")},
    )
    separator: Literal["blank_line", "line", "space"] = setting(
        "blank_line",
        _("Between examples"),
        _("What parts one example from the next."),
        group="prompt",
        labels={"blank_line": _("a blank line"), "line": _("a line break"), "space": _("a space")},
        advanced=True,
    )
    output_start: Literal["space", "line", "nothing"] = setting(
        "space",
        _("Before an answer"),
        _("Stands between a filled template and an answer that does not begin with a space or a line break itself."),
        group="prompt",
        labels={"space": _("a space"), "line": _("a line break"), "nothing": _("nothing")},
        advanced=True,
    )
    room: int | None = setting(
        None,
        _("Room for the answer"),
        _(
            "Examples that leave less of the model's context free are left out, the first ones first. Empty: what the longest label "
            "takes, or without labels 64 tokens, and a quarter of the context at most."
        ),
        group="prompt",
        unit="tokens",
        advanced=True,
        ge=0,
        le=65536,
    )
    batch_size: int = setting(
        32,
        _("Rows at once"),
        _("Held-out rows in one forward pass."),
        group="compute",
        unit="rows",
        advanced=True,
        ge=1,
    )

    @field_validator("template")
    @classmethod
    def _has_place(cls, template: str) -> str:
        return checked_template(template)

    @field_validator("labels")
    @classmethod
    def _can_be_chosen_from(cls, labels: dict[str, str]) -> dict[str, str]:
        return checked_labels(labels)

    def problems(self, inputs: set[str]) -> list[Message]:
        if "dataset" not in inputs and not (
            self.instruction or self.examples or self.labels or self.template != PLACE
        ):
            text = _(
                "This prompt says nothing: give an instruction, a template, examples, or a data set to draw examples from."
            )
            return [Message("empty-prompt", text)]
        return problems_of_examples(self.examples, self.labels)


def problems_of_examples(examples: Iterable[Example], labels: dict[str, str]) -> list[Message]:
    """That examples by hand show answers which are no label's; nothing where there are no labels."""
    foreign = foreign_outputs(examples, labels)
    if not foreign:
        return []
    text = _(
        "Examples by hand answer with something that is neither a label nor its words: %(outputs)s. The labels are: %(labels)s."
    )
    params = {
        "field": "examples",
        "outputs": ", ".join(f"“{output}”" for output in foreign[:5]),
        "labels": ", ".join(labels),
    }
    return [Message("foreign-outputs", text, params)]
