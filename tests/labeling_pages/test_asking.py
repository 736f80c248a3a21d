"""A question from the board waits in sight of those who run the project until somebody has answered it."""

import pytest
from django.urls import reverse

from jobs.models import Job
from labeling import actions
from people import notices
from people.models import Notice, Role
from tests import factories
from tests.labeling_pages.conftest import signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def project(admin):
    return factories.project(actor=admin, tasks=2)


def asked(project, text: str = "May two be tied?"):
    asker = factories.user()
    return actions.ask(actor=asker, assignment=factories.claim(asker, project), text=text)


def test_it_is_mailed_to_those_who_run_the_project_and_gave_an_address(settings, project, admin):
    settings.EMAIL_HOST = "mail.test"
    admin.email = "owner@example.org"
    admin.save()
    without_address = factories.user()
    project.memberships.create(user=without_address, role=Role.ADMIN)
    asked(project)
    (job,) = Job.objects.all()
    notice = Notice.objects.get(pk=job.arguments["notice"])
    assert notice.person == admin
    assert "May two be tied?" in str(notice)
    assert notices.unread(without_address).count() == 1


def test_an_answer_settles_it_for_all_who_were_told(project, admin):
    other = factories.user()
    project.memberships.create(user=other, role=Role.ADMIN)
    first, second = asked(project, "First?"), asked(project, "Second?")
    assert [notices.unread(person).count() for person in (admin, other)] == [2, 2]
    actions.answer(actor=admin, question=first, text="Yes.")
    assert ["Second?" in str(notices.unread(person).get()) for person in (admin, other)] == [True, True]
    actions.resolve(actor=other, question=second)
    assert not notices.unread(admin).exists()


def test_every_page_of_the_project_says_how_many_wait(page, project, admin):
    tasks = reverse("project-tasks", args=[project.slug])
    assert "waits for an answer" not in page.get(tasks).content.decode()
    question = asked(project)
    assert "1 question waits for an answer" in page.get(tasks).content.decode()
    researcher = factories.user(Role.RESEARCHER)
    assert "1 question waits for an answer" in signed_in(researcher).get(tasks).content.decode()
    actions.answer(actor=admin, question=question, text="Yes.")
    assert "waits for an answer" not in page.get(tasks).content.decode()


def test_a_question_about_a_task_whose_answer_is_known_is_listed_like_any_other(page, project, admin, said):
    question = asked(project)
    actions.set_gold(actor=admin, task=question.task, kind="gold", constraints="A > B")
    shown = page.get(reverse("project-review", args=[project.slug]) + "?show=asked").content.decode()
    assert reverse("project-review-task", args=[project.slug, question.task.pk]) in shown
    assert "1 with an open question" in shown


@pytest.mark.parametrize("name", ["project-review-task", "project-task"])
def test_what_was_flagged_is_said_in_the_words_of_the_reader(page, project, said, name):
    flagging = factories.user()
    turn = factories.claim(flagging, project)
    actions.flag_task(
        actor=flagging, assignment=turn, flag="not_comparable", note="Two of them are empty.", seconds=77
    )
    shown = said(page.get(reverse(name, args=[project.slug, turn.task_id])))
    assert "not comparable: Two of them are empty." in shown
    assert "not_comparable" not in shown
    assert (" 77 " in shown) == (name == "project-task")  # seconds
