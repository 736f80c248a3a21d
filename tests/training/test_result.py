"""What a finished run found: the table of figures, the confusion matrix, what is proved about the weights that did not move."""

import json

import pytest

from tests import factories
from training.models import Run
from training.result import result

from . import make


def test_interval_and_start_stand_beside_their_figure():
    table = result({"win_rate": 0.8, "win_rate_low": 0.7, "win_rate_high": 0.9, "reward": 1.2, "reward_start": 0.1})
    assert [(f.name, f.start, f.value, f.interval) for f in table.figures] == [
        ("win_rate", None, 0.8, (0.7, 0.9)),
        ("reward", 0.1, 1.2, None),
    ]
    assert table.has_start
    assert table.has_interval


def test_figures_it_does_not_know_come_last_under_their_own_name():
    table = result({"my_figure": 3, "accuracy": 0.6, "prompt_shared": True, "by_class": {"good": 0.5}})
    assert [f.name for f in table.figures] == ["accuracy", "prompt_shared", "my_figure", "by_class.good"]
    assert table.figures[0].title == "Pair accuracy"
    assert table.figures[1].value == "yes"
    assert table.figures[2].title == "My figure"
    assert not table.has_start
    assert not table.has_interval


def test_what_came_of_it_stands_before_what_it_cost():
    table = result(
        {"steps": 20, "heldout_texts": 9, "heldout_loss": 1.9, "heldout_macro_f1": 0.4, "tokens_per_s": 7.0}
    )
    names = [f.name for f in table.figures]
    assert set(names[:2]) == {"heldout_loss", "heldout_macro_f1"}
    assert set(names[2:]) == {"heldout_texts", "steps", "tokens_per_s"}


def test_an_evaluations_figures_have_their_interval_and_what_was_counted():
    found = result(
        {
            "task": "classification",
            "figures": {"macro_f1": {"value": 0.5, "low": 0.4, "high": 0.6, "n": 1200}},
            "seconds": 2.5,
        }
    )
    first, *rest = found.figures
    assert (first.title, first.value, first.interval) == ("Macro-F1", 0.5, (0.4, 0.6))
    assert "1,200" in first.hint
    assert [figure.name for figure in rest] == ["seconds"]


def test_in_a_confusion_matrix_each_row_is_shaded_by_its_own_shares():
    found = result(
        {
            "accuracy": 0.5,
            "confusion": {"labels": ["bad", "good", "none"], "matrix": [[9, 1, 0], [5, 5, 0], [0, 0, 0]]},
        }
    )
    assert found.figures[0].title == "Accuracy"  # of texts, not of pairs
    (bad, cells, total), (_good, half, _ten), (_none, empty, zero) = found.confusion.rows
    assert (bad, total, zero) == ("bad", 10, 0)
    assert [(cell.count, cell.heat, cell.is_right) for cell in cells] == [(9, 8, True), (1, 1, False), (0, 0, False)]
    assert [cell.share for cell in half] == [0.5, 0.5, 0.0]
    assert [cell.heat for cell in empty] == [0, 0, 0]


def test_what_did_not_move_is_said_in_a_sentence():
    same = {
        "untouched": {"tensors": 1291, "identical": 1291},
        "base_sha256_before": "a" * 64,
        "base_sha256_after": "a" * 64,
    }
    assert [is_right for is_right, _text in result(same).proofs] == [True, True]
    assert result(same).proofs[0][1] == "1,291 of 1,291 frozen tensors are bit for bit what they were."
    other = {
        "untouched": {"tensors": 3, "identical": 2},
        "base_sha256_before": "a" * 64,
        "base_sha256_after": "b" * 64,
    }
    assert [is_right for is_right, _text in result(other).proofs] == [False, False]
    assert result({"untouched": {"tensors": 0, "identical": 0}}).proofs == []  # all weights move
    assert result(same).figures == []


@pytest.mark.django_db
def test_a_complete_runs_page_shows_matrix_and_proofs(client):
    run = make.run(actor=factories.admin())
    Run.objects.update(state=Run.State.COMPLETE)
    (run.folder / "output").mkdir(parents=True)
    found = {
        "macro_f1": 0.7,
        "confusion": {"labels": ["<good>", "bad"], "matrix": [[7, 3], [1, 9]]},
        "classes": {"<good>": {"precision": 0.875, "recall": 0.7, "f1": 0.778, "texts": 10}},
        "untouched": {"tensors": 9, "identical": 9},
    }
    (run.folder / "output" / "metrics.json").write_text(json.dumps(found))
    client.force_login(run.created_by)
    page = " ".join(client.get(run.get_absolute_url()).content.decode().split())
    assert '<td data-heat="6" data-right>7</td>' in page
    assert '<td data-heat="3">3</td>' in page
    assert "&lt;good&gt;" in page
    assert "0.875" in page
    assert "9 of 9 frozen tensors are bit for bit" in page


def test_what_was_judged_is_said_in_words_and_an_empty_column_of_hints_is_left_out():
    found = result({"split": "heldout", "rows_per_s": 3.5})
    assert [(f.title, f.value) for f in found.figures] == [("Rows per second", 3.5), ("Rows", "held out")]
    assert not found.has_hint
    assert result({"seconds": 2.5}).has_hint


@pytest.mark.slow
@pytest.mark.django_db
def test_what_was_measured_once_is_a_figure_and_no_curve(client):
    admin = factories.admin()
    client.force_login(admin)
    run = make.run(actor=admin, config=make.NANO)
    make.write_events(run.folder, {"step": 9, "loss": 1.9})
    Run.objects.filter(pk=run.pk).update(state=Run.State.RUNNING)
    assert 'id="plot-loss"' in client.get(f"/runs/{run.pk}/").content.decode()
    Run.objects.filter(pk=run.pk).update(state=Run.State.COMPLETE)
    assert 'id="plot-loss"' not in client.get(f"/runs/{run.pk}/").content.decode()
    make.write_events(run.folder, {"step": 10, "loss": 1.8})
    assert 'id="plot-loss"' in client.get(f"/runs/{run.pk}/").content.decode()
