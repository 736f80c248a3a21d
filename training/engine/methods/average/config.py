"""Settings of averaging. Light."""

from ...config import ComputeSettings, Input, Method
from ...messages import _

_MORE = {"base_3": _("Third classifier"), "base_4": _("Fourth classifier"), "base_5": _("Fifth classifier")}

METHOD = Method(
    title=_("Average"),
    summary=_(
        "Several classifiers judge together: the mean of what they say is right more often than one of them. Trains nothing."
    ),
    inputs={
        "base": Input(
            "version",
            _("First classifier"),
            ("classes",),
            help=_("All have one shape, tokenizer and classes, as runs that differ in their seed do."),
            links=("full",),
        ),
        "base_2": Input("version", _("Second classifier"), ("classes",), links=("full",)),
        **{
            role: Input("version", title, ("classes",), required=False, links=("full",))
            for role, title in _MORE.items()
        },
    },
    result="classes",
)


class Config(ComputeSettings):
    """There is nothing to set but where the models are read."""
