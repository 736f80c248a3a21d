"""Tasks that wait for a person or a group who cannot take them are told to who runs the project, with the way to mend it."""

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from labeling import actions
from labeling.models import Membership
from labeling.task_queries import Stranded, stranded
from people.actions import deactivate, remove_from_group
from tests import factories
from tests.labeling.test_api import client_of

from .test_who_ranks_what import ids, rank_all
from .turns import check_slots

pytestmark = pytest.mark.django_db


@pytest.fixture
def project(admin):
    return factories.project(actor=admin, tasks=4, open_to_all=False)


@pytest.fixture
def group(ana):
    made = Group.objects.create(name="Linguists")
    ana.groups.add(made)
    return made


def test_a_group_whose_last_member_who_can_rank_here_has_gone(project, group, admin, ana, ben, client):
    actions.add_members(actor=admin, project=project, users=[ana, ben])
    actions.assign_tasks(actor=admin, project=project, tasks=ids(project)[:3], to=group)
    project.refresh_from_db()
    assert stranded(project) == []
    said = [Stranded(f"g{group.pk}", "group Linguists", 3, declined=False)]
    remove_from_group(actor=admin, group=group, people=[ana])
    assert stranded(project) == said
    ana.groups.add(group)
    assert stranded(project) == []
    actions.remove_members(actor=admin, project=project, users=[ana])  # still of the group, no more of the project
    assert stranded(project) == said
    assert rank_all(ben, project) == [ids(project)[3]]

    client.force_login(admin)
    for page in ("project", "project-tasks", "project-members"):
        assert "3 tasks wait for group Linguists" in client.get(reverse(page, args=[project.slug])).content.decode()
    api = client_of(admin)
    told = api.get(reverse("api-stranded", args=[project.slug])).json()
    assert told == [{"owner": f"g{group.pk}", "name": "group Linguists", "tasks": 3, "declined": False}]

    # As its button does.
    mend = reverse("project-tasks-change", args=[project.slug]) + f"?owner=g{group.pk}"
    assert mend in client.get(reverse("project-members", args=[project.slug])).content.decode()
    assert client.post(mend, {"which": "all", "do": "assign"}).status_code == 302
    project.refresh_from_db()
    assert stranded(project) == []
    check_slots(project)
    assert rank_all(ben, project) == ids(project)[:3]


def test_what_is_ranked_or_closed_waits_for_nobody(project, group, admin, ana):
    actions.add_members(actor=admin, project=project, users=[ana])
    actions.assign_tasks(actor=admin, project=project, tasks=ids(project)[:2], to=group)
    assert len(rank_all(ana, project)) == 4
    ana.groups.clear()
    project.refresh_from_db()
    assert stranded(project) == []


def test_sensitive_tasks_of_people_who_do_not_take_such(project, group, admin, ana):
    actions.add_members(actor=admin, project=project, users=[ana])
    actions.assign_tasks(actor=admin, project=project, tasks=ids(project)[:2], to=group)
    actions.set_sensitive(actor=admin, project=project, tasks=ids(project)[:1], sensitive=True)
    actions.accept_warning(actor=ana, project=project, takes_sensitive=False)
    project.refresh_from_db()
    assert stranded(project) == [Stranded(f"g{group.pk}", "group Linguists", 1, declined=True)]
    api = client_of(admin)
    given = {"filter": {"owner": f"g{group.pk}", "sensitive": "yes"}, "everybody": True}
    assert api.patch(reverse("api-tasks", args=[project.slug]), given, format="json").json() == {"tasks": 1}
    project.refresh_from_db()
    assert stranded(project) == []


def test_people_who_leave_leave_nothing_behind_and_who_left_by_another_way_is_told(project, admin, ana, ben):
    actions.add_members(actor=admin, project=project, users=[ana, ben])
    actions.assign_tasks(actor=admin, project=project, tasks=ids(project)[:1], to=ana)
    actions.assign_tasks(actor=admin, project=project, tasks=ids(project)[1:3], to=ben)
    deactivate(actor=admin, person=ana)
    project.refresh_from_db()
    assert stranded(project) == []
    Membership.objects.filter(user=ben).delete()
    assert [(each.owner, each.tasks) for each in stranded(project)] == [(f"u{ben.pk}", 2)]


def test_with_many_people_it_asks_no_more_than_with_few(project, admin):
    asked = []
    for number, pk in enumerate(ids(project)):
        person = factories.user()
        actions.add_members(actor=admin, project=project, users=[person])
        actions.assign_tasks(actor=admin, project=project, tasks=[pk], to=person)
        actions.set_sensitive(actor=admin, project=project, tasks=[pk], sensitive=bool(number % 2))
        project.refresh_from_db()
        with CaptureQueriesContext(connection) as captured:
            assert stranded(project) == []
        asked.append(len(captured))
    assert len(project.lanes) == 1 + len(ids(project))
    assert asked[1] == asked[-1] <= 4
