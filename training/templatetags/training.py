"""Filters of the runs' pages."""

from django import template
from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.formats import number_format
from django.utils.translation import gettext

from models_registry import words

from .. import health
from ..health import Mark
from ..models import Run

register = template.Library()


@register.filter
def translated(text: str) -> str:
    """A text of the engine in the reader's language."""
    return gettext(text) if text else ""


@register.filter
def mark(run: Run) -> Mark | None:
    """What is wrong with the run's result, for a table."""
    return health.mark(run)


@register.filter
def figure(value: object) -> object:
    """A number with four significant digits (whole numbers whole), in the reader's notation; anything else as it is."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "–" if value is None else value
    if float(value).is_integer() and abs(value) < 1e15:
        return words.minus(intcomma(int(value)))
    text = f"{value:.4g}"
    if "e" in text:
        return words.powers(text)
    return words.minus(number_format(text, len(text.partition(".")[2])))
