"""Deleting a data set: only what nothing uses, with its files; everything that uses it is told."""

import pytest
from django.urls import reverse

from labeling import actions
from labeling.datasets import store
from labeling.models import Dataset
from people.errors import Refusal
from people.models import AuditEntry, Role
from tests import factories
from training.actions import delete_run

from . import make

pytestmark = pytest.mark.django_db


def test_what_nothing_uses_goes_with_its_files(client):
    admin, data = factories.admin(), make.dataset(name="Tales")
    client.force_login(admin)
    address = reverse("dataset-delete", args=[data.pk])
    assert address in client.get(data.get_absolute_url()).content.decode()
    assert "No run, comparison or model uses it." in client.get(address).content.decode()
    assert client.post(address)["Location"] == reverse("datasets")
    assert not Dataset.objects.exists()
    assert not data.folder.exists()
    entry = AuditEntry.objects.get(verb="dataset.delete")
    assert (entry.actor, entry.data["digest"]) == (admin, data.digest)


def test_what_runs_use_stays_and_says_by_which(client):
    admin, data = factories.admin(), make.dataset()
    runs = [make.run(actor=admin, name=name, inputs={"dataset": data}) for name in ("first", "twice", "twice")]
    with pytest.raises(Refusal) as refused:
        actions.delete_dataset(actor=admin, dataset=data)
    assert sorted(refused.value.problems[1:]) == ["2 runs called “twice” used it.", "The run “first” used it."]
    client.force_login(admin)
    assert "The run “first” used it." in client.get(reverse("dataset-delete", args=[data.pk])).content.decode()
    for run in runs:
        run.state = "stopped"
        run.save()
        delete_run(actor=admin, run=run)
    actions.delete_dataset(actor=admin, dataset=data)
    assert not data.folder.exists()


def test_one_deletes_ones_own_and_an_admin_anyones():
    mine, other, data = factories.user(Role.RESEARCHER), factories.user(Role.RESEARCHER), make.dataset()
    Dataset.objects.update(created_by=mine)
    data.refresh_from_db()
    with pytest.raises(Refusal, match="Only who made it, or an admin"):
        actions.delete_dataset(actor=other, dataset=data)
    assert data.folder.exists()
    actions.delete_dataset(actor=mine, dataset=data)
    assert not Dataset.objects.exists()


def test_nothing_is_deleted_while_something_is_put_in_place():
    admin, data = factories.admin(), make.dataset()
    with store.Writer("text") as writer:
        writer.add({"text": "A new one."}, split="train")
        writer.finish({})
        with pytest.raises(Refusal, match="just being stored"):
            actions.delete_dataset(actor=admin, dataset=data)
    actions.delete_dataset(actor=admin, dataset=data)
    assert not data.folder.exists()
