"""The registry in a real browser: import by upload, the job that polls itself, text that streams in, the stop button."""

import re

import pytest
from playwright.sync_api import expect

from jobs.worker import run_all_waiting
from models_registry import actions
from tests.processes import LONGEST

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def page(open_page, admin):
    page = open_page("/models/", admin)
    page.set_default_timeout(LONGEST * 1000)  # a model is loaded meanwhile
    return page


def test_a_model_is_uploaded_imported_and_shown(page, tiny_model):
    page.get_by_role("link", name="Import a model").first.click()
    page.get_by_label("Name").fill("tiny")
    page.get_by_label("Files from your computer").set_input_files(sorted(tiny_model.iterdir()))
    page.get_by_role("button", name="Import").click()
    page.get_by_text("waiting").wait_for()
    run_all_waiting()
    page.get_by_role("link", name="Open the result").click()
    page.get_by_role("heading", name="tiny:v1", level=1).wait_for()
    page.get_by_role("button", name="Verify hashes").click()
    page.locator("#verify").get_by_text("waiting").wait_for()
    run_all_waiting()
    page.get_by_text("byte for byte what was registered").wait_for()
    page.get_by_role("button", name="Put into production").click()
    page.get_by_role("dialog").get_by_role("button", name="Put into production").click()
    page.get_by_text("tiny:v1 is now: production.").wait_for()


def test_a_refused_import_says_why_and_keeps_the_form(page, tiny_model):
    page.goto("/models/import/")
    page.get_by_label("Name").fill("tiny")
    page.get_by_label("Files from your computer").set_input_files([tiny_model / "config.json"])
    page.get_by_role("button", name="Import").click()
    page.get_by_text("There are no weights in it").wait_for()
    expect(page.get_by_label("Name")).to_have_value("tiny")


def written(page, sample: int = 0) -> str:
    return page.locator(f"#sample-{sample} .written").text_content()


def test_text_is_streamed_into_the_try_page(page, server, tiny):
    page.goto("/models/tiny/v1/try/")
    page.get_by_label("Prompt").fill("Hello")
    page.get_by_label("Seed").fill("5")
    page.get_by_label("Samples").fill("2")
    page.get_by_label("Most tokens").fill("60")
    page.get_by_role("button", name="Write").click()
    page.locator("#sample-1:not([data-writing])").wait_for()
    texts = [written(page, sample) for sample in (0, 1)]
    assert texts[0] != texts[1]
    expect(page.locator("#sample-0 .how")).to_contain_text("seed 5")
    page.locator("#sample-1").evaluate("sample => sample.setAttribute('data-old', '')")
    page.get_by_label("Prompt").press("Control+Enter")
    page.locator("#sample-1:not([data-old], [data-writing])").wait_for()
    assert [written(page, sample) for sample in (0, 1)] == texts


def test_the_stop_button_stops_and_keeps_what_was_written(page, server, endless):
    page.goto("/models/endless/v1/try/")
    page.get_by_label("Prompt").fill("Hello")
    page.get_by_label("Most tokens").fill("4096")
    page.get_by_label("Samples").fill("8")  # enough to write until the button is found, also where the machine is busy
    page.get_by_role("button", name="Write").click()
    page.wait_for_function("document.querySelector('#sample-0 .written')?.textContent.length > 20")
    page.get_by_role("button", name="Stop").click()
    page.get_by_text("stopped").first.wait_for()
    kept = written(page)
    assert len(kept) > 20
    page.wait_for_timeout(300)
    assert written(page) == kept
    expect(page.get_by_role("button", name="Write")).to_be_visible()


def test_without_a_model_server_the_page_says_so(page, tiny, settings):
    settings.MODELS_PORT = 9
    page.goto("/models/tiny/v1/try/")
    page.get_by_text("The model server is not running, so nothing can be written").wait_for()
    page.get_by_label("Prompt").fill("Hello")
    page.get_by_role("button", name="Write").click()
    page.locator("#problems").get_by_text(re.compile("The model server is not running")).wait_for()
    expect(page.get_by_label("Prompt")).to_have_value("Hello")


def test_the_connection_is_tested_from_the_form_and_keeps_what_was_typed(page):
    page.goto("/models/remote/")
    page.get_by_label("Name here").fill("far")
    page.get_by_label("Address").fill("http://127.0.0.1:9/v1")
    page.get_by_label("What the server calls the model").fill("m")
    page.get_by_role("button", name="Test the connection").click()
    page.locator("#tested").get_by_text("cannot be reached").wait_for()
    page.get_by_role("button", name="Register").click()
    page.get_by_role("heading", name="far:v1", level=1).wait_for()


def test_a_version_is_deleted_by_its_name(page, tiny):
    page.goto("/models/tiny/v1/")
    page.get_by_text("More", exact=True).click()
    page.get_by_role("link", name="Delete").click()
    page.get_by_label("Type tiny:v1 to confirm").fill("tiny:v1")
    page.get_by_role("button", name="Delete").click()
    page.get_by_text("tiny:v1 is deleted.").wait_for()


@pytest.mark.parametrize("width", [375, 1280])
def test_pages_fit_the_screen(page, tiny, tiny_tuned, width):
    page.set_viewport_size({"width": width, "height": 800})
    actions.register_remote(
        actor=None, name="far", base_url="https://models.example.org/a/rather/long/path/v1", model="m" * 60
    )
    for address in (
        "/models/",
        "/models/tiny-tuned/v1/",
        "/models/far/v1/",
        "/models/import/",
        "/models/hub/",
        "/models/remote/",
        "/models/disk/",
        "/models/tiny/v1/try/",
        "/models/tiny/v1/delete/",
        "/models/tiny-tuned/v1/merge/",
        "/models/compare/?v=tiny:v1&v=tiny-tuned:v1&v=far:v1",
        "/models/playground/?v=tiny:v1&v=tiny-tuned:v1&v=far:v1",
    ):
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, address
