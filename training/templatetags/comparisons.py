"""Filters of the baselines pages: figures of an evaluation as people read them."""

from django import template
from django.utils.formats import number_format
from django.utils.translation import gettext as _

from models_registry import words

from ..engine.evaluation import Metric
from ..page import duration
from .training import figure

register = template.Library()


@register.filter
def measured(value: float, metric: Metric) -> object:
    """A figure of this metric: shares in per cent, others with four significant digits."""
    return percent(value) if metric.share else figure(value)


@register.filter
def difference(value: float, metric: Metric) -> str:
    """With its sign; differences of shares are percentage points."""
    sign = "+" if value > 0 else "−" if value < 0 else "±"
    size = number_format(f"{100 * abs(value):.1f}", 1) if metric.share else figure(float(f"{abs(value):.3g}"))
    return f"{sign}{size}"


@register.filter
def percent(value: float) -> str:
    """0.8333 as 83.3 %; small shares keep two digits."""
    shown = 100 * value
    digits = 1 if shown >= 1 or shown == 0 else 3
    return f"{words.figure(shown, digits)} %"


@register.filter
def p_value(p: float) -> str:
    if p < 0.001:
        return _("p < %(bound)s") % {"bound": number_format("0.001", 3)}
    digits = 3 if p < 0.1 else 2
    return f"p = {number_format(f'{p:.{digits}f}', digits)}"


@register.filter
def lasted(seconds: float) -> str:
    """A length of time; below a minute with its tenths."""
    return _("%(s)s s") % {"s": number_format(f"{seconds:.1f}", 1)} if seconds < 60 else duration(seconds)
