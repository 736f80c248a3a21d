"""The runs' pages as the server writes them: table, form, a run's page, its live parts, its files; each role sees its own."""

import json
import os
import re
import time

import pytest
from django.urls import reverse
from django.utils import translation

from charts import renderer
from people.models import Role
from tests import factories
from training import charts
from training.models import Run

from . import make
from .make import write_events

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}
HOUR = 3600  # so much later, a sign of life is still new


@pytest.fixture(autouse=True)
def no_supervisor(settings, tmp_path):
    """Nor what that of another test left."""
    settings.RUNS = tmp_path / "runs"
    settings.RUNS.mkdir()


@pytest.fixture
def admin(client):
    person = factories.admin()
    client.force_login(person)
    return person


@pytest.fixture
def running(admin):
    run = make.run(actor=admin, name="Learning to speak")
    Run.objects.filter(pk=run.pk).update(state=Run.State.RUNNING)
    run.refresh_from_db()
    write_events(
        run.folder,
        *({"step": step, "loss": 4 / step, "progress": step / 10, "eta_s": 300.0} for step in range(1, 5)),
        {"step": 4, "heldout_loss": 1.5},
        {"kind": "note", "level": "warning", "message": {"id": "l", "text": "Grown %(n)d %%", "params": {"n": 40}}},
        {"kind": "sample", "step": 0, "slot": 0, "prompt": "Once", "text": "<b>upon</b>"},
        {"kind": "sample", "step": 4, "slot": 0, "prompt": "Once", "text": "a time"},
    )
    status = {
        "heartbeat": time.time() + HOUR,
        "peak_memory": 2**30,
        "total_parameters": 1000,
        "trained_parameters": 10,
    }
    (run.folder / "status.json").write_text(json.dumps(status))
    return run


def text(answer) -> str:
    return " ".join(answer.content.decode().split())


def test_the_empty_page_says_what_to_do(client, admin):
    page = text(client.get("/runs/"))
    assert "Nothing has been trained yet" in page
    assert reverse("run-new") in page


def test_the_table_shows_progress_and_polls_only_while_something_is_active(client, running):
    page = text(client.get("/runs/"))
    assert "Learning to speak" in page
    assert 'hx-trigger="every 3s"' in page
    Run.objects.update(state=Run.State.COMPLETE)
    assert 'hx-trigger="every 3s"' not in text(client.get("/runs/"))
    fragment = text(client.get("/runs/", headers=HTMX))
    assert "<html" not in fragment
    assert "Learning to speak" in fragment


def test_search_and_filters_narrow_the_table(client, running):
    make.run(actor=running.created_by, name="Another")
    assert "Another" not in text(client.get("/runs/", {"q": "speak"}))
    assert "Another" not in text(client.get("/runs/", {"state": "running"}))
    assert "No such run" in text(client.get("/runs/", {"method": "ppo"}))


def test_a_runs_page_shows_what_is_known(client, running):
    page = text(client.get(running.get_absolute_url()))
    assert "Learning to speak" in page
    assert "40 %" in page  # progress
    assert "5 min left" in page
    assert "Grown 40 %" in page
    assert "&lt;b&gt;upon&lt;/b&gt;" in page
    assert "a time" in page
    assert "10 of 1,000 (1 %)" in page
    assert "1.00 GiB" in page
    assert "held out <b>1.5</b>" in page
    assert "manage.py train pretrain" in page
    assert reverse("run-stop", args=[running.pk]) in page
    assert page.count("<svg") == 3  # the brand, the bell, and the one chart


def test_a_poll_brings_only_what_is_new(client, running, monkeypatch):
    monkeypatch.setattr("training.page.DRAW_EVERY", HOUR)
    page = text(client.get(running.get_absolute_url()))
    address = re.search(r'hx-get="([^"]*seen=[^"]*)"', page)[1].replace("&amp;", "&")
    assert client.get(address, headers=HTMX).status_code == 204

    write_events(running.folder, {"step": 5, "loss": 0.123, "progress": 0.5, "eta_s": 60.0})
    fragment = text(client.get(address, headers=HTMX))
    assert "0.123" in fragment
    assert "50 %" in fragment
    assert "<svg" not in fragment  # the pictures are some seconds old, which is new enough
    assert 'id="run-samples"' not in fragment
    assert "<details" not in fragment  # folds that a person opened stay open

    monkeypatch.setattr("training.page.DRAW_EVERY", 0)
    assert 'id="plot-loss" hx-swap-oob="innerHTML"' in text(client.get(address, headers=HTMX))

    write_events(running.folder, {"step": 6, "entropy": 2.0})
    fragment = text(client.get(address, headers=HTMX))
    assert fragment.count('hx-swap-oob="beforeend:#curves"') == 1  # the new chart joins the others
    assert 'id="table-entropy"' in fragment
    assert 'id="table-loss"' not in fragment

    Run.objects.update(state=Run.State.FAILED)
    assert client.get(address, headers=HTMX)["HX-Refresh"] == "true"


