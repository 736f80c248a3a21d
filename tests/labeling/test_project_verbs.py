"""Projects are made and changed by those who may, and never into what cannot be."""

import pytest

from labeling import actions
from labeling.models import Assignment, Project
from people.errors import Refusal
from tests import factories

State = Assignment.State
pytestmark = pytest.mark.django_db


def test_only_who_may_manage_projects_creates_and_changes_them(ana):
    with pytest.raises(Refusal) as caught:
        actions.create_project(actor=ana, name="Mine")
    assert caught.value.status == 403
    project = factories.project()
    for verb in (actions.add_members, actions.remove_members):
        with pytest.raises(Refusal):
            verb(actor=ana, project=project, users=[ana])
    with pytest.raises(Refusal):
        actions.change_project(actor=ana, project=project, overlap=3)


def test_a_project_with_impossible_settings_is_refused_with_all_reasons():
    with pytest.raises(Refusal) as caught:
        actions.create_project(actor=factories.admin(), name=" ", outputs_per_task=10, overlap=0, lease_seconds=1)
    assert len(caught.value.problems) == 4
    assert Project.objects.count() == 0


def test_projects_of_the_same_name_get_slugs_of_their_own():
    admin = factories.admin()
    slugs = [actions.create_project(actor=admin, name="Helpful answers").slug for _ in range(3)]
    assert slugs == ["helpful-answers", "helpful-answers-2", "helpful-answers-3"]
