"""The runs in a real browser: a run is started from the form, its curves grow on the page, folds stay open, it is stopped and resumed."""

import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection
from playwright.sync_api import expect

from models_registry.actions import register_version
from tests import factories
from tests.processes import LONGEST
from tests.registry.conftest import tiny_model  # noqa: F401  (a fixture)
from training.models import Run
from training.supervisor import Supervisor

from . import make

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def supervised(live_server) -> Iterator[None]:
    """A supervisor beside the live server, in a thread of its own."""
    over = threading.Event()
    Path(settings.RUNS).mkdir(parents=True, exist_ok=True)
    (Path(settings.RUNS) / "supervisor.lock").touch()
    supervisor = Supervisor(at_a_time=1)

    def work() -> None:
        while not over.wait(0.1):
            supervisor.step()
        for watched in supervisor.watched.values():
            watched.signal_group(signal.SIGKILL)
        connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    yield
    over.set()
    thread.join()


def test_a_run_is_started_watched_stopped_and_resumed(open_page, supervised):
    data = make.dataset(name="Cats and mats")
    page = open_page("/runs/", factories.admin())
    page.set_default_timeout(LONGEST * 1000)  # a run begins meanwhile
    page.get_by_role("link", name="Start the first run").click()
    page.get_by_role("link", name="Pretrain").click()
    page.get_by_label("Cats and mats").check()

    # Choosing another kind brings its fields, and keeps what was typed.
    page.get_by_label("Epochs").fill("9999")
    page.get_by_text("LoRA adapter", exact=True).click()
    page.get_by_label("Rank r").wait_for()
    page.get_by_text("All weights", exact=True).click()
    page.get_by_label("Rank r").wait_for(state="detached")
    expect(page.get_by_label("Epochs")).to_have_value("9999")

    page.get_by_label("Batch size").fill("none")
    page.get_by_role("button", name="Start run").click()
    page.get_by_text("“Batch size” must be a whole number").wait_for()
    page.get_by_label("Batch size").fill("2")
    page.get_by_label("Size", exact=True).select_option("nano")
    page.get_by_label("Name of the run").fill("Watched")
    page.get_by_role("button", name="Start run").click()

    page.get_by_role("heading", name="Watched").wait_for()
    page.locator("#plot-loss svg").wait_for()
    assert page.evaluate("getComputedStyle(document.querySelector('#plot-loss path[stroke^=var]')).stroke").startswith(
        "rgb"
    )

    # The values behind a curve stay open while the page goes on living.
    page.locator("#table-loss summary").click()
    newest = page.locator("#values-loss tbody tr").first.inner_text()
    page.wait_for_function("text => document.querySelector('#values-loss tbody tr').innerText !== text", arg=newest)
    assert page.locator("#table-loss").evaluate("fold => fold.open")
    page.reload()
    page.locator("#plot-loss svg").wait_for()

    page.get_by_role("button", name="Stop").click()
    page.get_by_text("stopped", exact=True).wait_for()
    assert Run.objects.get().state == Run.State.STOPPED
    page.get_by_role("button", name="Resume").click()
    page.get_by_text("running", exact=True).wait_for()
    run = Run.objects.get()
    assert run.attempt == 2
    assert run.inputs.get().dataset == data


def test_a_run_can_be_read_on_a_phone(open_page):
    run = make.run(name="A run with a name that is a good deal longer than a phone is wide")
    make.write_events(run.folder, *({"step": step, "loss": 3 / step, "progress": 0.2} for step in range(1, 40)))
    for path in ("/runs/", run.get_absolute_url(), "/runs/new/", "/runs/new/?method=ppo"):
        page = open_page(path, run.created_by, viewport={"width": 360, "height": 740})
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, path


def test_the_table_keeps_its_place_while_it_looks_again(open_page):
    admin, data = factories.admin(), make.dataset()
    runs = [make.run(actor=admin, name=f"Number {n}", inputs={"dataset": data}) for n in range(3)]
    Run.objects.filter(pk=runs[0].pk).update(state=Run.State.RUNNING)
    page = open_page("/runs/", admin, viewport={"width": 390, "height": 800})
    link = page.locator("#runs-table .table").get_by_role("link", name="Number 1")
    link.focus()
    page.locator("#runs-table .scroll").evaluate("part => (part.scrollLeft = 150)")
    page.locator("#runs-table").evaluate("part => (part.dataset.old = 'yes')")
    page.locator("#runs-table:not([data-old])").wait_for()
    assert page.locator("#runs-table .scroll").evaluate("part => part.scrollLeft") == 150
    expect(link).to_be_focused()


