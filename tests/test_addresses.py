"""Every address of the site says who may open it, and keeps to that."""

from collections.abc import Iterator

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.urls.converters import IntConverter, PathConverter, SlugConverter, StringConverter, UUIDConverter
from rest_framework.test import APIClient

from labeling.models import Dataset, Membership, Project
from people.models import Role, User
from people.permissions import ANYWHERE, PLACE_RIGHTS, ROLE_RIGHTS, HasRight, Right

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


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.parametrize(("address", "pattern"), ENDPOINTS, ids=ids(ENDPOINTS))
def test_endpoint_keeps_to_it(address, pattern):
    assert Client().get(address).status_code in {401, 405}
    assert Client().post(address).status_code in {401, 405}
    for role in Role:
        client = api_of(User.objects.create(username=role, role=role))
        for method, right in methods_of(pattern):
            status = client.generic(method, address).status_code
            assert (status == 403) == (right not in ROLE_RIGHTS[role]), f"{method} as {role}, who needs {right}"


# Roles in a project


@pytest.fixture
def places(db) -> dict[str, tuple[Project, Dataset]]:
    """A project in which somebody has a role, and one in which they have none; each with a snapshot."""
    made = {}
    for name in ("mine", "not mine"):
        project = Project.objects.create(name=name, slug=name.replace(" ", "-"))
        snapshot = Dataset.objects.create(name=name, kind=Dataset.Kind.RANKINGS, digest=name, project=project)
        made[name] = project, snapshot
    return made


def address_in(pattern: URLPattern, address: str, project: Project, snapshot: Dataset) -> str:
    """The address with the project or the snapshot in it; what else is made up stays so."""
    kinds = pattern.pattern.converters
    if "slug" in kinds:
        return address.replace("/no-such-thing/", f"/{project.slug}/", 1)
    return address.replace("/987654321/", f"/{snapshot.pk}/", 1)


def may(role: str, right: str, place: object) -> bool:
    """What an annotator of the site may do where they have `role`."""
    return right in ROLE_RIGHTS[Role.ANNOTATOR] or (place is not None and right in ROLE_RIGHTS[role] & PLACE_RIGHTS)


def place_of(pattern: URLPattern) -> object:
    view = getattr(pattern.callback, "cls", None) or pattern.callback
    return getattr(view, "required_place", None)


GUARDED = [(address, pattern) for address, pattern in PAGES if right_of(pattern) not in {None, "signed_in"}]


@pytest.fixture
def somebody(places) -> Iterator[tuple[str, User]]:
    """An annotator of the site, in each role of the project "mine", one after the other."""
    person = User.objects.create(username="somebody")
    membership = Membership.objects.create(project=places["mine"][0], user=person)
    Dataset.objects.filter(pk=places["mine"][1].pk).update(created_by=person)

    def in_each_role() -> Iterator[tuple[str, User]]:
        for membership.role in Role:
            membership.save()
            yield membership.role, person

    return in_each_role()


@pytest.mark.slow
@pytest.mark.parametrize(("address", "pattern"), GUARDED, ids=ids(GUARDED))
def test_page_keeps_to_the_role_in_its_project(address, pattern, places, somebody):
    right, place = right_of(pattern), place_of(pattern)
    method = method_of(Client(), address)
    client = Client(raise_request_exception=False)  # what is in a place is made up, and may break
    for role, person in somebody:
        client.force_login(person)
        status = getattr(client, method)(address_in(pattern, address, *places["mine"])).status_code
        assert (status == 403) != may(role, right, place), f"{role} of the project, who needs {right}: {status}"
    if place is not ANYWHERE:  # they are its admin now
        for elsewhere in (address, address_in(pattern, address, *places["not mine"])):
            status = getattr(client, method)(elsewhere).status_code
            assert (status == 403) != may(role, right, None), f"{role} of another project, who needs {right}"


@pytest.mark.slow
@pytest.mark.parametrize(("address", "pattern"), ENDPOINTS, ids=ids(ENDPOINTS))
def test_endpoint_keeps_to_the_role_in_its_project(address, pattern, places, somebody):
    place = place_of(pattern)
    for role, person in somebody:
        client = api_of(person)
        for method, right in methods_of(pattern):
            status = client.generic(method, address_in(pattern, address, *places["mine"])).status_code
            assert (status == 403) != may(role, right, place), f"{method} as {role} of the project: {status}"
    if place is not ANYWHERE:
        for method, right in methods_of(pattern):
            elsewhere = address_in(pattern, address, *places["not mine"])
            status = client.generic(method, elsewhere).status_code
            assert (status == 403) != may(role, right, None), f"{method} as {role} of another project: {status}"


def api_of(person: User) -> APIClient:
    client = APIClient(raise_request_exception=False)
    client.force_authenticate(person)
    return client


def methods_of(pattern: URLPattern) -> list[tuple[str, str]]:
    """The methods that an endpoint takes, each with its right."""
    view, right = pattern.callback.cls, right_of(pattern)
    taken = [
        name.upper() for name in view.http_method_names if hasattr(view, name) and name not in {"head", "options"}
    ]
    return [(method, right[method] if isinstance(right, dict) else right) for method in taken]


def test_what_is_about_a_project_says_so():
    """Else the role that somebody has there would not count."""
    for address, pattern in ALL:
        rights = right_of(pattern)
        rights = set(rights.values()) if isinstance(rights, dict) else {rights}
        if "/projects/no-such-thing/" in address and rights & (PLACE_RIGHTS - {Right.RANK}):
            assert callable(place_of(pattern)), (
                f"{address}: @requires(Right.X, place=places.project), or required_place"
            )
