"""A version in words: what it is, how it was made, and its result."""

from django.utils.formats import get_format, number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from . import hooks
from .models import Head, Kind, Version

_WHAT = {
    (Kind.FULL, Head.LM): gettext_lazy("A language model with weights of its own."),
    (Kind.FULL, Head.REWARD): gettext_lazy("A reward model with weights of its own: it scores answers."),
    (Kind.FULL, Head.CLASSES): gettext_lazy("A classifier with weights of its own."),
    (Kind.ADAPTER, Head.LM): gettext_lazy("A language model: an adapter that stands on %(parent)s."),
    (Kind.ADAPTER, Head.REWARD): gettext_lazy(
        "A reward model: an adapter that stands on %(parent)s and scores answers."
    ),
    (Kind.ADAPTER, Head.CLASSES): gettext_lazy("A classifier: an adapter that stands on %(parent)s."),
    (Kind.SOFT_PROMPT, Head.LM): gettext_lazy("A language model: a soft prompt in front of what %(parent)s reads."),
    (Kind.SOFT_PROMPT, Head.REWARD): gettext_lazy("A reward model: a soft prompt in front of what %(parent)s reads."),
    (Kind.SOFT_PROMPT, Head.CLASSES): gettext_lazy("A classifier: a soft prompt in front of what %(parent)s reads."),
    (Kind.HARD_PROMPT, Head.LM): gettext_lazy("A language model: words put around what %(parent)s is asked."),
    (Kind.HARD_PROMPT, Head.CLASSES): gettext_lazy(
        "A classifier without training: words put around what %(parent)s is asked, and words for each label."
    ),
    (Kind.REMOTE, Head.LM): gettext_lazy("A language model that another server runs."),
}

_ROLES = {
    "base": gettext_lazy("base model"),
    "base_2": gettext_lazy("second model"),
    "base_3": gettext_lazy("third model"),
    "base_4": gettext_lazy("fourth model"),
    "base_5": gettext_lazy("fifth model"),
    "parent": gettext_lazy("base model"),
    "reward_model": gettext_lazy("reward model"),
    "reward_model_2": gettext_lazy("second reward model"),
    "reward_model_3": gettext_lazy("third reward model"),
    "reward_model_4": gettext_lazy("fourth reward model"),
    "reward_model_5": gettext_lazy("fifth reward model"),
    "pretraining": gettext_lazy("pretraining texts"),
    "reference": gettext_lazy("reference"),
}

# What a method's metrics.json may hold, the most telling first.
_RESULTS = {
    "win_rate": gettext_lazy("win rate"),
    "accuracy": gettext_lazy("accuracy"),
    "heldout_accuracy": gettext_lazy("accuracy"),
    "heldout_loss": gettext_lazy("loss"),
}

_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def sentence(version: Version) -> str:
    """What it is and where it comes from, for a reader who has never seen it."""
    what = _WHAT.get((version.kind, version.head), gettext_lazy("A model version.")) % {"parent": version.parent}
    return f"{what} {made_how(version)}"


def made_how(version: Version) -> str:
    origin = version.origin
    if origin.get("hub"):
        return _("Imported from the Hub: %(repo)s at %(revision)s.") % {
            "repo": origin["hub"],
            "revision": origin.get("revision", "")[:12],
        }
    if origin.get("remote"):
        return _("It runs at %(address)s and is only asked from here.") % {"address": origin["remote"]}
    if origin.get("method") == "merge":
        return _("Its adapters were folded into the weights of their base.")
    if origin.get("imported_from"):
        return _("Imported from the folder “%(folder)s”.") % {"folder": origin["imported_from"]}
    if origin.get("method"):
        return _("Made with the method %(method)s.") % {"method": hooks.title_of(origin["method"])}
    return ""


def role(name: str) -> str:
    """The part a source played, in words; methods may bring roles of their own."""
    return str(_ROLES.get(name, name.replace("_", " ")))


def figure(value: float, decimals: int) -> str:
    """A number in the figures of the language. Django alone would cut it off, not round it. + 0.0: there is no −0.00."""
    return minus(number_format(round(value, decimals) + 0.0, decimals))


def minus(written: str) -> str:
    """A written number with the sign that numbers have on every page."""
    return written.replace("-", "−")


def powers(written: str) -> str:
    """Of a number as Python writes it: 2.8e-07 is 2.8 · 10⁻⁷."""
    digits, e, exponent = written.partition("e")
    digits = minus(digits.replace(".", get_format("DECIMAL_SEPARATOR")))
    return f"{digits} · 10{str(int(exponent)).translate(_RAISED)}" if e and int(exponent) else digits


def result(version: Version) -> str:
    """The held-out result that says most, with its interval: "win rate 0.84 (0.72–0.91)"."""
    numbers = {name: value for name, value in version.metrics.items() if isinstance(value, int | float)}
    name = next((name for name in _RESULTS if name in numbers), None)
    if name is None:
        return ""
    decimals = 3 if "loss" in name else 2
    label = _("pair accuracy") if (name, version.head) == ("accuracy", Head.REWARD) else _RESULTS[name]
    text = f"{label} {figure(numbers[name], decimals)}"
    low, high = (numbers.get(f"{name}_{end}") for end in ("low", "high"))
    if low is None or high is None:
        return text
    return f"{text} ({figure(low, decimals)}–{figure(high, decimals)})"
