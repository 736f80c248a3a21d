"""A hard prompt: words in front of what a model is asked. A folder with prompt.json is a link of a chain, like an adapter. Light.

A prompt is `instruction`, `examples` and the text that is asked, each example and the text put into the same `template`, one behind
the other with `separator` between them. It changes no parameter.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from .problems import Problem, Unfit, _

FILE = "prompt.json"
PLACE = "{input}"


def checked_template(template: str) -> str:
    """The template itself; ValueError when the text that is asked has no place in it."""
    if PLACE not in template:
        raise Unfit(Problem(_("the template does not say where the text goes: {input} is missing in it")))
    return template


def checked_labels(labels: dict[str, str]) -> dict[str, str]:
    """The labels themselves; ValueError when there is nothing to choose between."""
    if len(labels) == 1:
        raise Unfit(Problem(_("one label alone leaves nothing to choose; give two or more, or none")))
    if any(not words.strip() for words in labels.values()):
        raise Unfit(Problem(_("every label needs words that the model could write")))
    if len(set(labels.values())) < len(labels):
        raise Unfit(Problem(_("two labels have the same words, so nothing could tell them apart")))
    return labels


class Example(BaseModel):
    """What is asked, and what should be answered, both as the model reads them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input: str
    output: str


def foreign_outputs(examples: Iterable[Example], labels: dict[str, str]) -> list[str]:
    """Outputs of examples that are neither a label nor a label's words, each once; none where there are no labels."""
    known = {*labels, *(words.strip() for words in labels.values())}
    return list(dict.fromkeys(each.output for each in examples if labels and each.output.strip() not in known))


def with_words(examples: Iterable[Example], labels: dict[str, str]) -> list[Example]:
    """The examples; where an output is a label, the words of that label stand instead."""
    return [each.model_copy(update={"output": labels.get(each.output.strip(), each.output)}) for each in examples]


class HardPrompt(BaseModel):
    """Content of prompt.json.

    template: how one text is asked; `{input}` stands for it, once or several times, and all other braces are left as they are.
    output_start: put before an output that does not begin with white space itself.
    labels: {label: how the model would write it}; with them the prompt makes a classifier, which weighs the verbalised labels by
        their likelihood: `mean` per token, so that long ones are not worse off, or `sum`.
    calibration: `contextual` divides by what the model says of inputs without content (Zhao et al. 2021, Calibrate before use, section 5).
    room: tokens of the model's context that are kept free for the answer; examples that do not fit beside it are left out, the first first.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    template: str = PLACE
    instruction: str = ""
    examples: tuple[Example, ...] = ()
    separator: str = "\n\n"
    output_start: str = " "
    labels: dict[str, str] = Field(default_factory=dict)
    scoring: Literal["mean", "sum"] = "mean"
    calibration: Literal["none", "contextual"] = "none"
    room: int = Field(64, ge=0)

    @field_validator("template")
    @classmethod
    def _has_place(cls, template: str) -> str:
        return checked_template(template)

    @field_validator("labels")
    @classmethod
    def _can_be_chosen_from(cls, labels: dict[str, str]) -> dict[str, str]:
        return checked_labels(labels)

    def ask(self, text: str, *, examples: int | None = None) -> str:
        """The whole prompt for a text, with the last `examples` of the examples (default: all)."""
        kept = self.examples if examples is None else self.examples[len(self.examples) - examples :]
        shown = [self.fill(example.input) + self.answer(example.output) for example in kept]
        parts = [self.instruction] if self.instruction else []
        return self.separator.join([*parts, *shown, self.fill(text)])

    def fill(self, text: str) -> str:
        return self.template.replace(PLACE, text)

    def answer(self, output: str) -> str:
        """An output as it follows its filled template."""
        return output if output[:1].isspace() or not output else self.output_start + output


def read(folder: Path) -> HardPrompt:
    """The prompt of a folder. Raises ValueError, in words for people, when prompt.json is no hard prompt."""
    try:
        return HardPrompt.model_validate_json((folder / FILE).read_text("utf-8"))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise ValueError(f"{place}: {first['msg']}" if place else first["msg"]) from None


def write(folder: Path, prompt: HardPrompt) -> None:
    """Make `folder` a hard prompt; the same prompt gives the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(prompt.model_dump(), ensure_ascii=False, indent=2)
    (folder / FILE).write_text(text + "\n", "utf-8")