def test_a_silent_run_and_a_missing_supervisor_are_said(client, running, settings):
    lock = settings.RUNS / "supervisor.lock"
    lock.touch()
    os.utime(lock, (time.time() + HOUR, time.time() + HOUR))
    page = text(client.get(running.get_absolute_url()))
    assert "supervisor, which" not in page
    assert "sign of life" not in page
    (running.folder / "status.json").write_text(json.dumps({"heartbeat": time.time() - 120}))
    os.utime(lock, (1, 1))
    page = text(client.get(running.get_absolute_url()))
    assert "supervisor, which" in page
    assert "no sign of life" in page


def test_a_failure_is_told_with_what_to_do(client, running):
    Run.objects.update(state=Run.State.FAILED, errors=[{"id": "m", "text": "Memory ran out.", "params": {}}])
    (running.folder / "status.json").write_text(json.dumps({"error": {"cause": {}, "detail": "Traceback: deep"}}))
    page = text(client.get(running.get_absolute_url()))
    assert "Memory ran out." in page
    assert "Traceback: deep" in page
    assert reverse("run-resume", args=[running.pk]) in page


def test_the_buttons_do_what_they_say(client, running):
    client.post(reverse("run-stop", args=[running.pk]))
    running.refresh_from_db()
    assert running.state == Run.State.STOPPING
    Run.objects.update(state=Run.State.STOPPED)
    client.post(reverse("run-resume", args=[running.pk]))
    running.refresh_from_db()
    assert running.state == Run.State.QUEUED
    refused = client.post(reverse("run-register", args=[running.pk]))
    assert refused.status_code == 409
    assert "Only a complete run" in text(refused)


def test_a_researcher_watches_but_does_not_steer(client, running):
    client.force_login(factories.user(Role.RESEARCHER))
    page = text(client.get(running.get_absolute_url()))
    assert reverse("run-stop", args=[running.pk]) not in page
    assert client.post(reverse("run-stop", args=[running.pk])).status_code == 403
    assert client.get("/runs/new/").status_code == 403


def test_files_can_be_had_and_nothing_outside_the_run(client, running):
    answer = client.get(reverse("run-file", args=[running.pk, "events.jsonl"]))
    assert b"".join(answer.streaming_content) == (running.folder / "events.jsonl").read_bytes()
    for path in ("../../secret_key", "/etc/passwd", "nothing", "..%2f..%2fsecret_key"):
        assert client.get(f"{running.get_absolute_url()}files/{path}").status_code == 404


# The form ---------------------------------------------------------------------------------------------------------------


def test_the_form_offers_only_what_fits(client, admin):
    make.dataset(name="A corpus")
    make.dataset("prompts", [], name="Some prompts")
    page = text(client.get("/runs/new/", {"method": "pretrain"}))
    assert "A corpus" in page
    assert "Some prompts" not in page


def test_an_input_is_searched_on_the_server(client, admin):
    for number in range(35):
        make.dataset(name=f"Corpus {number}", rows=[])
    wanted = make.dataset(name="The needle", rows=[])
    for number in range(40, 75):
        make.dataset(name=f"Corpus {number}", rows=[])
    page = text(client.get("/runs/new/", {"method": "pretrain"}))
    assert "The needle" not in page
    assert "more fit; search for them" in page
    found = text(client.get("/runs/new/", {"method": "pretrain", "find.dataset": "needle"}))
    assert "The needle" in found
    assert f'value="{wanted.pk}"' in found


def test_the_address_prefills_the_form(client, admin):
    data = make.dataset()
    page = text(
        client.get(
            "/runs/new/",
            {"method": "pretrain", "inputs.dataset": data.pk, "config.lr": "0.5", "config.tune.kind": "lora"},
        )
    )
    assert f'name="inputs.dataset" value="{data.pk}" checked' in page
    assert 'name="config.lr" value="0.5"' in page
    assert 'name="config.tune.rank"' in page


def test_a_run_is_started_from_the_form(client, admin):
    data = make.dataset()
    answer = client.post(
        "/runs/new/",
        {"method": "pretrain", "inputs.dataset": data.pk, "config.lr": "2e-3", "config.max_steps": "", "seed": "5"},
    )
    run = Run.objects.get()
    assert answer["Location"] == run.get_absolute_url()
    assert (run.config["lr"], run.config["max_steps"], run.seed) == (0.002, None, 5)
    assert run.inputs.get().dataset == data


