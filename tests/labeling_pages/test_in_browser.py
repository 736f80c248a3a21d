"""The pages in a real browser: what changes while one looks, and that every page fits a phone."""

import re

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from jobs.worker import run_all_waiting
from labeling import actions
from labeling.models import Dataset, Project
from tests import factories
from tests.conftest import PHONE

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def ranked(admin) -> Project:
    project, annotator = factories.project(actor=admin, tasks=3), factories.user()
    for notation in ["A > B > C > D", "A > B = C > D"]:
        factories.submit(annotator, factories.claim(annotator, project), notation)
    return project


def test_from_a_new_project_to_imported_tasks(open_page, admin):
    page = open_page("/projects/", admin)
    page.click("text=Create project")
    page.fill("[name=name]", "Rain")
    page.click("button:has-text('Create project')")
    page.click(".btn:has-text('Import prompts')")
    page.fill("[name=text]", '{"prompt": "What is rain?", "completions": ["Water.", "Wet."]}\nnonsense')
    page.click("text=Look at it")
    expect(page.locator("main")).to_contain_text("Line 2: this is no JSON")
    page.click("text=Import 1 good row")
    page.wait_for_selector(".job progress")
    run_all_waiting()
    page.wait_for_selector("text=1 task is new.")  # the page follows the job by itself
    page.click("text=Open the result")
    expect(page.locator(".steps [aria-current]")).to_have_text("Invite people")


def test_the_list_follows_what_is_typed_and_so_does_the_address(open_page, admin, ranked):
    page = open_page(reverse("project-tasks", args=[ranked.slug]), admin)
    rows = page.locator("#list tbody tr")
    page.fill("input[type=search]", "to 2")
    expect(rows).to_have_count(1)
    expect(page).to_have_url(re.compile(r"q=to(\+|%20)2"))
    page.reload()
    expect(page.locator("input[type=search]")).to_have_value("to 2")
    expect(rows).to_have_count(1)
    page.select_option("[name=state]", "complete")
    page.wait_for_selector("text=No task fits")
    page.go_back()
    expect(rows).to_have_count(1)


def test_the_look_at_a_file_follows_how_it_is_read(open_page, admin, tmp_path):
    corpus = tmp_path / "stories.txt"
    corpus.write_text("One.\nStill one.\n\nTwo.\n")
    page = open_page("/data/new/", admin)
    page.set_input_files("[name=file]", corpus)
    page.click("text=Look at it")
    page.wait_for_selector("button:has-text('Store 2 rows')")
    page.select_option("[name=separator]", "line")
    page.wait_for_selector("button:has-text('Store 3 rows')")
    expect(page).to_have_url(re.compile("separator=line"))
    assert "csrf" not in page.url
    page.select_option("[name=separator]", "other")
    page.wait_for_selector("[name=separator_text]")
    page.fill("[name=separator_text]", "Still")
    page.press("[name=separator_text]", "Tab")
    page.wait_for_selector("button:has-text('Store 2 rows')")
    page.click("button:has-text('Store 2 rows')")
    page.wait_for_selector("text=The data set is stored.")
    assert Dataset.objects.get().rows == 2


def test_freezing_and_exporting(open_page, admin, ranked):
    page = open_page(reverse("project-freeze", args=[ranked.slug]), admin)
    page.click("button:has-text('Freeze snapshot')")
    page.wait_for_selector("text=it never changes")
    page.click("text=Export")
    page.wait_for_selector("text=Download 2 rows")
    page.click("text=Preference pairs")
    page.wait_for_selector("text=Download 11 rows")  # 6 pairs and 5; the tie is left out
    page.click("text=Two rows, one each way")
    page.wait_for_selector("text=Download 13 rows")
    expect(page).to_have_url(re.compile("ties=both"))
    with page.expect_download() as download:
        page.click("text=Download 13 rows")
    assert len(download.value.path().read_text().splitlines()) == 13


def test_a_danger_is_confirmed_first(open_page, admin, ranked):
    page = open_page(reverse("project-settings", args=[ranked.slug]), admin)
    page.click("text=Archive project")
    page.click("#confirm [value=no]")
    expect(page.locator("#confirm")).to_be_hidden()
    ranked.refresh_from_db()
    assert ranked.state == "open"
    page.click("text=Archive project")
    page.click("#confirm [value=yes]")
    page.wait_for_selector("text=This project is archived")


@pytest.mark.slow
def test_every_page_fits_a_phone(open_page, admin, ranked):
    snapshot, _new = actions.freeze_snapshot(actor=admin, project=ranked)
    of_project = [
        "project",
        "project-tasks",
        "project-settings",
        "project-questions",
        "project-members",
        "project-import",
        "project-sample",
        "project-freeze",
    ]
    addresses = ["/projects/", "/projects/new/", "/data/", "/data/new/", snapshot.get_absolute_url()]
    addresses += [reverse(name, args=[ranked.slug]) for name in of_project]
    addresses += [reverse("project-task", args=[ranked.slug, ranked.tasks.first().pk])]
    addresses += [reverse("dataset-export", args=[snapshot.pk]) + "?what=pairs"]
    page = open_page("/", admin, **PHONE)
    for address in addresses:
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, address
