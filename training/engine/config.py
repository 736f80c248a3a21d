"""What the methods' Configs share: facts about a method, how a field is declared, and the common groups of fields. Light."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from .messages import Message, _

TRAINABLE = ("full", "adapter", "soft_prompt")
ANY_LINK = (*TRAINABLE, "hard_prompt")


@dataclass(frozen=True)
class Input:
    """One input of a method. `accepts`: heads of a version (lm, reward, classes), or kinds of a data set (text, sft, …).

    `links`: of a version, the kinds of folder that its chain may consist of. No weights are trained over a hard prompt. `unless`: the setting
    that can take the place of a required input. `extra`: few runs want it; forms fold it away, and nothing is offered for its sake.
    """

    kind: Literal["version", "dataset"]
    title: str
    accepts: tuple[str, ...]
    required: bool = True
    help: str = ""
    links: tuple[str, ...] = TRAINABLE
    unless: str = ""
    extra: bool = False

    def is_required(self, config: Mapping[str, Any]) -> bool:
        """Whether a run with these settings cannot do without it."""
        return self.required and not config.get(self.unless)


@dataclass(frozen=True)
class Method:
    """What people and programs need to know about a method without loading it.

    `result`: the head of the version that it makes, None where it makes none (its output/ then holds figures alone). `family`: whether it
    makes a model or judges one.
    """

    title: str
    summary: str
    inputs: dict[str, Input] = field(default_factory=dict)
    result: Literal["lm", "reward", "classes"] | None = "lm"
    family: Literal["train", "judge"] = "train"


GROUPS = {
    "goal": _("Objective"),
    "prompt": _("Prompt"),
    "model": _("Model"),
    "data": _("Data"),
    "optimizer": _("Optimizer"),
    "watch": _("Watching and saving"),
    "compute": _("Computing"),
}


def setting(
    default: Any,
    title: str,
    description: str,
    *,
    group: str,
    unit: str | None = None,
    source: str | None = None,
    advanced: bool = False,
    multiline: bool = False,
    labels: dict[str, str] | None = None,
    offers: str | None = None,
    columns: list[str] | None = None,
    when: dict[str, list[str]] | None = None,
    **bounds: Any,
) -> Any:
    """A Config field with everything that form, schema, CLI help and docs need. Without a default, pass `...`.

    multiline: a text whose line breaks mean something. labels: what people read for the values of a choice. offers: what
    the machine has and a form can offer ("devices"). columns: of rows that a form fills in as a table, what they are called. when: the
    values of settings beside it with which it means something; with others a form hides it.
    """
    extra: dict[str, Any] = {
        "group": group,
        "unit": unit,
        "source": source,
        "advanced": advanced or None,
        "multiline": multiline or None,
        "labels": labels,
        "offers": offers,
        "columns": columns,
        "when": when,
    }
    return Field(
        default,
        title=title,
        description=description,
        json_schema_extra={key: value for key, value in extra.items() if value is not None},
        **bounds,
    )


class Settings(BaseModel):
    """A Config knows its keys: anything else is refused."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=(), allow_inf_nan=False)

    def problems(self, inputs: set[str]) -> list[Message]:
        """What is wrong with these settings together with the inputs that are given, by role. A method may say more here."""
        return []


class OptimizerSettings(Settings):
    """AdamW with warm-up, a learning-rate schedule and gradient clipping."""

    lr: float = setting(
        3e-4, _("Learning rate"), _("Size of a step at its largest."), group="optimizer", gt=0, le=1
    )  # fmt: skip
    schedule: Literal["cosine", "linear", "constant"] = setting(
        "cosine",
        _("Schedule"),
        _("How the learning rate falls after the warm-up."),
        group="optimizer",
        source="Loshchilov and Hutter 2016, SGDR (cosine)",
    )
    warmup: float = setting(
        0.03,
        _("Warm-up"),
        _("Share of the updates in which the learning rate rises from zero."),
        group="optimizer",
        unit="share",
        ge=0,
        le=1,
    )
    final_lr: float = setting(
        0.1,
        _("Final learning rate"),
        _("Where the schedule ends, as a share of the learning rate."),
        group="optimizer",
        unit="share",
        advanced=True,
        ge=0,
        le=1,
    )
    weight_decay: float = setting(
        0.0,
        _("Weight decay"),
        _("Pull of the weight matrices towards zero; biases and norms are left alone."),
        group="optimizer",
        source="Loshchilov and Hutter 2017, AdamW",
        advanced=True,
        ge=0,
        le=1,
    )
    beta1: float = setting(
        0.9, _("Beta 1"), _("Memory of AdamW's mean."), group="optimizer", advanced=True, ge=0, lt=1
    )
    beta2: float = setting(
        0.999, _("Beta 2"), _("Memory of AdamW's variance."), group="optimizer", advanced=True, ge=0, lt=1
    )
    epsilon: float = setting(
        1e-8,
        _("Epsilon"),
        _("Keeps AdamW from dividing by zero."),
        group="optimizer",
        advanced=True,
        gt=0,
        le=1e-2,
    )
    grad_clip: float = setting(
        1.0,
        _("Gradient clipping"),
        _("Largest norm of a gradient; 0 switches clipping off."),
        group="optimizer",
        ge=0,
    )


