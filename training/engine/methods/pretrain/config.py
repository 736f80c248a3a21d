"""Settings of pretraining. Light."""

from dataclasses import dataclass, fields
from typing import ClassVar, Literal

from pydantic import model_validator

from models_registry.lm.tuning.config import Tune, TuneAll

from ...config import Input, Method, TrainingSettings, setting
from ...messages import Message, _

METHOD = Method(
    title=_("Pretrain"),
    summary=_(
        "A language model from nothing but text: a tokenizer and a model of your size. Or more text for a model you have."
    ),
    inputs={
        "dataset": Input("dataset", _("Text corpus"), ("text",), help=_("Rows of text, each a document of its own.")),
        "base": Input(
            "version",
            _("Model to go on from"),
            ("lm",),
            required=False,
            help=_("Empty: a new model with random weights and a tokenizer of its own."),
        ),
    },
    result="lm",
)


@dataclass(frozen=True)
class Size:
    vocab_size: int
    context_length: int
    hidden_size: int
    layers: int
    heads: int


SIZES = {
    "nano": Size(512, 256, 64, 4, 4),
    "mini": Size(2048, 256, 128, 4, 4),
    "small": Size(4096, 512, 256, 6, 8),
    "medium": Size(16384, 1024, 512, 8, 8),
    "base": Size(32768, 1024, 768, 12, 12),
}


class Config(TrainingSettings):
    OF_A_NEW_MODEL: ClassVar = {field.name for field in fields(Size)} | {
        "size",
        "architecture",
        "kv_heads",
        "intermediate_size",
        "tie_embeddings",
    }

    size: Literal["nano", "mini", "small", "medium", "base"] = setting(
        "mini",
        _("Size"),
        _(
            "nano: 0.3 million parameters, minutes on a CPU; mini: 1.3; small: 7; medium: 42; base: 138 million. "
            "Each number below overrides its part."
        ),
        group="model",
    )
    architecture: Literal["llama", "gpt2", "qwen2"] = setting(
        "llama",
        _("Architecture"),
        _("What the model is built like; all three load in any tool that reads Hugging Face folders."),
        group="model",
    )
    vocab_size: int | None = setting(
        None,
        _("Vocabulary"),
        _("Tokens of the tokenizer; a small corpus may fill fewer."),
        group="model",
        unit="tokens",
        source="Sennrich et al. 2015, byte-pair encoding; Radford et al. 2019, over bytes",
        advanced=True,
        ge=300,
        le=262144,
    )
    context_length: int | None = setting(
        None,
        _("Context length"),
        _("Most tokens the model looks at; longer documents are cut into pieces."),
        group="model",
        unit="tokens",
        advanced=True,
        ge=16,
        le=131072,
    )
    hidden_size: int | None = setting(
        None, _("Width"), _("Numbers per token inside the model."), group="model", advanced=True, ge=8, le=16384
    )
    layers: int | None = setting(
        None, _("Layers"), _("Transformer blocks."), group="model", advanced=True, ge=1, le=256
    )
    heads: int | None = setting(
        None, _("Attention heads"), _("They share the width between them."), group="model", advanced=True, ge=1, le=256
    )
    kv_heads: int | None = setting(
        None,
        _("Key and value heads"),
        _("Fewer than the attention heads saves memory when writing; empty: as many. Not for GPT-2."),
        group="model",
        source="Ainslie et al. 2023, GQA",
        advanced=True,
        ge=1,
        le=256,
    )
    intermediate_size: int | None = setting(
        None,
        _("Width of the MLP"),
        _("Empty: 4 times the width for GPT-2, 8/3 for the gated MLPs of Llama and Qwen2."),
        group="model",
        advanced=True,
        ge=8,
        le=65536,
    )
    tie_embeddings: bool = setting(
        True,
        _("Tie embeddings"),
        _("Input and output share one matrix: fewer parameters, better for small models."),
        group="model",
        source="Press and Wolf 2016",
        advanced=True,
    )
    tune: Tune = setting(
        TuneAll(),
        _("What moves"),
        _("A new model moves as a whole; a model to go on from may get an adapter."),
        group="model",
    )
    lr: float = setting(1e-3, _("Learning rate"), _("Size of a step at its largest."), group="optimizer", gt=0, le=1)
    beta2: float = setting(
        0.95, _("Beta 2"), _("Memory of AdamW's variance."), group="optimizer", advanced=True, ge=0, lt=1
    )
    weight_decay: float = setting(
        0.1,
        _("Weight decay"),
        _("Pull of the weight matrices towards zero; biases and norms are left alone."),
        group="optimizer",
        source="Loshchilov and Hutter 2017, AdamW",
        advanced=True,
        ge=0,
        le=1,
    )
    batch_size: int = setting(
        16,
        _("Batch size"),
        _("Rows in one update; a row is full of documents and has the context length."),
        group="optimizer",
        unit="rows",
        ge=1,
        le=65536,
    )

    @model_validator(mode="after")
    def _shape_fits(self) -> "Config":
        size = self.shape
        wrong = []
        if size.hidden_size % size.heads:
            wrong.append(f"hidden_size {size.hidden_size} is no multiple of heads {size.heads}")
        elif self.architecture != "gpt2" and size.hidden_size // size.heads % 2:
            wrong.append(f"hidden_size ÷ heads must be even for {self.architecture}")
        if self.kv_heads and self.architecture == "gpt2":
            wrong.append("kv_heads is not for gpt2")
        elif self.kv_heads and size.heads % self.kv_heads:
            wrong.append(f"heads {size.heads} is no multiple of kv_heads {self.kv_heads}")
        if wrong:
            raise ValueError("; ".join(wrong))
        return self

    def problems(self, inputs: set[str]) -> list[Message]:
        if "base" not in inputs:
            whole = isinstance(self.tune, TuneAll)
            text = _("A new model must move as a whole: set tune to all.")
            return [] if whole else [Message("tune-new-model", text)]
        described = sorted(self.model_fields_set & self.OF_A_NEW_MODEL)
        text = _("A model to go on from has its size already: leave out %(settings)s.")
        return [Message("size-of-base", text, {"settings": ", ".join(described)})] if described else []

    @property
    def shape(self) -> Size:
        """The preset, with what was set explicitly in place of its parts."""
        preset = SIZES[self.size]
        return Size(**{name: getattr(self, name) or value for name, value in vars(preset).items()})
