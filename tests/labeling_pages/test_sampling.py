"""The sampling page: choose registered models, see how it goes, and be told what is wrong."""

import pytest
from django.urls import reverse

from jobs.models import Job
from jobs.worker import run_all_waiting
from labeling.actions.tasks import NewTask, add_tasks
from labeling.models import Completion
from models_registry.models import Kind, Model, Version
from tests import factories

pytestmark = pytest.mark.django_db(transaction=True)

SETTINGS = {"outputs": 3, "temperature": 1, "top_p": 1, "max_tokens": 4, "seed": 7}


@pytest.fixture
def project():
    made = factories.project(heldout_percent=0)
    add_tasks(made, [NewTask("Once there was a cat"), NewTask("Once there was a dog")])
    return made


@pytest.fixture
def address(project):
    return reverse("project-sample", args=[project.slug])


@pytest.fixture
def listed() -> Version:
    """A version that can be chosen; nobody loads it."""
    model = Model.objects.create(name="poet")
    return Version.objects.create(model=model, number=1, kind=Kind.FULL, digest="0" * 64)


def test_without_prompts_or_models_it_says_what_to_do(page, address, said):
    assert "No model that writes text yet" in said(page.get(address))
    empty = factories.project()
    assert "No prompts yet" in said(page.get(reverse("project-sample", args=[empty.slug])))


@pytest.mark.slow
def test_a_model_writes_outputs_and_the_page_says_what_came_of_it(page, project, address, tiny, said):
    assert str(tiny) in said(page.get(address))
    page.post(address, {"versions": [tiny.pk], **SETTINGS, "batch": "Round 2"})
    assert "A sampling is under way." in said(page.get(address))
    run_all_waiting()
    text = said(page.get(address))
    assert "6 outputs were sampled. 2 tasks are new." in text
    assert Completion.objects.filter(version=tiny).count() == 6
    assert [task.batch.name for task in project.tasks.all()] == ["Round 2", "Round 2"]


def test_everything_that_is_wrong_is_said_and_no_job_begins(page, address, listed, said):
    for wrong, problem in [
        ({"versions": []}, "Choose at least one model"),
        ({"temperature": 0}, "At temperature 0 a model always writes the same"),
        ({"outputs": 10}, "less than or equal to 9"),
        ({"top_p": 2}, "less than or equal to 1"),
    ]:
        response = page.post(address, {"versions": [listed.pk], **SETTINGS, **wrong})
        assert response.status_code == 400
        assert problem in said(response)
    assert not Job.objects.exists()


def test_a_waiting_sampling_can_be_cancelled(page, address, listed, said):
    page.post(address, {"versions": [listed.pk], **SETTINGS})
    page.post(reverse("job-cancel", args=[Job.objects.get().pk]))
    run_all_waiting()
    assert "Cancelled." in said(page.get(address))
    assert not Completion.objects.exists()