def test_every_mistake_stands_beside_its_field_and_nothing_typed_is_lost(client, admin):
    answer = client.post(
        "/runs/new/",
        {
            "method": "pretrain",
            "config.lr": "7",
            "config.batch_size": "many",
            "config.tune.kind": "lora",
            "config.tune.rank": "0",
            "config.bogus": "1",
            "seed": "x",
            "name": "Kept",
        },
    )
    page = text(answer)
    assert answer.status_code == 400
    for sentence in (
        "“Learning rate” must be at most 1",
        "“Batch size” must be a whole number",
        "“Rank r” must be at least 1",
        "There is no setting “bogus”",
        "“Text corpus” is missing",
        "The seed must be a whole number",
    ):
        assert page.count(sentence) == 1, sentence
    assert 'value="many"' in page
    assert 'value="Kept"' in page
    assert not Run.objects.exists()


def test_methods_are_offered_in_the_order_of_the_climb(client, admin):
    page = text(client.get("/runs/new/"))
    places = [page.index(f"?method={name}") for name in ("pretrain", "finetune", "reward", "ppo")]
    assert places == sorted(places)


# The charts -------------------------------------------------------------------------------------------------------------


def test_charts_follow_the_theme_and_hold_no_script():
    plot = charts.Plot((((0, 1.0), (10, 2.5)), ((0, 2.0), (10, 3.0))), 10)
    (svg,) = charts.draw([plot])
    assert "<script" not in svg
    assert "javascript:" not in svg
    assert not re.search(r"\son\w+=", svg)
    assert "var(--accent)" in svg
    assert "var(--warn)" in svg
    assert "var(--line)" in svg
    assert not re.search(r"#[0-9a-fA-F]{3,8}\b", svg), "a colour of its own does not follow the theme"


def test_a_curve_that_never_moves_stands_at_its_height():
    (svg,) = charts.draw([charts.Plot((tuple((step, 0.2) for step in range(9)),), 8)])
    assert {"0.10", "0.20", "0.30"} <= set(re.findall(r"<text[^>]*>([^<]+)</text>", svg))


def test_charts_are_drawn_once_and_in_the_figures_of_the_language():
    plot = charts.Plot((tuple((step, step / 8) for step in range(9)),), 8)
    with translation.override("en"):
        first, again = charts.draw([plot, plot])
        assert first is again is charts.draw([plot])[0]
        assert "0.5" in first
    with translation.override("id"):
        assert "0,5" in charts.draw([plot])[0]


@pytest.mark.slow
def test_a_renderer_that_died_is_replaced(client, running):
    charts.draw([charts.Plot((((0, 1.0), (1, 5.0)),), 1)])
    renderer._process.kill()
    renderer._process.wait()
    assert "<svg" in charts.draw([charts.Plot((((0, 1.0), (1, 6.0)),), 1)])[0]


def test_a_machine_that_cannot_draw_shows_the_values_all_the_same(client, running, monkeypatch):
    monkeypatch.setattr(renderer.sys, "executable", "/bin/false")
    if renderer._process:
        renderer._process.kill()
        renderer._process.wait()
    write_events(running.folder, {"step": 5, "loss": 0.777})
    page = text(client.get(running.get_absolute_url()))
    assert "0.777" in page
    assert page.count("<svg") == 2  # the brand, the bell


def test_a_long_curve_is_thinned_for_drawing_without_losing_its_end():
    line = tuple((float(step), float(step)) for step in range(1000))
    drawn = charts.thinned(line)
    assert len(drawn) <= charts.DRAWN_POINTS
    assert drawn[-1][0] == 999
    assert charts.thinned(line[:7]) == list(line[:7])


def test_a_chart_can_be_taken_along(client, running):
    spec = client.get(reverse("run-curve", args=[running.pk, "loss"])).json()
    assert spec["$schema"].endswith("vega-lite/v5.json")
    assert {"step": 4, "value": 1.5, "line": 1} in spec["data"]["values"]
    assert not set(charts.SENTINELS) & set(re.findall(r"#\w{6}", json.dumps(spec)))
    assert client.get(reverse("run-curve", args=[running.pk, "bogus"])).status_code == 404


@pytest.mark.slow
def test_the_machinery_is_folded_away(client, running):
    write_events(running.folder, {"step": 5, "lr": 0.1, "kl": 0.2})
    page = text(client.get(running.get_absolute_url()))
    shown, folded = page.split('id="curves-folded"')
    assert 'id="plot-kl"' in shown
    assert 'id="plot-lr"' in folded


def test_a_run_of_a_method_that_is_no_more_still_has_its_page(client, running):
    Run.objects.update(method="bygone", state=Run.State.COMPLETE)
    page = text(client.get(running.get_absolute_url()))
    assert "bygone" in page
    assert "Grown 40 %" in page
    assert "Learning to speak" in text(client.get("/runs/"))
