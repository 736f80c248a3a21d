"""A reward model against people: asked by a job, kept, listed with the least likely first, and reviewed from there."""

import io
import json
import math

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import Client
from django.urls import reverse
from playwright.sync_api import expect
from rest_framework.test import APIClient

from jobs.models import Job
from jobs.worker import run_all_waiting
from labeling import actions, review_queries
from labeling.datasets.store import rows_of
from labeling.models import Disagreement, Opinion, Project
from labeling.opinions.asking import forget, orders_of
from labeling.review_queries import Wanted
from labeling.statistics.against import against
from models_registry import actions as registry
from models_registry import serving_client
from models_registry.models import Version
from people.errors import Refusal
from people.models import AuditEntry, Role
from tests import factories
from tests.labeling_pages.conftest import signed_in
from tests.labeling_pages.judging import say
from tests.processes import LONGEST

TASKS = 12


@pytest.fixture
def page(admin) -> Client:
    return signed_in(admin)


@pytest.fixture
def project(admin) -> Project:
    """Twelve tasks that one person ranked; the second of two people turned the first two of them round."""
    made = factories.project(actor=admin, tasks=TASKS, outputs=3, overlap=2, heldout_percent=50)
    say(factories.user(), made, *["A > B > C"] * TASKS)
    say(factories.user(), made, "B > A > C", "A > B = C")
    return made


@pytest.fixture
def learned(project, admin, reward) -> set[str]:
    """Prompts of the training split that the reward model is said to have learned from."""
    dataset, _new = actions.freeze_snapshot(actor=admin, project=project)
    origin = {"run": "gone", "method": "reward", "datasets": {"dataset": {"digest": dataset.digest}}}
    Version.objects.filter(pk=reward.pk).update(origin=origin)
    found = {row["prompt"] for row in rows_of(dataset.folder, "train")}
    assert 0 < len(found) < TASKS
    return found


@pytest.fixture
def asked(project, admin, server, reward) -> Opinion:
    actions.start_asking_opinion(actor=admin, project=project, version=reward)
    run_all_waiting()
    job = Job.objects.get(what="ask-opinion")
    assert job.state == "done", job.error
    return Opinion.objects.get()


def queue(project: Project, version: Version, **wanted: str) -> list[Disagreement]:
    keys = review_queries.in_order(project, Wanted(show="model", model=str(version.pk), **wanted))
    return [line.against for line in review_queries.lines(project, keys, str(version.pk))]


@pytest.fixture
def where(project) -> str:
    return reverse("project-review-against", args=[project.slug])


@pytest.mark.slow
def test_the_least_likely_ranking_comes_first_and_what_was_learned_comes_last(learned, asked, project, reward):
    found = queue(project, reward)
    assert len(found) == TASKS
    assert [each.learned for each in found] == sorted(each.learned for each in found)
    assert {each.task.prompt.content for each in found if each.learned} == learned
    for part in (True, False):
        surprises = [each.surprise for each in found if each.learned is part]
        assert surprises == sorted(surprises, reverse=True)
        assert [each.pk for each in queue(project, reward, learned="yes" if part else "no")] == [
            each.pk for each in found if each.learned is part
        ]

    said = orders_of(project)
    rows = []
    tasks = list(project.tasks.order_by("pk"))
    for task in tasks:
        texts = [item.completion.text for item in task.items.order_by("position")]
        judgement = serving_client.judge(reward, [(task.prompt.content, texts)])
        rows.append((said[task.pk], [[judgement.std * each.score] for each in judgement.rows[0]]))
    expected = dict(zip([task.pk for task in tasks], against(rows), strict=True))
    for each in found:
        assert each.surprise == pytest.approx(expected[each.task_id].surprise, abs=1e-3)
        assert (each.people, each.model) == (str(said[each.task_id]), str(expected[each.task_id].order))
        assert each.likelihood == pytest.approx(math.exp(-each.surprise))


@pytest.mark.slow
def test_of_a_model_made_elsewhere_nobody_knows_what_it_learned(asked, project, reward, page, where):
    assert {each.learned for each in queue(project, reward)} == {None}
    assert b"perhaps learned from" in page.get(where).content


