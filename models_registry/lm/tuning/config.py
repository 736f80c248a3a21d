"""The shared field `tune`: which parameters of a model move. Light: loads neither torch nor peft."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ..problems import Problem, Unfit

ResultKind = Literal["full", "adapter", "soft_prompt"]
Place = Literal["attention", "mlp", "both"]
Target = Literal["all_linear", "attention", "mlp"]


def _(text: str) -> str:
    """Marks a text for the web's translators; the web translates, nothing here does."""
    return text


def setting(
    default: Any,
    title: str,
    description: str,
    *,
    unit: str | None = None,
    source: str | None = None,
    advanced: bool = False,
    when: dict[str, list[str]] | None = None,
    **bounds: Any,
) -> Any:
    """A field with everything that form, schema, CLI help and docs need. `when`: the values of fields beside it with which it means something."""
    extra: dict[str, Any] = {"unit": unit, "source": source, "advanced": advanced or None, "when": when}
    return Field(
        default,
        title=title,
        description=description,
        json_schema_extra={key: value for key, value in extra.items() if value is not None},
        **bounds,
    )


def where() -> Any:
    """The field of adapters that are put on linear layers."""
    return setting(
        "all_linear",
        _("Where"),
        _("Which linear layers get an adapter: all of them, those of the attention, or those of the MLP."),
    )


class TuneAll(BaseModel):
    """Every parameter moves; the result is a full model. Adapters that the base brought along are merged first."""

    model_config = ConfigDict(extra="forbid", title=_("All weights"))

    kind: Literal["all"] = "all"


class TuneLastLayers(BaseModel):
    """The last blocks move, with the final norm and the output layer; the result is a full model, and what lies below stays bit for bit."""

    model_config = ConfigDict(extra="forbid", title=_("Last layers"))

    kind: Literal["last_layers"] = "last_layers"
    n: int = setting(
        1,
        _("Blocks"),
        _("How many of the last blocks move. An output layer tied to the input embedding is untied first."),
        unit="blocks",
        ge=1,
        le=1000,
    )


class TuneHead(BaseModel):
    """The output layer alone moves, or the score head; the result is a full model. An output layer tied to the input embedding is untied first."""

    model_config = ConfigDict(extra="forbid", title=_("Output layer"))

    kind: Literal["head"] = "head"


class Bottleneck(BaseModel):
    """What serial and parallel bottleneck adapters share."""

    model_config = ConfigDict(extra="forbid")

    places: Place = setting(
        "both",
        _("Where"),
        _("At the attention, at the MLP, or at both, in every block."),
        source="Houlsby et al. 2019: both; Pfeiffer et al. 2021 and He et al. 2022: mlp",
    )
    reduction: float = setting(
        16.0,
        _("Reduction factor"),
        _("The hidden size divided by this is the width of the bottleneck."),
        source="Pfeiffer et al. 2021, AdapterFusion, section 4",
        ge=1,
        le=4096,
    )
    size: int | None = setting(
        None,
        _("Width"),
        _("Width of the bottleneck; empty: by the reduction factor."),
        unit="neurons",
        source="Houlsby et al. 2019, section 2.1",
        ge=1,
        le=65536,
    )
    activation: Literal["relu", "gelu", "silu", "tanh", "identity"] = setting(
        "relu",
        _("Activation"),
        _("The function between the two layers."),
        source="Hu et al. 2023, LLM-Adapters, section 2.3",
        advanced=True,
    )
    scaling: float = setting(
        1.0,
        _("Scaling"),
        _("The adapter's output is multiplied by this; where it is learned, this is where it starts."),
        source="He et al. 2022, section 4.6",
        gt=0,
        le=100,
    )
    learned_scaling: bool = setting(
        False, _("Learned scaling"), _("One number for each adapter, trained with it."), advanced=True
    )
    dropout: float = setting(
        0.0,
        _("Dropout"),
        _("Share of the bottleneck's neurons that is left out at random while training."),
        advanced=True,
        ge=0,
        lt=1,
    )


