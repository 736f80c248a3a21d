"""How prompts and figures of projects are written for people."""

from datetime import date

from django import template
from django.utils.text import Truncator

register = template.Library()


@register.filter
def excerpt(content: str | list, length: int = 120) -> str:
    """A prompt in one line: of a chat, what was said last."""
    text = content if isinstance(content, str) else str(content[-1].get("content", "")) if content else ""
    return Truncator(" ".join(text.split())).chars(length) or "…"


@register.inclusion_tag("labeling/parts/daily_bars.html")
def daily_bars(days: list[tuple[date, int]]) -> dict:
    """A bar for each day; `days` oldest first."""
    step, height = 20, 64
    most = max((count for _day, count in days), default=0) or 1
    bars = [
        {
            "x": n * step,
            "y": height - height * count / most,
            "height": height * count / most,
            "day": day,
            "count": count,
        }
        for n, (day, count) in enumerate(days)
    ]
    return {
        "bars": bars,
        "width": len(days) * step,
        "bar_width": step - 4,
        "height": height,
        "first": days[0][0],
    }
