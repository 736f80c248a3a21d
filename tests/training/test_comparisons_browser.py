"""Comparing methods in a real browser: the menu follows the choices, all starts with one button, the table sorts and keeps its address."""

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from tests import factories
from training.comparisons.models import Comparison
from training.models import Run

from . import make
from .test_actions import version
from .test_comparisons import comparison, complete, labelled, started, trial

pytestmark = pytest.mark.browser


def test_methods_are_chosen_started_and_their_table_is_sorted(open_page, db):
    version("stories")
    labelled("Moods")
    page = open_page("/baselines/", factories.admin())
    page.get_by_role("link", name="Compare methods").click()
    page.get_by_text("Classification", exact=True).click()
    page.get_by_role("combobox", name="Data").select_option(label="Moods · labelled texts · 40 of 80 rows held out")
    page.get_by_role("combobox", name="Base").select_option(label="stories:v1")
    page.get_by_role("checkbox", name="(IA)³ adapter").check()
    for other in ("Prompting, 8 examples", "Soft prompt", "LoRA adapter Low-rank"):
        page.get_by_role("checkbox", name=other).uncheck()
    page.get_by_label("Or updates").fill("5")
    page.get_by_role("button", name="Start all").click()
    page.get_by_text("All runs are queued").wait_for()

    made = Comparison.objects.get()
    assert set(map(str, made.entries.all())) == {"(IA)³ adapter", "Output layer", "All weights"}
    places = {str(entry): entry.position for entry in made.entries.all()}
    complete(
        made,
        {places["(IA)³ adapter"]: {0, 1, 4, 5}, places["Output layer"]: set(range(80)), places["All weights"]: {0}},
    )
    page.locator(".scatter svg").wait_for()  # the table filled by itself
    page.get_by_role("link", name="Accuracy", exact=True).click()
    page.wait_for_url("**sort=quality**")
    labels = page.locator("tbody th[scope=row] > a")
    expect(labels).to_have_text(["Output layer", "(IA)³ adapter", "All weights"])
    page.get_by_label("Difference to").select_option(label="Output layer")
    page.wait_for_url("**to=2**")
    expect(page.get_by_text("+97.5")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_warnings_are_unfolded_by_keyboard_and_stay_so_while_the_table_fills(open_page, db):
    made = started()
    run = trial(made).run
    Run.objects.filter(pk=run.pk).update(state=Run.State.RUNNING, progress=0.4)
    warning = {"id": "w", "text": "Some examples did not fit.", "params": {}}
    make.write_events(run.folder, {"kind": "note", "level": "warning", "message": warning})
    page = open_page(made.get_absolute_url(), made.created_by)
    summary = page.locator("summary", has_text="1 warning")
    summary.focus()
    page.keyboard.press("Enter")
    page.get_by_text("Some examples did not fit.").wait_for()
    Run.objects.filter(pk=run.pk).update(progress=0.8)
    page.get_by_text("80 %").wait_for()
    expect(page.get_by_text("Some examples did not fit.")).to_be_visible()
    expect(summary).to_be_focused()


def test_what_a_choice_rules_out_is_hidden_in_the_form_of_a_method_too(open_page, db):
    made = comparison(["prompting-zero"])
    [entry] = made.entries.all()
    page = open_page(reverse("comparison-entry", args=[made.pk, entry.position]), made.created_by)
    page.get_by_label("Label 1").fill("good")  # rows are a table here as well
    expect(page.locator("#id_config_labels")).to_have_value('{"good":""}')
