"""Settings of adapters: those of finetuning, with kinds that leave the base as it is. Light."""

from typing import Annotated

from pydantic import Field

from models_registry.lm.tuning.config import Adapters, TuneSerial

from ...config import Method, setting
from ...messages import _
from ...tunes import BY_KIND
from ..finetune import config as finetune

METHOD = Method(
    title=_("Adapter"),
    summary=_("Teach a model from examples by a small part that is put into it: the model itself stays as it is."),
    inputs=finetune.METHOD.inputs,
    result="lm",
)


class Config(finetune.Config):
    tune: Annotated[Adapters, Field(discriminator="kind")] = setting(
        TuneSerial(),
        _("Adapter"),
        _("What is put into the model: bottleneck networks, low-rank matrices, factors, or keys and values."),
        group="model",
        source="Houlsby et al. 2019; He et al. 2022; Hu et al. 2021; Liu et al. 2022; Li and Liang 2021",
    )
    lr: float = setting(1e-3, _("Learning rate"), BY_KIND, group="optimizer", gt=0, le=1)
