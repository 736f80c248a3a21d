"""Filters of the runs' pages."""

from django import template
from django.utils.formats import number_format
from django.utils.translation import gettext

register = template.Library()


@register.filter
def translated(text: str) -> str:
    """A text of the engine in the reader's language."""
    return gettext(text) if text else ""


@register.filter
def figure(value: float) -> str:
    """Four significant digits, in the reader's notation."""
    text = f"{value:.4g}"
    if "e" in text or "." not in text:
        return text.replace(".", number_format(0.5, 1)[1]) if "e" in text else number_format(int(float(text)))
    return number_format(text, len(text.partition(".")[2]))
