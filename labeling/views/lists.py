"""What every list has: search, filters and a page number, all kept in the address. And what was posted."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.core.paginator import Page, Paginator
from django.http import HttpRequest, QueryDict
from django.utils.datastructures import MultiValueDict
from django.utils.text import capfirst


@dataclass(frozen=True)
class Filter:
    """A choice above a list. `value` is the one in the address, or "" for all."""

    name: str
    label: str
    choices: list[tuple[str, str]]
    value: str


def filter_of(
    request: HttpRequest, name: str, label: str, choices: Iterable[tuple[str, object]], *, names: bool = False
) -> Filter:
    """The filter as the address sets it; a value that is no choice counts as none. Choices begin with a capital, unless they are `names` that
    people gave."""
    choices = [(str(value), str(text) if names else capfirst(str(text))) for value, text in choices]
    value = request.GET.get(name, "")
    return Filter(name, label, choices, value if value in dict(choices) else "")


def search_of(request: HttpRequest) -> str:
    return request.GET.get("q", "").strip()


def page_of(request: HttpRequest, rows, size: int = 25) -> Page:
    return Paginator(rows, size).get_page(request.GET.get("page"))


def posted(request: HttpRequest) -> tuple[QueryDict | None, MultiValueDict | None]:
    """Data and files for a form: none of either unless something was posted, be it empty."""
    return (request.POST, request.FILES) if request.method == "POST" else (None, None)