class TuneSerial(Bottleneck):
    """Small two-layer networks behind the attention, the MLP or both: each adds to what comes out. The base is not touched."""

    model_config = ConfigDict(extra="forbid", title=_("Serial bottleneck adapter"))

    kind: Literal["serial"] = "serial"


class TuneParallel(Bottleneck):
    """Small two-layer networks beside the attention, the MLP or both: each reads what goes in and adds to what comes out. The base is not touched."""

    model_config = ConfigDict(extra="forbid", title=_("Parallel bottleneck adapter"))

    kind: Literal["parallel"] = "parallel"


class TuneLora(BaseModel):
    """Low-rank adapters beside the linear layers; the base is not touched and the result is a small adapter folder."""

    model_config = ConfigDict(extra="forbid", title=_("LoRA adapter"))

    kind: Literal["lora"] = "lora"
    rank: int = setting(
        8,
        _("Rank r"),
        _("Width of the adapter: more can learn more, and costs more."),
        source="Hu et al. 2021, LoRA, section 4",
        ge=1,
        le=1024,
    )
    alpha: float = setting(
        16.0,
        _("Alpha"),
        _("Strength of the adapter; its output is multiplied by alpha ÷ rank."),
        source="Hu et al. 2021, LoRA, section 4.1",
        gt=0,
        le=4096,
    )
    dropout: float = setting(
        0.0, _("Dropout"), _("Share of the adapter's inputs that is left out at random while training."), ge=0, lt=1
    )
    target: Target = where()
    variant: Literal["plain", "rslora", "dora"] = setting(
        "plain",
        _("Variant"),
        _(
            "rslora divides alpha by the root of the rank, for large ranks; dora learns the length of each weight vector apart from its direction."
        ),
        source="Kalajdzievski 2023, rsLoRA; Liu et al. 2024, DoRA",
        advanced=True,
    )


class TuneIA3(BaseModel):
    """One learned factor for each key, value and MLP neuron: the smallest of the adapters. The base is not touched."""

    model_config = ConfigDict(extra="forbid", title=_("(IA)³ adapter"))

    kind: Literal["ia3"] = "ia3"


class TuneVera(BaseModel):
    """Like LoRA with random matrices that stay as they are and are shared by all layers: only two vectors a layer are learned. The base is not touched."""

    model_config = ConfigDict(extra="forbid", title=_("VeRA adapter"))

    kind: Literal["vera"] = "vera"
    rank: int = setting(
        256,
        _("Rank r"),
        _("Width of the random matrices; they cost no place in the result, so it may be large."),
        source="Kopiczko et al. 2024, VeRA, section 3",
        ge=1,
        le=8192,
    )
    dropout: float = setting(
        0.0, _("Dropout"), _("Share of the adapter's inputs that is left out at random while training."), ge=0, lt=1
    )
    target: Target = where()


class TuneLokr(BaseModel):
    """Like LoRA with a Kronecker product: the change of a layer may have full rank, with fewer numbers. The base is not touched."""

    model_config = ConfigDict(extra="forbid", title=_("LoKr adapter"))

    kind: Literal["lokr"] = "lokr"
    rank: int = setting(
        8,
        _("Rank r"),
        _("Rank of the larger factor: more can learn more, and costs more."),
        source="Yeh et al. 2024, LyCORIS, section 3",
        ge=1,
        le=1024,
    )
    alpha: float = setting(
        8.0, _("Alpha"), _("Strength of the adapter; its output is multiplied by alpha ÷ rank."), gt=0, le=4096
    )
    dropout: float = setting(
        0.0, _("Dropout"), _("Share of the adapter's rows that is left out at random while training."), ge=0, lt=1
    )
    target: Target = where()


