"""Groups: made, renamed, filled, deleted; never while tasks wait for them."""

import pytest
from django.contrib.auth.models import Group

from labeling import actions as labeling_actions
from people import actions
from people.errors import Refusal
from people.models import AuditEntry, Role
from tests import factories

pytestmark = pytest.mark.django_db


def test_a_group_is_made_filled_renamed_and_deleted_in_the_browser(client, boss):
    ani, budi = factories.user(username="ani"), factories.user(username="budi")
    address = client.post("/people/groups/", {"name": " Spring "}).headers["location"]
    client.post(address, {"do": "add", "people": [ani.pk, budi.pk]})
    group = Group.objects.get(name="Spring")
    assert set(group.user_set.all()) == {ani, budi}
    client.post(address, {"do": "remove", "people": budi.pk})
    assert list(group.user_set.all()) == [ani]
    client.post(address, {"do": "rename", "name": "Autumn"})
    assert "Autumn" in client.get(address).content.decode()
    assert [person.username for person in client.get(f"/people/?group={group.pk}").context["page"]] == ["ani"]
    client.post(address, {"do": "delete"})
    assert not Group.objects.exists()
    assert list(AuditEntry.objects.filter(verb__startswith="group.").order_by("pk").values_list("verb", flat=True)) == [
        "group.create", "group.add", "group.remove", "group.rename", "group.delete",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["", "   ", "x" * 151, "SPRING"])
def test_a_name_that_cannot_be(client, boss, name):
    actions.create_group(actor=boss, name="Spring")
    answer = client.post("/people/groups/", {"name": name})
    assert answer.status_code == 400
    assert 'role="alert"' in answer.content.decode()
    assert Group.objects.count() == 1


def test_a_group_for_which_tasks_wait_stays(client, boss):
    project = factories.project(actor=boss, tasks=2)
    group = actions.create_group(actor=boss, name="Spring")
    labeling_actions.assign_tasks(
        actor=boss, project=project, tasks=project.tasks.values_list("pk", flat=True), to=group
    )
    with pytest.raises(Refusal, match="2 tasks wait for this group"):
        actions.delete_group(actor=boss, group=group)
    page = client.get(f"/people/groups/{group.pk}/").content.decode()
    assert "2 tasks wait for this group" in page
    assert "Delete group" not in page
    assert client.delete(f"/api/v1/groups/{group.pk}/").status_code == 409
    labeling_actions.assign_tasks(
        actor=boss, project=project, tasks=project.tasks.values_list("pk", flat=True), to=None
    )
    actions.delete_group(actor=boss, group=group)


def test_only_admins_of_the_site_may(boss):
    person = factories.user(Role.RESEARCHER)
    group = actions.create_group(actor=boss, name="Spring")
    for verb in (
        lambda: actions.create_group(actor=person, name="Mine"),
        lambda: actions.rename_group(actor=person, group=group, name="Mine"),
        lambda: actions.add_to_group(actor=person, group=group, people=[person]),
        lambda: actions.remove_from_group(actor=person, group=group, people=[person]),
        lambda: actions.delete_group(actor=person, group=group),
    ):
        with pytest.raises(Refusal) as refused:
            verb()
        assert refused.value.status == 403
    assert Group.objects.get().name == "Spring"


def test_over_rest(client, boss):
    factories.user(username="ani")
    made = client.post("/api/v1/groups/", {"name": "Spring"}).json()
    address = f"/api/v1/groups/{made['id']}/"
    changed = client.patch(address, {"name": "Autumn", "add": ["ani"]}, content_type="application/json").json()
    assert changed == {"id": made["id"], "name": "Autumn", "people": ["ani"]}
    refused = client.patch(address, {"add": ["nobody"]}, content_type="application/json")
    assert refused.status_code == 404
    assert "nobody" in refused.json()["problems"][0]
    assert client.patch(address, {"remove": ["ani"]}, content_type="application/json").json()["people"] == []
    assert client.delete(address).status_code == 204