class ComputeSettings(Settings):
    """Where and in which numbers the run is computed. `auto_bf16`: the devices on which automatic precision takes bf16, where they compute in it."""

    auto_bf16: ClassVar[frozenset[str]] = frozenset({"cuda"})

    device: str = setting(
        "auto",
        _("Device"),
        _("auto: the first GPU where there is one, else the processor; or cpu, cuda, or a GPU by its number: cuda:1."),
        group="compute",
        offers="devices",
        labels={"auto": _("automatic"), "cpu": _("processor (cpu)")},
        pattern=r"^(auto|cpu|cuda(:\d{1,3})?)$",
    )
    precision: Literal["auto", "fp32", "bf16"] = setting(
        "auto",
        _("Precision"),
        _(
            "bf16 is faster where the machine computes in it; automatic takes it on a GPU that does, and fp32 elsewhere."
        ),
        group="compute",
        labels={"auto": _("automatic")},
    )


class RunSettings(ComputeSettings):
    """How the run is computed and saved."""

    checkpoint_minutes: float = setting(
        5.0,
        _("Checkpoint interval"),
        _("A killed run loses at most this much work."),
        group="watch",
        unit="minutes",
        gt=0,
        le=1440,
    )
    checkpoint_every: int | None = setting(
        None,
        _("Checkpoint every"),
        _("Also after this many updates; empty: by time alone."),
        group="watch",
        unit="updates",
        advanced=True,
        ge=1,
    )
    keep_checkpoints: int = setting(
        2,
        _("Checkpoints kept"),
        _("So many of the newest; older ones are deleted as new ones are written."),
        group="watch",
        advanced=True,
        ge=1,
        le=1000,
    )
    delete_checkpoints: bool = setting(
        True,
        _("Delete checkpoints at the end"),
        _("Once the run is complete its result is what counts, and checkpoints are the larger part of its folder."),
        group="watch",
        advanced=True,
    )


class TrainingSettings(OptimizerSettings, RunSettings):
    """What the supervised methods share: length of the run, batches, and evaluation on held-out rows."""

    epochs: float = setting(
        3.0, _("Epochs"), _("How often the training rows are gone through."), group="optimizer", gt=0, le=10000
    )
    max_steps: int | None = setting(
        None,
        _("Largest number of updates"),
        _("Ends the run early; empty: the epochs decide."),
        group="optimizer",
        unit="updates",
        ge=1,
    )
    batch_size: int = setting(
        16, _("Batch size"), _("Rows in one update."), group="optimizer", unit="rows", ge=1, le=65536
    )
    micro_batch: int | None = setting(
        None,
        _("Rows at once"),
        _("Rows in one forward pass: smaller needs less memory and gives the same update; empty: the whole batch."),
        group="optimizer",
        unit="rows",
        advanced=True,
        ge=1,
    )
    eval_every: int | None = setting(
        None,
        _("Evaluate every"),
        _("Updates between two evaluations on the held-out rows; empty: ten times a run."),
        group="watch",
        unit="updates",
        ge=1,
    )
    eval_rows: int = setting(
        1000,
        _("Held-out rows"),
        _("Held-out rows that are evaluated on, at most; the first of them are taken."),
        group="watch",
        unit="rows",
        advanced=True,
        ge=1,
    )
    log_every: int | None = setting(
        None,
        _("Log every"),
        _("Updates between two points of the curves; empty: at most 200 points a run."),
        group="watch",
        unit="updates",
        advanced=True,
        ge=1,
    )


class SampledSettings(Settings):
    """Of methods that show what the model writes, at every evaluation."""

    sample_tokens: int = setting(
        64,
        _("Length of samples"),
        _("Tokens of the texts that the model writes at every evaluation, at the same few prompts."),
        group="watch",
        unit="tokens",
        advanced=True,
        ge=1,
        le=1024,
    )


class LanguageSettings(SampledSettings, TrainingSettings):
    """Of pretraining and finetuning."""
