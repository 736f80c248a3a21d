"""Every address of the site says who may open it, and keeps to that."""

from collections.abc import Iterator

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.urls.converters import IntConverter, PathConverter, SlugConverter, StringConverter, UUIDConverter

from people.models import Role, User
from people.permissions import ROLE_RIGHTS, HasRight, Right

pytestmark = pytest.mark.django_db

RIGHTS = {value for name, value in vars(Right).items() if name.isupper()}

# Endpoints of other packages, which declare nothing of ours: why each is open to whom.
FOREIGN = {
    "api-token": "gives a token for a name and a password",
    "api-schema": "everyone who is signed in may read what the API can do",
    "api-docs": "everyone who is signed in may read what the API can do",
}
SAMPLES = {
    IntConverter: "987654321",
    UUIDConverter: "00000000-0000-4000-8000-000000000000",
    SlugConverter: "no-such-thing",
    StringConverter: "no-such-thing",
    PathConverter: "no-such-thing",
}


def addresses(resolver: URLResolver | None = None, before: str = "/") -> Iterator[tuple[str, URLPattern]]:
    """(an address with made-up arguments, its pattern) for every view of the site."""
    for entry in (resolver or get_resolver()).url_patterns:
        part = str(entry.pattern)
        for name, converter in entry.pattern.converters.items():
            sample = SAMPLES[type(converter)]
            part = (
                next(
                    part.replace(written, sample)
                    for written in (f"<{kind}:{name}>" for kind in ("int", "uuid", "slug", "str", "path"))
                    if written in part
                )
                if f":{name}>" in part
                else part.replace(f"<{name}>", sample)
            )
        if isinstance(entry, URLResolver):
            yield from addresses(entry, before + part)
        else:
            yield before + part, entry


def right_of(pattern: URLPattern) -> object:
    """What the view declares: a right, {method: right}, "signed_in", None for public, or "nothing"."""
    view = getattr(pattern.callback, "cls", None) or pattern.callback
    return getattr(view, "required_right", "nothing")


ALL = [(address, pattern) for address, pattern in addresses() if pattern.name not in FOREIGN]
PAGES = [(address, pattern) for address, pattern in ALL if not hasattr(pattern.callback, "cls")]
ENDPOINTS = [(address, pattern) for address, pattern in ALL if hasattr(pattern.callback, "cls")]


def ids(pairs: list[tuple[str, URLPattern]]) -> list[str]:
    return [pattern.name or address for address, pattern in pairs]


@pytest.mark.parametrize(("address", "pattern"), ALL, ids=ids(ALL))
def test_says_who_may_open_it(address, pattern):
    right = right_of(pattern)
    assert right != "nothing", f"{address} declares no right: use @requires(Right.X), @signed_in or @public"
    for each in right.values() if isinstance(right, dict) else [right]:
        assert each in RIGHTS | {None, "signed_in"}


@pytest.mark.parametrize(("address", "pattern"), ENDPOINTS, ids=ids(ENDPOINTS))
def test_endpoint_asks_for_its_right(address, pattern):
    assert HasRight in pattern.callback.cls.permission_classes


def method_of(client: Client, address: str) -> str:
    """A method that the page takes."""
    return "post" if client.get(address).status_code == 405 else "get"


@pytest.mark.parametrize(("address", "pattern"), PAGES, ids=ids(PAGES))
def test_page_keeps_to_it(address, pattern):
    """With made-up arguments: whoever lacks the right is refused before anything is looked up."""
    right = right_of(pattern)
    if right is None:
        return
    method = method_of(Client(), address)
    answer = getattr(Client(), method)(address)
    assert answer.status_code == 302
    assert answer["Location"].startswith("/sign-in/")
    if right == "signed_in":
        return
    for role in Role:
        client = Client()
        client.force_login(User.objects.create(username=role, role=role))
        status = getattr(client, method)(address).status_code
        if right in ROLE_RIGHTS[role]:
            assert status != 403, f"{role} has the right {right}"
        else:
            assert status == 403, f"{role} lacks the right {right}"


@pytest.mark.parametrize(("address", "pattern"), ENDPOINTS, ids=ids(ENDPOINTS))
def test_endpoint_keeps_to_it(address, pattern):
    assert Client().get(address).status_code in {401, 405}
    assert Client().post(address).status_code in {401, 405}
