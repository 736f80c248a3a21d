"""Parts of a page that show nothing but their arguments, rendered once a process for each set of them: the board comes with every ranking.

    {% constant "labeling/parts/board_ranks.html" letter=output.letter outputs=4 %}

The part knows its arguments and the language, and neither the request nor the person.
"""

from collections.abc import Hashable
from functools import lru_cache

from django import template
from django.conf import settings
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.translation import get_language

register = template.Library()


@register.simple_tag
def constant(name: str, **arguments: Hashable) -> SafeString:
    render = _rendered.__wrapped__ if settings.DEBUG else _rendered
    return render(name, get_language(), tuple(arguments.items()))


@lru_cache(maxsize=500)
def _rendered(name: str, _language: str | None, arguments: tuple[tuple[str, Hashable], ...]) -> SafeString:
    return render_to_string(name, dict(arguments))
