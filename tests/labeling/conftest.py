"""What the labeling tests share: people, files to bring, a small registered model."""

import json
from pathlib import Path

import pytest
from rest_framework.authtoken.models import Token
from rest_framework.test import APIClient

from people.models import User
from tests import factories
from tests.registry.conftest import tiny, tiny_adapter, tiny_model, tiny_tuned  # noqa: F401


def client_of(user: User) -> APIClient:
    """A program that acts in somebody's name."""
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {Token.objects.create(user=user).key}")
    return client


@pytest.fixture
def admin(db):
    return factories.admin()


@pytest.fixture
def ana(db):
    return factories.user()


@pytest.fixture
def ben(db):
    return factories.user()


@pytest.fixture
def jsonl(tmp_path):
    """`jsonl([row, …])`: a file with these rows; a text is written as it is."""

    def write(rows: list, name: str = "rows.jsonl") -> Path:
        path = tmp_path / name
        lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    return write
