"""Entries of the audit trail from before they said where they belong are read in their project's trail."""

from importlib import import_module

import pytest
from django.apps import apps

from labeling import actions
from labeling.trail import place_name
from people.models import AuditEntry
from tests import factories

pytestmark = pytest.mark.django_db


def test_an_old_decision_is_found_in_the_trail_of_its_project(client):
    boss = factories.admin()
    mine, other = (factories.project(actor=boss, tasks=2, overlap=2) for _ in range(2))
    ani = factories.user()
    factories.submit(ani, factories.claim(ani, mine))
    actions.freeze_snapshot(actor=boss, project=mine, name="The first")
    actions.pause_desk(actor=boss, project=mine, person=ani)
    actions.close_task(actor=boss, task=mine.tasks.last())
    actions.create_batch(actor=boss, project=other, name="Round 1")
    entries = AuditEntry.objects.exclude(object_type="labeling.Project").filter(routine=False)
    expected = dict(entries.values_list("pk", "place"))
    assert set(expected.values()) == {place_name(mine.pk), place_name(other.pk)}
    entries.update(place="")
    gone = AuditEntry.objects.create(actor=boss, verb="dataset.freeze", object_type="labeling.Dataset", object_id="99")
    client.force_login(boss)
    address = f"/projects/{mine.slug}/audit/"
    assert "froze the snapshot The first" not in client.get(address).content.decode()

    import_module("labeling.migrations.0005_places_of_old_entries").say_where_they_belong(apps, None)

    assert dict(entries.values_list("pk", "place")) == expected | {gone.pk: ""}
    shown = client.get(address).content.decode()
    assert "froze the snapshot The first" in shown
    assert "Round 1" not in shown
    assert "froze the snapshot …" in client.get("/people/audit/").content.decode()
