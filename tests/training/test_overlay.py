"""Several runs over one another: one chart a curve, one colour a run, what differs, figures side by side."""

import json
import re

import pytest

from tests import factories
from training import charts
from training.models import Run
from training.overlay import Overlay, smoothed

from . import make

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin(client):
    person = factories.admin()
    client.force_login(person)
    return person


def run_with(admin, name: str, *, pace: float = 1.0, figures: dict | None = None, **config) -> Run:
    """A run of nine steps, `pace` seconds each, that was stopped for an hour after the fifth."""
    run = make.run(actor=admin, name=name, config=make.NANO | config, inputs={"dataset": run_with.data})
    steps = [
        {"t": 1000 + step * pace + (3600 if step > 5 else 0), "step": step, "loss": 5.0 / step}
        for step in range(1, 10)
    ]
    steps.insert(5, {"t": 1000 + 5 * pace + 3600, "kind": "attempt", "attempt": 2, "step": 5})
    make.write_events(run.folder, {"t": 1000, "kind": "attempt", "attempt": 1, "step": 0}, *steps)
    if figures:
        (run.folder / "output").mkdir()
        (run.folder / "output" / "metrics.json").write_text(json.dumps(figures))
        Run.objects.filter(pk=run.pk).update(state=Run.State.COMPLETE)
        run.refresh_from_db()
    return run


@pytest.fixture(autouse=True)
def one_dataset(db):
    run_with.data = make.dataset(name="Tales")


@pytest.mark.slow
def test_each_run_has_a_line_of_its_colour_and_all_charts_one_scale(admin):
    first, second = run_with(admin, "first"), run_with(admin, "second")
    make.write_events(second.folder, {"t": 5000, "step": 20, "entropy": 2.0})
    loss, entropy = Overlay([first, second]).charts
    assert (loss.name, entropy.name) == ("loss", "entropy")
    assert "var(--run-1)" in loss.svg
    assert "var(--run-2)" in loss.svg
    assert "var(--run-1)" not in entropy.svg  # the first says nothing of it
    assert entropy.last == [None, 2.0]
    assert not re.search(r"#[0-9a-fA-F]{6}", loss.svg)
    assert Overlay([first, second])._end == 20


def test_the_time_between_two_attempts_is_no_work(admin):
    run = run_with(admin, "slow", pace=60.0)
    plot = Overlay([run], axis="time")._plot("loss")
    minutes = [minute for minute, _value in plot.lines[0]]
    assert minutes == pytest.approx([1, 2, 3, 4, 5, 6, 7, 8, 9])
    assert Overlay([run])._plot("loss").lines[0][-1][0] == 9


def test_smoothing_begins_at_the_first_value_and_is_a_weighted_mean():
    values = [4.0, 2.0, 2.0, 10.0]
    assert smoothed(values, 0.0) == values
    weights = [0.5**age for age in range(4)]
    for end in range(1, 5):
        expected = sum(w * v for w, v in zip(weights, reversed(values[:end]), strict=False)) / sum(weights[:end])
        assert smoothed(values, 0.5)[end - 1] == pytest.approx(expected)
    assert smoothed([3.0] * 50, 0.95) == pytest.approx([3.0] * 50)


def test_only_what_differs_is_in_the_table_and_figures_stand_side_by_side(admin):
    slow = run_with(admin, "slow", lr=1e-4, figures={"accuracy": 0.5})
    fast = run_with(admin, "fast", lr=1e-2, figures={"accuracy": 0.7, "accuracy_low": 0.6, "accuracy_high": 0.8})
    going_on = run_with(admin, "going on", lr=1e-2)
    overlay = Overlay([slow, fast, going_on])
    assert [(row.title, row.values) for row in overlay.settings] == [("Learning rate", ["0.0001", "0.01", "0.01"])]
    assert overlay.facts == []
    (figures,) = overlay.figures
    assert figures.title == "Pair accuracy"
    assert [figure and figure.value for figure in figures.values] == [0.5, 0.7, None]
    assert figures.values[1].interval == (0.6, 0.8)


def test_the_link_alone_shows_a_colleague_the_same(client, admin):
    first, second = run_with(admin, "The first"), run_with(admin, "The second", lr=0.5)
    address = f"/runs/compare/?run={second.pk}&run={first.pk}&run=nonsense&run={first.pk}&x=time&smooth=0.8"
    page = " ".join(client.get(address).content.decode().split())
    assert page.index("The second") < page.index("The first")
    assert re.search(r'value="time" checked', page)
    assert '<option value="0.8" selected>' in page
    assert "Learning rate" in page
    assert f'aria-label="Choose {first.name}"' in client.get("/runs/").content.decode()


@pytest.mark.slow
def test_no_more_runs_than_colours_can_be_told_apart(client, admin):
    runs = [run_with(admin, f"Run {number}") for number in range(len(charts.RUN_COLOURS) + 1)]
    page = client.get("/runs/compare/", {"run": [str(run.pk) for run in runs]}).content.decode()
    assert "One run more was chosen" in page
    assert page.count('class="swatch"') == len(charts.RUN_COLOURS)  # nothing differs, so there is no table


def test_without_a_run_the_page_says_how_to_choose(client, admin):
    assert "Tick two or more" in client.get("/runs/compare/").content.decode()


def test_what_moves_is_named_in_words_also_where_a_method_leaves_no_choice(admin):
    first, second = run_with(admin, "first"), run_with(admin, "second")
    for run, method, kind in ((first, "finetune", "lora"), (second, "prompt_tuning", "soft_prompt")):
        run.method, run.config = method, {"tune": {"kind": kind}}
    assert [(row.title, row.values) for row in Overlay([first, second]).settings] == [
        ("What moves", ["LoRA adapter", "Soft prompt"])
    ]
