"""What is looked for by keys that a form or an address names: one that no row can have finds nothing, and breaks nothing."""

import pytest
from django.urls import reverse

from people import actions
from people.searching import row_key, row_keys
from tests import factories

LONG = "9" * 30  # a number, but none that a database can look for


def test_keys_are_read():
    assert row_keys(["7", LONG, "", "-1", "x", "12", "1.0"]) == [7, 12]
    assert row_key(str(10**18 - 1)) == 10**18 - 1
    assert row_key(LONG) is None


@pytest.mark.django_db
def test_a_number_that_is_no_key_finds_nobody_and_nothing(client, boss):
    project = factories.project(actor=boss, tasks=1)
    group = actions.create_group(actor=boss, name="Linguists")
    client.post(reverse("group", args=[group.pk]), {"do": "add", "people": LONG})
    assert not group.user_set.exists()
    members = reverse("project-members", args=[project.slug])
    assert client.post(members, {"add": "", "people": LONG}).status_code == 400
    assert client.post(members, {"remove": LONG}).status_code == 404
    change = reverse("project-tasks-change", args=[project.slug])
    assert client.post(change, {"do": "priority", "priority": 1, "tasks": LONG}).status_code == 400
    assert client.post(reverse("project-known-order", args=[project.slug]), {"move": f"up:{LONG}"}).status_code == 404
    for address in (f"/people/?group={LONG}", f"/people/audit/?before={LONG}", f"/api/v1/audit/?before={LONG}"):
        assert client.get(address).status_code == 200