@pytest.mark.parametrize("address", ["/runs/", "/models/"])
def test_a_long_name_leaves_the_other_columns_in_view(open_page, tiny_model, address):  # noqa: F811
    admin = factories.admin()
    make.run(actor=admin, name="a-name-without-any-space_" * 4 + "end", output_name="o" * 80)
    name = "model-called-as-long-as-it-may-be_" * 2 + "end"
    register_version(actor=admin, model_name=name, folder=tiny_model, origin={"method": "finetune"})
    page = open_page(address, admin)
    page.set_viewport_size({"width": 1440, "height": 900})
    page.locator(".table").last.wait_for()
    assert page.evaluate(
        "[...document.querySelectorAll('.scroll')].every((one) => one.scrollWidth <= one.clientWidth)"
    )


def test_rows_are_filled_in_as_a_table_and_what_a_choice_rules_out_is_hidden(open_page):
    page = open_page("/runs/new/?method=prompting", factories.admin())
    page.get_by_label("Label 1").fill("good")
    page.get_by_label("Its words 1").fill("bagus")
    page.locator("#id_config_labels ~ button").click()
    page.get_by_label("Label 2").fill("bad")
    labels = page.locator("#id_config_labels")
    expect(labels).to_have_value('{"good":"bagus","bad":""}')
    page.get_by_role("table", name="Words of the labels").get_by_role("button").first.click()
    expect(labels).to_have_value('{"bad":""}')
    page.get_by_label("Input 1").fill("line one\nline two")
    expect(page.locator("#id_config_examples")).to_have_value('[{"input":"line one\\nline two","output":""}]')
    page.get_by_role("button", name="Start run").click()
    page.get_by_role("alert").wait_for()
    expect(page.get_by_label("Input 1")).to_have_value("line one\nline two")

    page.goto(page.url.split("/runs/")[0] + "/runs/new/?method=prompt_tuning")
    text = page.get_by_label("Text to start from")
    text.wait_for(state="hidden")
    page.get_by_label("Start", exact=True).select_option("text")
    text.wait_for(state="visible")


def test_a_fold_counts_the_settings_that_can_be_seen(open_page):
    page = open_page("/runs/new/?method=reward", factories.admin())
    expect(page.locator("#id_config_loss")).to_have_value("rao_kupper")
    folds = page.locator("details.more", has=page.locator("summary[data-counted]"))

    def told() -> list[int]:
        return [int(text.split()[0]) for text in folds.locator("summary").all_text_contents()]

    def seen() -> list[int]:
        return folds.evaluate_all(
            "folds => folds.map(fold => { fold.open = true; return fold.querySelectorAll(':scope > .settings > :not(input)').values()"
            ".filter(part => part.checkVisibility()).toArray().length })"
        )

    before = seen()
    assert told() == before
    page.locator("#id_config_loss").select_option("plackett_luce")
    expect(page.locator("#id_config_margin")).to_be_hidden()
    assert told() == seen() != before


def test_the_learning_rate_follows_what_moves_until_somebody_writes_one(open_page, tiny_model):  # noqa: F811
    register_version(actor=factories.admin(), model_name="tiny", folder=tiny_model, origin={"method": "import"})
    page = open_page("/runs/new/?method=finetune&config.tune.kind=all", factories.admin())
    rate = page.locator("#id_config_lr")
    expect(rate).to_have_value("0.001")
    page.get_by_text("LoRA adapter", exact=True).click()
    expect(rate).to_have_value("0.0003")
    rate.fill("0.5")
    page.get_by_text("All weights", exact=True).click()
    page.get_by_label("Rank r").wait_for(state="detached")
    with page.expect_response("**/runs/new/**"):
        page.get_by_label("Epochs").fill("2")
        page.get_by_label("Epochs").blur()
    expect(rate).to_have_value("0.5")