@pytest.mark.slow
def test_asked_again_the_new_answer_takes_the_place_of_the_old(asked, project, admin, reward):
    """What a job that broke off left is cleared away; decided tasks leave the list, at once and for good."""
    Opinion.objects.create(project=project, version=reward)
    task = project.tasks.order_by("pk").first()
    actions.adjudicate(actor=admin, task=task, notation="A > B > C", reason="")
    assert task.pk not in {each.task_id for each in queue(project, reward)}
    actions.start_asking_opinion(actor=admin, project=project, version=reward)
    run_all_waiting()
    [opinion] = Opinion.objects.all()
    assert (opinion.current, opinion.pk != asked.pk) == (True, True)
    assert Disagreement.objects.count() == TASKS - 1


@pytest.mark.slow
def test_the_list_opens_each_task_in_review_and_keeps_its_order(learned, asked, project, reward, page, where):
    answer = page.get(where)
    assert answer.context["opinion"] == asked
    lines = answer.context["lines"]
    assert [line.against.task_id for line in lines] == [each.task_id for each in queue(project, reward)]
    content = answer.content.decode()
    assert f"What {reward} finds unlikely" in content
    first, second = lines[0].task, lines[1].task
    query = f"show=model&amp;model={reward.pk}"
    address = reverse("project-review-task", args=[project.slug, first.pk])
    assert f"{address}?{query}" in content
    opened = page.get(address, {"show": "model", "model": reward.pk})
    assert opened.context["after"] == second.pk
    assert f"{reward}</th>" in opened.content.decode()
    assert b"It did not learn from this prompt." in opened.content
    assert f'{where}?{query}"' in opened.content.decode()
    held_out = page.get(where, {"learned": "no"}).context["lines"]
    assert {line.against.learned for line in held_out} == {False}
    assert b"No task fits" in page.get(where, {"q": "nothing like it"}).content


@pytest.mark.slow
def test_rest_and_the_command_list_the_same(learned, asked, project, reward, admin):
    api = APIClient()
    api.force_authenticate(admin)
    keys = [each.task_id for each in queue(project, reward)]
    told = api.get(
        reverse("api-review", args=[project.slug]), {"show": "model", "model": "scorer:v1", "limit": 5}
    ).json()
    assert told["count"] == TASKS
    assert [row["task"] for row in told["results"]] == keys[:5]
    assert told["results"][0]["against"]["learned"] is False
    some = api.get(
        reverse("api-review", args=[project.slug]), {"show": "model", "model": "scorer:v1", "learned": "yes"}
    ).json()
    assert some["count"] == sum(each.learned for each in queue(project, reward))
    wrong = api.get(reverse("api-review", args=[project.slug]), {"learned": "true", "size": "many"})
    assert (wrong.status_code, len(wrong.json()["problems"])) == (400, 2)
    out = io.StringIO()
    call_command("against", project.slug, model="scorer:v1", stdout=out)
    rows = list(map(json.loads, out.getvalue().splitlines()))
    assert [row["task"] for row in rows] == keys
    assert rows[0]["likelihood"] == pytest.approx(told["results"][0]["against"]["likelihood"])


@pytest.mark.slow
def test_before_a_model_was_asked_the_page_says_what_to_do(page, project, reward, where, tiny):
    empty = page.get(where)
    assert b"No model was asked yet" in empty.content
    assert str(reward) in empty.content.decode()
    with pytest.raises(CommandError, match="--ask"):
        call_command("against", project.slug, model="scorer:v1")
    with pytest.raises(CommandError, match="no reward model"):
        call_command("against", project.slug, model="tiny:v1", ask=True)
    answer = page.post(where, {"version": reward.pk})
    assert answer["Location"] == where
    job = Job.objects.get(what="ask-opinion")
    assert job.state == "waiting"
    assert str(job.pk) in page.get(where).content.decode()
    assert AuditEntry.objects.get(verb="project.ask_opinion").data["model"] == "scorer:v1"
    assert "compared what scorer:v1 and people say in" in page.get(reverse("audit")).content.decode()
    Job.objects.update(state=Job.State.DONE)
    api = APIClient()
    api.force_authenticate(answer.wsgi_request.user)
    begun = api.post(reverse("api-review-against", args=[project.slug]), {"model": "scorer"}, format="json")
    assert begun.status_code == 202


