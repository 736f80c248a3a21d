"""Settings of pretraining. Light."""

from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal

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


MODEL_TYPES = ("llama", "gpt2", "qwen2", "qwen3")
BOS, EOS, PAD = OWN_TOKENS = ("<|begin|>", "<|end|>", "<|pad|>")


class Config(LanguageSettings):
    OF_A_NEW_MODEL: ClassVar = {field.name for field in fields(Size)} | {
        "size",
        "architecture",
        "kv_heads",
        "intermediate_size",
        "tie_embeddings",
        "full_config",
        "special_tokens",
        "merges",
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
    architecture: Literal["llama", "gpt2", "qwen2", "qwen3"] = setting(
        "llama",
        _("Architecture"),
        _("What the model is built like; all of them load in any tool that reads Hugging Face folders."),
        group="model",
    )
    full_config: dict[str, Any] | None = setting(
        None,
        _("Full config"),
        _(
            "A model's config.json, in place of size and architecture and the numbers below: its model_type is llama, gpt2, qwen2 or "
            "qwen3. Its vocab_size is what the tokenizer aims at; the tokens' numbers follow from the tokenizer."
        ),
        group="model",
        advanced=True,
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
    special_tokens: list[str] = setting(
        [],
        _("Special tokens"),
        _(
            "Tokens of your own that are never taken apart, such as marks of who speaks, beside those for begin, end and padding."
        ),
        group="model",
        advanced=True,
    )
    merges: Literal["within_words", "within_lines"] = setting(
        "within_words",
        _("Tokens lie"),
        _(
            "within words: no token reaches from letters into digits, signs or the next word, as in GPT-2, good for language; "
            "within lines: it may, good for music, code and tables."
        ),
        group="model",
        source="Radford et al. 2019, section 2.2",
        advanced=True,
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
    dropout: float = setting(
        0.0,
        _("Dropout"),
        _(
            "Share of what each attention and MLP adds, and of the embeddings, that is left out at random while training. 0.1 to 0.3 where "
            "a small corpus is gone through many times."
        ),
        group="optimizer",
        unit="share",
        source="Srivastava et al. 2014; where it lies: Vaswani et al. 2017, section 5.4",
        advanced=True,
        ge=0,
        lt=1,
    )
    lr: float = setting(1e-3, _("Learning rate"), _("Size of a step at its largest."), group="optimizer", gt=0, le=1)
    beta2: float = setting(
        0.95, _("Beta 2"), _("Memory of AdamW's variance."), group="optimizer", advanced=True, ge=0, lt=1
    )
    weight_decay: float = setting(
        0.1,
        _("Weight decay"),
        _(
            "Pull of the weight matrices towards zero; biases and norms are left alone. 0.5 to 3 where a small corpus is gone through "
            "many times."
        ),
        group="optimizer",
        source="Loshchilov and Hutter 2017, AdamW; how strong: Kim et al. 2025, Pre-training under infinite compute",
        advanced=True,
        ge=0,
        le=10,
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
        # A default that is written out says nothing: forms send them all.
        described = {
            name for name in self.OF_A_NEW_MODEL if getattr(self, name) != type(self).model_fields[name].get_default()
        }
        if "base" in inputs:
            text = _("A model to go on from has its size already: leave out %(settings)s.")
            return [Message("size-of-base", text, {"settings": ", ".join(sorted(described))})] if described else []
        found = self._token_problems()
        if not isinstance(self.tune, TuneAll):
            found.append(Message("tune-new-model", _("A new model must move as a whole: set tune to all.")))
        if self.full_config is None:
            return found + self._shape_problems()
        if twice := described - {"full_config", "special_tokens", "merges", "vocab_size"}:
            text = _("The full config says what the model is like: leave out %(settings)s.")
            found.append(Message("size-and-full-config", text, {"settings": ", ".join(sorted(twice))}))
        return found + _full_config_problems(self.full_config)

    def _token_problems(self) -> list[Message]:
        found = []
        for token in dict.fromkeys(self.special_tokens):
            if not token.strip() or token != token.strip():
                text = _("The special token “%(token)s” is empty or begins or ends with a space.")
                found.append(Message("special-token-space", text, {"token": token}))
            elif token in OWN_TOKENS or self.special_tokens.count(token) > 1:
                text = _("The special token “%(token)s” is there already: name it once, and none of %(own)s.")
                found.append(Message("special-token-twice", text, {"token": token, "own": ", ".join(OWN_TOKENS)}))
        wanted = self.wanted_vocabulary
        if wanted < 256 + len(OWN_TOKENS) + len(self.special_tokens):
            text = _("A vocabulary of %(size)s tokens has no room for the 256 bytes and the special tokens.")
            found.append(Message("small-vocabulary", text, {"size": wanted}))
        return found

    def _shape_problems(self) -> list[Message]:
        found = []
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
    def wanted_vocabulary(self) -> int:
        """Tokens that the tokenizer aims at."""
        if self.full_config is None:
            return self.shape.vocab_size
        told = self.full_config.get("vocab_size")
        return self.vocab_size or (told if isinstance(told, int) else SIZES[self.size].vocab_size)

    @property
    def shape(self) -> Size:
        """The preset, with what was set explicitly in place of its parts."""
        preset = SIZES[self.size]
        return Size(**{name: getattr(self, name) or value for name, value in vars(preset).items()})


def _full_config_problems(config: dict[str, Any]) -> list[Message]:
    """What can be seen without transformers; the rest is refused at the start of the run, in its words."""
    found = []
    if config.get("model_type") not in MODEL_TYPES:
        text = _("The full config must have a model_type among %(known)s, and has %(type)s.")
        told = {"known": ", ".join(MODEL_TYPES), "type": repr(config.get("model_type"))}
        found.append(Message("full-config-type", text, told))
    for key in ("auto_map", "quantization_config"):
        if key in config:
            text = _(
                "The full config must not have “%(key)s”: only models that transformers brings itself can be made, unquantized."
            )
            found.append(Message("full-config-key", text, {"key": key}))
    return found
