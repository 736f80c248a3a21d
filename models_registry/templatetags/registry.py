"""How the registry's figures are written for people."""

from django import template
from django.utils.formats import number_format

from models_registry import hooks, words
from models_registry.models import Version

register = template.Library()


@register.filter
def count(number: int | None) -> str:
    """260032 → "260 K", in the figures of the language."""
    if number is None:
        return ""
    for unit, size in (("T", 10**12), ("B", 10**9), ("M", 10**6), ("K", 10**3)):
        if number >= size:
            value = number / size
            return f"{words.figure(value, 1 if value < 100 else 0)} {unit}"
    return number_format(number)


@register.filter
def share(part: int | None, whole: int) -> str:
    """Part of a whole in per cent; small shares keep two figures that say something."""
    if part is None or not whole:
        return ""
    percent = 100 * part / whole
    if 0 < percent < 0.0001:
        return f"< {words.figure(0.0001, 4)} %"
    decimals = 0 if percent >= 10 or not percent else 1 if percent >= 1 else 2 if percent >= 0.01 else 4
    return f"{words.figure(percent, decimals)} %"


@register.filter
def sentence(version: Version) -> str:
    return words.sentence(version)


@register.filter
def made_how(version: Version) -> str:
    return words.made_how(version)


@register.filter
def method(name: str) -> str:
    return hooks.title_of(name)


@register.filter
def role(name: str) -> str:
    return words.role(name)


@register.filter
def result(version: Version) -> str:
    return words.result(version)


@register.filter
def score(value: float) -> str:
    return words.figure(value, 3)