def test_only_reviewers_look_and_only_who_may_try_models_asks(project, reward, admin, where):
    reviewer, stranger = factories.user(Role.RESEARCHER), factories.user()
    assert signed_in(stranger).get(where).status_code in (403, 404)
    assert signed_in(reviewer).get(where).status_code == 200
    with pytest.raises(Refusal):
        actions.start_asking_opinion(actor=stranger, project=project, version=reward)
    inside = factories.user()
    actions.add_members(actor=admin, project=project, users=[inside], role=Role.ADMIN)
    local = signed_in(inside).get(where)
    assert local.status_code == 200
    assert local.context["form"] is None
    with pytest.raises(Refusal):
        actions.start_asking_opinion(actor=inside, project=project, version=reward)
    empty = factories.project(actor=admin, tasks=1)
    with pytest.raises(Refusal, match="Nobody has ranked"):
        actions.start_asking_opinion(actor=admin, project=empty, version=reward)


def test_who_asks_while_the_model_is_asked_is_told(project, reward, admin, page, where):
    actions.start_asking_opinion(actor=admin, project=project, version=reward)
    with pytest.raises(Refusal, match="scorer:v1 is being asked already") as refusal:
        actions.start_asking_opinion(actor=admin, project=project, version=reward)
    assert refusal.value.status == 409
    assert b"is being asked already" in page.post(where, {"version": reward.pk}).content
    assert Job.objects.filter(what="ask-opinion").count() == 1
    assert AuditEntry.objects.filter(verb="project.ask_opinion").count() == 1
    Job.objects.update(state=Job.State.CANCELLED)
    actions.start_asking_opinion(actor=admin, project=project, version=reward)


def test_a_worker_that_was_thought_dead_leaves_alone_what_another_is_just_finding(project, reward):
    left, own, newer = (Opinion.objects.create(project=project, version=reward) for _each in range(3))
    forget(before=own)
    assert list(Opinion.objects.order_by("pk")) == [own, newer]
    assert left not in Opinion.objects.all()


def test_a_model_that_is_deleted_takes_along_what_it_said(project, reward, admin, page, where):
    opinion = Opinion.objects.create(project=project, version=reward, current=True)
    task = project.tasks.first()
    Disagreement.objects.create(
        opinion=opinion,
        task=task,
        people="A > B > C",
        model="C > B > A",
        surprise=2.0,
        opposite=3,
        strict=3,
        learned=None,
    )
    review, show = reverse("project-review-task", args=[project.slug, task.pk]), {"show": "model", "model": reward.pk}
    assert b"C &gt; B &gt; A" in page.get(review, show).content
    registry.delete_version(actor=admin, version=reward, confirm="scorer:v1")
    assert not Disagreement.objects.exists()
    assert b"No model was asked yet" in page.get(where, {"model": show["model"]}).content
    opened = page.get(review, show)
    assert (opened.status_code, b"C &gt; B &gt; A" in opened.content) == (200, False)
    assert project.tasks.filter(submitted__gt=0).exists()


def test_who_may_review_sees_from_a_model_where_to(project, reward, learned, admin):
    reward.refresh_from_db()
    assert review_queries.places_to_review(reward, admin) == [(project, None)]
    assert review_queries.places_to_review(reward, factories.user()) == []
    opinion = Opinion.objects.create(project=project, version=reward, current=True)
    assert review_queries.places_to_review(reward, admin) == [(project, opinion)]


@pytest.mark.browser
@pytest.mark.slow
def test_a_reviewer_asks_filters_and_decides(open_page, admin, server, project, learned, reward):
    page = open_page(reverse("project-review", args=[project.slug]), admin)
    page.get_by_role("link", name="What a model finds unlikely").click()
    page.get_by_label("Reward model").select_option(label=str(reward))
    page.get_by_role("button", name="Ask the model").click()
    expect(page.get_by_text("Compare a model with people")).to_be_visible()
    run_all_waiting()
    rows = page.locator("#list tbody tr")
    expect(rows).to_have_count(TASKS, timeout=LONGEST * 1000)
    page.get_by_label("Whatever it learned from").select_option(label="Held out from it")
    left = TASKS - len(learned)
    expect(rows).to_have_count(left)
    first = rows.first.get_by_role("link")
    first.click()
    expect(page.get_by_text(f"1 of {left}")).to_be_visible()
    expect(page.get_by_text("It did not learn from this prompt.")).to_be_visible()
    page.get_by_role("link", name="Next").click()
    expect(page.get_by_text(f"2 of {left}")).to_be_visible()
