"""How figures of the quality page are written: values with their intervals, and the reason where there is none."""

from django import template
from django.utils.translation import gettext

from models_registry import words

register = template.Library()
NOTHING = "–"


@register.filter
def percent(value: float | None) -> str:
    return NOTHING if value is None else f"{words.figure(value * 100, 0 if abs(value) >= 0.1 else 1)} %"


@register.filter
def two(value: float | None) -> str:
    return NOTHING if value is None else words.figure(value, 2)


@register.filter
def interval(figure: dict | None, kind: str = "two") -> str:
    """ "0.61–0.66", or nothing where there is no interval."""
    if not figure or figure["low"] is None:
        return ""
    digits = 0 if abs(figure["value"] or 0.0) >= 0.1 else 1
    between = " … " if figure["low"] < 0 or figure["high"] < 0 else "–"
    if kind == "percent":
        return f"{words.figure(figure['low'] * 100, digits)}{between}{words.figure(figure['high'] * 100, digits)} %"
    return f"{words.figure(figure['low'], 2)}{between}{words.figure(figure['high'], 2)}"


@register.filter
def why(figure: dict | None) -> str:
    """Why a figure has no value, or no interval, in the reader's language."""
    return told(figure["why"]) if figure and figure.get("why") else ""


@register.filter
def told(message: dict | None) -> str:
    return gettext(message["text"]) % message["params"] if message else ""


@register.inclusion_tag("labeling/parts/figure.html")
def figure(found: dict | None, label: str, kind: str = "two", says: str = "") -> dict:
    """A large figure with its interval, what it is called, and what it says in plain words."""
    return {"figure": found, "label": label, "kind": kind, "says": says}


@register.inclusion_tag("labeling/parts/cell.html")
def cell(found: dict | None, kind: str = "two") -> dict:
    """A figure in a table: the value, and its interval small behind it."""
    return {"figure": found, "kind": kind}


@register.filter
def at(found: list, place: int) -> object:
    return found[place]
