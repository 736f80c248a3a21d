"""The shared field `tune`: which parameters of a model move. Light: loads neither torch nor peft."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


def _(text: str) -> str:
    """Marks a text for the web's translators; the web translates, nothing here does."""
    return text


class TuneAll(BaseModel):
    """Every parameter moves; the result is a full model. Adapters that the base brought along are merged first."""

    model_config = ConfigDict(extra="forbid", title=_("All weights"))

    kind: Literal["all"] = "all"


class TuneLora(BaseModel):
    """Low-rank adapters beside the linear layers; the base is not touched and the result is a small adapter folder."""

    model_config = ConfigDict(extra="forbid", title=_("LoRA adapter"))

    kind: Literal["lora"] = "lora"
    rank: int = Field(
        8,
        ge=1,
        le=1024,
        title=_("Rank r"),
        description=_("Width of the adapter: more can learn more, and costs more."),
        json_schema_extra={"source": "Hu et al. 2021, LoRA, section 4"},
    )
    alpha: float = Field(
        16.0,
        gt=0,
        le=4096,
        title=_("Alpha"),
        description=_("Strength of the adapter; its output is multiplied by alpha ÷ rank."),
        json_schema_extra={"source": "Hu et al. 2021, LoRA, section 4.1"},
    )
    dropout: float = Field(
        0.0,
        ge=0,
        lt=1,
        title=_("Dropout"),
        description=_("Share of the adapter's inputs that is left out at random while training."),
    )
    target: Literal["all_linear", "attention", "mlp"] = Field(
        "all_linear",
        title=_("Where"),
        description=_("Which linear layers get an adapter: all of them, those of the attention, or those of the MLP."),
    )


# A new kind is one class above, one name here, and one branch in apply.py.
Tune = Annotated[TuneAll | TuneLora, Field(discriminator="kind")]
