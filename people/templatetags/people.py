"""What the pages of people show in their own way."""

import json

from django import template

register = template.Library()


@register.filter
def as_json(value: object) -> str:
    """JSON as people read it."""
    return json.dumps(value, ensure_ascii=False, indent=2)


@register.filter
def hours(seconds: float) -> str:
    """Hours and minutes: 1:05."""
    minutes = round(seconds / 60)
    return f"{minutes // 60}:{minutes % 60:02d}"
