"""Everybody can use every page: no violation that axe-core finds, light and dark, nothing wider than the narrowest phone, the right language."""

import json
import re
from pathlib import Path

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from django.test import Client

from labeling import actions
from labeling.actions.tasks import Known, NewTask, Place, add_tasks
from labeling.constraints import Constraints
from labeling.questions import PRESETS
from people.models import User
from tests import factories, whole_site
from tests.registry.conftest import tiny_model  # noqa: F401  (a fixture)

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.django_db(transaction=True)]

NARROWEST = {"width": 360, "height": 740}
WIDE = {"width": 1440, "height": 900}
QUICK = {"resultTypes": ["violations"], "preload": False, "iframes": False}
ALL_RULES = {**QUICK, "rules": {"target-size": {"enabled": True}}}
ALL_BUT_CONTRAST = {
    **QUICK,
    "rules": {"target-size": {"enabled": True}, "color-contrast": {"enabled": False}},
}
ONLY_CONTRAST = {**QUICK, "runOnly": ["color-contrast"]}


def violations(page, options: dict) -> list[str]:
    """What axe finds; inside .foreign stands the page of the API, which drf-spectacular brings."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    found = page.evaluate(
        f"axe.run({{exclude: ['.foreign']}}, {json.dumps(options)}).then(results => results.violations)"
    )
    return [
        f"{each['id']}: {node['target'][-1]} {node['html'][:160]} {' '.join(node['failureSummary'].split())[:200]}"
        for each in found
        for node in each["nodes"][:3]
    ]


def resize(page, size: dict[str, int]) -> None:
    """What the page does by itself about its new size is done too."""
    page.set_viewport_size(size)
    page.wait_for_function("width => innerWidth === width", arg=size["width"])
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def look_at(page, what: str, colours: bool = True) -> list[str]:
    """What is wrong with the page as it is now: wide and light, then on the narrowest phone, where it is dark.

    Contrast takes longest, so where the same things were looked at before it is left out.
    """
    resize(page, WIDE)
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    wrong = violations(page, ALL_RULES if colours else ALL_BUT_CONTRAST)
    resize(page, NARROWEST)
    if colours:
        page.emulate_media(color_scheme="dark", reduced_motion="reduce")
        wrong += [f"dark: {each}" for each in violations(page, ONLY_CONTRAST)]
    width = page.evaluate("document.documentElement.scrollWidth")
    if width > NARROWEST["width"]:
        wrong.append(f"{width} px wide on a phone")
    return [f"{what}: {each}" for each in wrong]


@pytest.fixture
def admin() -> User:
    return factories.admin()


@pytest.fixture
def site(admin, tiny_model: Path):  # noqa: F811
    return whole_site.fill(admin, tiny_model)


def test_every_page(open_page, site, admin):
    client = Client()
    client.force_login(admin)
    page = open_page("/", admin)
    wrong = []
    found = whole_site.pages(client, site)
    assert whole_site.never_reached(client, found) == []
    for addresses in found.values():
        for number, address in enumerate(addresses):
            page.goto(address)
            wrong += look_at(page, address, colours=number == 0)
    assert wrong == [], "\n" + "\n".join(wrong)


def test_the_board_in_all_its_states(open_page, admin):
    """With a task and without, each layout, what opens over it, what is said when something is wrong."""
    annotator = factories.user()
    project = factories.project(
        actor=admin, outputs=3, guidelines=whole_site.MARKDOWN, allow_partial=True, acceptability_line=True
    )
    texts = [whole_site.MARKDOWN, "word " * 900, ""]
    add_tasks(project, [NewTask(whole_site.DIALOGUE, [(text, "s") for text in texts])])
    page = open_page(f"/rank/{project.slug}/", annotator)
    page.wait_for_selector(".card[data-focused]")
    wrong = []

    def look(what: str, colours: bool = False) -> None:
        wrong.extend(look_at(page, what, colours=colours))

    for layout in ("equal", "columns", "focus", "rows"):
        page.evaluate("layout => document.querySelector(`button[data-layout=${layout}]`).click()", layout)
        look(f"layout {layout}", colours=layout == "rows")
    for keys, waits_for in {
        "v": "#compare-bar:not([hidden])",
        "/": "#find-bar:not([hidden])",
        "?": "#help[open]",
        "u": "#guidelines[open]",
        "s": "#skip[open]",
        "x": "#flag[open]",
        "k": "#ask[open]",
    }.items():
        page.keyboard.press(keys)
        page.wait_for_selector(waits_for)
        if keys == "/":
            page.keyboard.type("so")
        look(waits_for, colours=keys in "v/s")
        page.keyboard.press("Escape")
        page.wait_for_selector(waits_for, state="hidden")
    page.click("#reading-menu summary")
    look("reading menu", colours=True)
    page.click("#reading-menu summary")
    page.keyboard.press("a")
    page.fill("#notation", "A > Q")
    page.keyboard.press("Enter")
    page.wait_for_selector("#problem p")
    look("a problem", colours=True)
    page.fill("#notation", "A | B = C")
    page.keyboard.press("Enter")
    page.wait_for_selector("#confirm[open]")  # not read to the end
    look("asked whether to submit unread", colours=True)
    page.click("#confirm [value=yes]")
    page.wait_for_selector(".task-none")
    look("all done", colours=True)
    assert wrong == [], "\n" + "\n".join(wrong)


def test_before_anything_is_there_and_for_those_outside(open_page, admin):
    wrong = []
    page = open_page("/sign-in/")
    wrong += look_at(page, "sign in")
    page.goto("/sign-in/?next=/people/")
    page.fill("[name=username]", "nobody")
    page.fill("[name=password]", "wrong")
    page.keyboard.press("Enter")
    page.wait_for_selector(".notice[data-kind=error], .error")
    wrong += look_at(page, "a sign-in refused")
    page = open_page("/", admin)
    for address in ("/", "/projects/", "/models/", "/runs/", "/data/", "/rank/", "/people/", "/no-such-page/"):
        page.goto(address)
        wrong += look_at(page, f"empty {address}", colours=False)
    page = open_page("/", factories.user())
    wrong += look_at(page, "an annotator's first page")
    assert wrong == [], "\n" + "\n".join(wrong)


def test_pages_say_their_language_and_outputs_say_none(admin):
    client = Client()
    client.force_login(admin)
    project = factories.project(actor=admin, tasks=1)
    for language in ("en", "id"):
        client.post("/language/", {"language": language, "next": "/"})
        for address in ("/", "/sign-in/", f"/rank/{project.slug}/", "/projects/", "/api/v1/"):
            page = client.get(address, follow=True).content.decode()
            assert re.search(r"<html[^>]*>", page)[0].count(f'lang="{language}"') == 1, address
    board = client.get(f"/rank/{project.slug}/").content.decode()
    readings = re.findall(r'<div class="reading[^>]*>', board)
    assert len(readings) == 1 + 4  # the prompt and its outputs
    assert all('lang=""' in text for text in readings)


def test_questions_practice_warnings_pauses_and_history(open_page, admin):
    """What the board asks and says beside the tasks, and one's own rankings."""
    asked = [question for preset in PRESETS.values() for question in preset.definition()]
    project = factories.project(
        actor=admin, tasks=2, questions=asked, content_warning=whole_site.MARKDOWN, daily_goal=9
    )
    practice = Place(known=Known("practice", Constraints.parse("A = B, B = C, C = D", items=4), whole_site.MARKDOWN))
    add_tasks(project, [factories.task(9, place=practice)])
    annotator = factories.user()
    page = open_page(f"/rank/{project.slug}/", annotator)
    wrong = look_at(page, "content warning", colours=False)
    page.click("button[value=take]")
    page.wait_for_selector(".card[data-focused]")
    page.evaluate(
        "document.querySelectorAll('details.question-fold, details.note').forEach(each => (each.open = true))"
    )
    for layout in ("columns", "focus", "rows"):
        page.evaluate("layout => document.querySelector(`button[data-layout=${layout}]`).click()", layout)
        wrong += look_at(page, f"questions, {layout}", colours=layout == "rows")
    page.fill("#notation", "A > B = C = D")
    page.press("#notation", "Enter")
    page.wait_for_selector("#problem p")
    wrong += look_at(page, "answers are missing", colours=False)
    for letter in "ABCD":
        page.locator(f"[name='answer.{letter}.quality'][value='3']").check(force=True)
    page.press("#notation", "Enter")
    page.wait_for_selector("#feedback[open]")
    wrong += look_at(page, "feedback")
    page.goto(f"/rank/{project.slug}/history/")
    wrong += look_at(page, "history", colours=False)
    page.click("tbody a")
    page.wait_for_url("**/history/*-*/")
    wrong += look_at(page, "what one said in practice", colours=False)
    real = annotator.assignments.get(state="claimed")
    answers = {"outputs": {letter: {"quality": 3} for letter in "ABCD"}}
    actions.submit_ranking(
        actor=annotator, assignment=real, notation="A > B = C = D", client_key="real", answers=answers
    )
    page.goto(f"/rank/{project.slug}/history/{real.pk}/")
    wrong += look_at(page, "what one said", colours=False)
    page.click("a[href$='revise/']")
    page.wait_for_selector(".card[data-focused]")
    wrong += look_at(page, "a revision", colours=False)
    annotator.assignments.filter(state="claimed").delete()
    annotator.desks.update(paused_because="gold")
    page.goto(f"/rank/{project.slug}/")
    wrong += look_at(page, "a pause", colours=False)
    assert wrong == [], "\n" + "\n".join(wrong)
