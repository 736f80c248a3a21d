"""Settings of pretraining. Light."""

from dataclasses import dataclass, fields
from typing import ClassVar, Literal

from models_registry.lm.tuning.config import Tune, TuneAll

from ...config import Input, LanguageSettings, Method, setting
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


class Config(LanguageSettings):
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
            "nano: 0.2 million parameters, minutes on a CPU; mini: 1.1; small: 6; medium: 34; base: 111 million. "
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
        _(
            "Rows in one update; a row stands for as many tokens as the context is long, from one document or from several."
        ),
        group="optimizer",
        unit="rows",
        ge=1,
        le=65536,
    )

    def problems(self, inputs: set[str]) -> list[Message]:
        if "base" in inputs:
            # A default that is written out says nothing: forms send them all.
            defaults = {name: type(self).model_fields[name].default for name in self.OF_A_NEW_MODEL}
            described = sorted(name for name, default in defaults.items() if getattr(self, name) != default)
            text = _("A model to go on from has its size already: leave out %(settings)s.")
            return [Message("size-of-base", text, {"settings": ", ".join(described)})] if described else []
        found = []
        if not isinstance(self.tune, TuneAll):
            found.append(Message("tune-new-model", _("A new model must move as a whole: set tune to all.")))
        size = self.shape
        params = {"hidden_size": size.hidden_size, "heads": size.heads, "kv_heads": self.kv_heads}
        if size.hidden_size % size.heads:
            text = _("The width %(hidden_size)s must be a multiple of the attention heads %(heads)s.")
            found.append(Message("width-heads", text, params))
        elif self.architecture != "gpt2" and size.hidden_size // size.heads % 2:
            text = _("Width ÷ attention heads must be an even number, and %(hidden_size)s ÷ %(heads)s is odd.")
            found.append(Message("odd-head", text, params))
        if self.kv_heads and self.architecture == "gpt2":
            found.append(
                Message("kv-heads-gpt2", _("GPT-2 has no key and value heads of its own: leave out kv_heads."))
            )
        elif self.kv_heads and size.heads % self.kv_heads:
            text = _("The attention heads %(heads)s must be a multiple of the key and value heads %(kv_heads)s.")
            found.append(Message("heads-kv-heads", text, params))
        return found

    @property
    def shape(self) -> Size:
        """The preset, with what was set explicitly in place of its parts."""
        preset = SIZES[self.size]
        return Size(**{name: getattr(self, name) or value for name, value in vars(preset).items()})
