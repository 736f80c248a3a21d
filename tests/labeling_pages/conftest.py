"""What the tests of the pages share: people signed in, and what a page says as plain text."""

import html
import re
from collections.abc import Callable

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponse
from django.test import Client

from people.models import User
from tests import factories
from tests.registry.conftest import tiny, tiny_model  # noqa: F401


@pytest.fixture
def admin(db) -> User:
    return factories.admin()


@pytest.fixture
def researcher(db) -> User:
    return factories.user("researcher")


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def page(admin) -> Client:
    """The site as an admin sees it."""
    return signed_in(admin)


@pytest.fixture
def said() -> Callable[[HttpResponse], str]:
    """The text of a page, without markup and in single spaces."""

    def text(response: HttpResponse) -> str:
        body = re.sub(r"<(script|style).*?</\1>", " ", response.content.decode(), flags=re.DOTALL)
        return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", body)).split())

    return text


def a_file(name: str, content: str) -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content.encode())
