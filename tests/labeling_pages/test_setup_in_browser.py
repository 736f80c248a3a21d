"""Setting a project up by hand: the question editor and its preview, an answer checked while it is typed, many tasks changed at once."""

import re

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from labeling import actions
from labeling.models import Project
from tests import factories
from tests.conftest import PHONE

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def project(admin) -> Project:
    return factories.project(actor=admin, tasks=3)


def test_questions_are_put_together_and_shown_as_the_board_asks_them(open_page, admin, project):
    page = open_page(reverse("project-questions", args=[project.slug]), admin)
    page.select_option("[name=preset]", "quality")
    page.click("text=Add ready-made")
    page.wait_for_selector("#preview .scale >> text=7")
    page.click("text=Add an empty one")
    page.wait_for_selector("#q1-title")
    page.select_option("#q1-kind", "choice")
    page.wait_for_selector("#q1-options")
    page.fill("#q1-title", "Which tone?")
    page.fill("#q1-options", "warm\ncold")
    page.press("#q1-options", "Tab")
    page.wait_for_selector("#preview >> text=warm")
    expect(page.locator("#q1-options")).to_have_value("warm\ncold")  # the preview alone was swapped
    page.click("li:nth-child(2) >> text=Up")
    expect(page.locator("#q0-title")).to_have_value("Which tone?")
    page.fill("#q1-high", "99")
    page.click("text=Save questions")
    page.wait_for_selector("text=a scale goes up, in 2 to 10 steps")
    page.fill("#q1-high", "5")
    page.click("text=Save questions")
    page.wait_for_selector("text=The questions are saved.")
    project.refresh_from_db()
    assert [(question["key"], question.get("high")) for question in project.questions] == [
        ("which_tone", None),
        ("quality", 5),
    ]


def test_an_answer_is_checked_while_it_is_typed(open_page, admin, project):
    task = project.tasks.first()
    page = open_page(reverse("project-task", args=[project.slug, task.pk]), admin)
    page.click("text=Say what is known")
    page.fill("[name=constraints]", "A > D, B >")
    page.wait_for_selector("#constraints-look .error")
    page.fill("[name=explanation]", "D makes it up.")
    page.click("text=Keep this answer")
    page.wait_for_selector("#problems >> text=it ends here")
    expect(page.locator("[name=explanation]")).to_have_value("D makes it up.")  # what was typed is still there
    page.fill("[name=constraints]", "A > D, B >= C")
    page.wait_for_selector("#constraints-look >> text=B may not lose to C")
    page.select_option("[name=kind]", "practice")
    page.click("text=Keep this answer")
    page.wait_for_selector("text=The answer is kept.")
    page.click("text=Change it")
    page.click("text=Make it an ordinary task")
    page.click("#confirm [value=yes]")
    page.wait_for_selector("text=The task is an ordinary one again")
    actions.set_gold(actor=admin, task=task, kind="gold", constraints="A > D", explanation="D makes it up.")
    page.goto(reverse("project-known", args=[project.slug]))
    expect(page.locator("main")).to_contain_text("D makes it up.")
    page.click("text=Unmark")
    page.click("#confirm [value=yes]")
    page.wait_for_selector("text=No known answer yet")


def test_many_tasks_are_changed_at_once_with_the_filters_kept(open_page, admin, project):
    actions.create_batch(actor=admin, project=project, name="Round 1")
    page = open_page(reverse("project-tasks", args=[project.slug]), admin)
    page.locator("#list").evaluate("list => list.setAttribute('data-old', '')")
    page.fill("input[type=search]", "Prompt")
    page.locator("#list:not([data-old])").wait_for()
    page.click("text=Change several tasks")
    page.click("text=Set priority")
    page.wait_for_selector("#problems >> text=Choose at least one task.")
    page.check("[data-tick-all]")
    expect(page.locator("[data-ticked]")).to_have_text("3")
    page.uncheck("#list tbody tr:last-child [name=tasks]")
    expect(page.locator("[data-tick-all]")).to_be_checked(indeterminate=True)
    page.select_option("#change [name=batch]", label="Round 1")
    page.click("text=Put in batch")
    page.wait_for_selector("text=2 tasks are in the batch “Round 1” now.")
    expect(page).to_have_url(re.compile("q=Prompt"))
    page.click("text=Change several tasks")
    page.check("[name=which][value=all]")
    page.fill("#change [name=priority]", "4")
    page.click("text=Set priority")
    page.wait_for_selector("text=3 tasks have priority 4 now.")
    assert set(project.tasks.values_list("priority", flat=True)) == {4}


@pytest.mark.slow
def test_every_page_of_setting_up_fits_a_phone(open_page, admin, project):
    actions.change_project(actor=admin, project=project, overlap=2, overlap_max=4, daily_goal=30)
    actions.create_batch(actor=admin, project=project, name="Round 1")
    actions.set_gold(actor=admin, task=project.tasks.first(), kind="practice", constraints="A > B, C >= D")
    page = open_page("/", admin, **PHONE)
    names = ["settings", "questions", "copy", "tasks", "batches", "known", "order"]
    addresses = [reverse(f"project-{name}", args=[project.slug]) for name in names]
    for address in [*addresses, reverse("project-task", args=[project.slug, project.tasks.first().pk])]:
        page.goto(address)
        page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, address
