"""Parts of a page that show nothing but their arguments, rendered once a process for each set of them: the board comes with every ranking.

    {% constant "labeling/parts/board_ranks.html" letter=output.letter outputs=4 %}
    {% around "labeling/parts/board_card.html" letter=output.letter %}what changes{% endaround %}

The part knows its arguments and the language, and neither the request nor the person. One that stands around something shows `inside` once.
"""

from collections.abc import Hashable
from functools import lru_cache

from django import template
from django.conf import settings
from django.template.loader import render_to_string
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language

register = template.Library()

INSIDE = mark_safe("\0inside\0")  # only while a part is rendered


@register.simple_tag
def constant(name: str, **arguments: Hashable) -> SafeString:
    render = _rendered.__wrapped__ if settings.DEBUG else _rendered
    return render(name, get_language(), tuple(arguments.items()))


@register.simple_block_tag
def around(content: SafeString, name: str, **arguments: Hashable) -> SafeString:
    halves = _halves.__wrapped__ if settings.DEBUG else _halves
    before, after = halves(name, get_language(), tuple(arguments.items()))
    return mark_safe(before + content + after)


@lru_cache(maxsize=500)
def _rendered(name: str, _language: str | None, arguments: tuple[tuple[str, Hashable], ...]) -> SafeString:
    return render_to_string(name, dict(arguments))


@lru_cache(maxsize=500)
def _halves(name: str, language: str | None, arguments: tuple[tuple[str, Hashable], ...]) -> tuple[str, str]:
    before, after = _rendered.__wrapped__(name, language, (*arguments, ("inside", INSIDE))).split(INSIDE)
    return before, after