class TuneOft(BaseModel):
    """Each linear layer's input is rotated, in blocks, by a learned rotation; angles and lengths of the weights stay. The base is not touched."""

    model_config = ConfigDict(extra="forbid", title=_("OFT adapter"))

    kind: Literal["oft"] = "oft"
    block_size: int = setting(
        32,
        _("Block size"),
        _("Numbers that are rotated together; taken to the nearest size that divides the layer's input."),
        source="Qiu et al. 2023, OFT, section 3",
        ge=2,
        le=1024,
    )
    target: Target = where()


class TuneFourier(BaseModel):
    """The change of each linear layer is made of a few waves, of which the strengths are learned. The base is not touched."""

    model_config = ConfigDict(extra="forbid", title=_("FourierFT adapter"))

    kind: Literal["fourier"] = "fourier"
    frequencies: int = setting(
        1000,
        _("Frequencies"),
        _("Waves in each layer; as many numbers are learned. No more than the layer has weights."),
        source="Gao et al. 2024, FourierFT, section 3",
        ge=1,
        le=1_000_000,
    )
    scaling: float = setting(
        150.0,
        _("Scaling"),
        _("Strength of the adapter; its output is multiplied by this."),
        source="Gao et al. 2024, FourierFT, section 4",
        gt=0,
        le=10_000,
    )
    target: Target = where()


class TunePrefix(BaseModel):
    """Learned keys and values in front of every layer's attention. The base is not touched; there is an effect from the first step on."""

    model_config = ConfigDict(extra="forbid", title=_("Prefix"))

    kind: Literal["prefix"] = "prefix"
    length: int = setting(
        10,
        _("Length"),
        _("How many places are put in front of every text, in every layer."),
        unit="tokens",
        source="Li and Liang 2021, Prefix-Tuning, section 6 (10 for table-to-text, 200 for summaries)",
        ge=1,
        le=4096,
    )


class TuneSoftPrompt(BaseModel):
    """Learned embeddings in front of every text: the model stays as it is, and the result is a few kilobytes."""

    model_config = ConfigDict(extra="forbid", title=_("Soft prompt"))

    kind: Literal["soft_prompt"] = "soft_prompt"
    length: int = setting(
        20,
        _("Length"),
        _("How many learned embeddings are put in front of every text."),
        unit="tokens",
        source="Lester et al. 2021, section 3.2: more than 20 gives little more",
        ge=1,
        le=4096,
    )
    init: Literal["random", "vocabulary", "text", "labels"] = setting(
        "vocabulary",
        _("Start"),
        _(
            "Where the embeddings begin: at random, at tokens drawn from the commonest of the training texts, at the tokens of a text, "
            "or at the names of the classes."
        ),
        source="Lester et al. 2021, section 3.2",
    )
    text: str = setting(
        "",
        _("Text to start from"),
        _("For the start at a text; repeated or cut to the length."),
        when={"init": ["text"]},
        max_length=100_000,
    )
    labels: list[str] = setting(
        [],
        _("Labels to start from"),
        _(
            "For the start at labels, one a line; empty: the classes that are trained. Places that are left over are drawn from the vocabulary."
        ),
        when={"init": ["labels"]},
    )

    @model_validator(mode="after")
    def _a_start_from_text_has_one(self) -> "TuneSoftPrompt":
        if self.init == "text" and not self.text.strip():
            raise Unfit(Problem(_("the start at a text needs the text")))
        return self


# A new kind is one class above, one name here, and one branch in apply.py.
Adapters = (
    TuneSerial | TuneParallel | TuneLora | TuneIA3 | TuneVera | TuneLokr | TuneOft | TuneFourier | TunePrefix
)  # what result_kind calls adapters
Tune = Annotated[TuneAll | TuneLastLayers | TuneHead | Adapters | TuneSoftPrompt, Field(discriminator="kind")]


def result_kind(tune: Tune) -> ResultKind:
    """What kind of folder training with this makes: see inspect.describe."""
    if isinstance(tune, (TuneAll, TuneLastLayers, TuneHead)):
        return "full"
    return "soft_prompt" if isinstance(tune, TuneSoftPrompt) else "adapter"
