"""What the tests of people share: an admin, signed in."""

import pytest

from people.models import User
from tests import factories


@pytest.fixture
def boss(client, db) -> User:
    person = factories.admin()
    client.force_login(person)
    return person
