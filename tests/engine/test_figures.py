"""Figures, intervals and paired tests, from rows alone: against slow, obvious versions and textbook numbers."""

import random
from itertools import product
from math import exp, log

import numpy as np
import pytest

from training.engine.evaluation import METRICS, TASKS, figures_of, paired
from training.engine.evaluation.paired import mcnemar
from training.engine.intervals import bootstrap

LABELS = ["good", "bad", "so-so"]


def judged(accuracy: float, *, count: int = 200, seed: int = 0) -> list[dict]:
    choose = random.Random(seed)
    rows = []
    for i in range(count):
        label = LABELS[i % 3]
        said = label if choose.random() < accuracy else choose.choice(LABELS)
        rows.append({"row": i, "label": label, "prediction": said, "log_loss": choose.random()})
    return rows


def slow_macro_f1(rows: list[dict]) -> float:
    scores = []
    for label in LABELS:
        hits = sum(row["label"] == label == row["prediction"] for row in rows)
        given = sum(row["prediction"] == label for row in rows)
        there = sum(row["label"] == label for row in rows)
        precision, recall = hits / given if given else 0, hits / there if there else 0
        scores.append(2 * precision * recall / (precision + recall) if hits else 0)
    return sum(scores) / len(scores)


def test_language_is_totals_over_totals_and_not_a_mean_of_means():
    rows = [{"row": 0, "nats": 10.0, "tokens": 4, "bytes": 20}, {"row": 1, "nats": 2.0, "tokens": 8, "bytes": 5}]
    rows.append({"row": 2, "nats": 0.0, "tokens": 0, "bytes": 0})  # could not be judged
    figures = figures_of("language", rows)
    assert figures["loss"]["value"] == pytest.approx(1.0)
    assert figures["perplexity"]["value"] == pytest.approx(exp(1))
    assert figures["bits_per_byte"]["value"] == pytest.approx(12 / log(2) / 25)
    assert figures["loss"]["n"] == 2


def test_accuracy_and_macro_f1_are_those_of_the_slow_version():
    rows = judged(0.6)
    figures = figures_of("classification", rows)
    assert figures["accuracy"]["value"] == sum(row["label"] == row["prediction"] for row in rows) / len(rows)
    assert figures["macro_f1"]["value"] == pytest.approx(slow_macro_f1(rows))
    for figure in figures.values():
        assert figure["low"] < figure["value"] < figure["high"]
        assert figure["n"] == 200


@pytest.mark.slow
def test_the_interval_covers_the_truth_as_often_as_it_says():
    covered = 0
    for seed in range(200):
        rows = judged(0.7, count=100, seed=seed)  # a third of the rest is right by luck
        figure = figures_of("classification", rows, resamples=400)["accuracy"]
        covered += figure["low"] <= 0.8 <= figure["high"]
    assert covered / 200 == pytest.approx(0.95, abs=0.04)


def test_rows_of_one_prompt_hang_together():
    """Ten copies of each row say no more than one."""
    once = [
        {"row": i, "cluster": str(i), "strict_right": i % 2, "strict_pairs": 1, "agree": i % 2, "pairs": 1}
        for i in range(40)
    ]
    often = [row | {"row": 10 * row["row"] + copy} for row in once for copy in range(10)]
    one, many = (figures_of("preference", rows)["pair_accuracy"] for rows in (once, often))
    assert (many["low"], many["high"]) == pytest.approx((one["low"], one["high"]))
    assert (one["n"], many["n"]) == (40, 400)


def test_one_row_alone_has_no_interval():
    figure = figures_of("language", [{"row": 0, "nats": 1.0, "tokens": 1, "bytes": 1}])["loss"]
    assert (figure["low"], figure["high"]) == (None, None)


def test_a_large_data_set_is_resampled_in_parts_with_the_same_result(monkeypatch):
    values = np.random.default_rng(1).normal(size=50)
    whole = bootstrap(lambda drawn: values[drawn].mean(1), 50)
    monkeypatch.setattr("training.engine.intervals.DRAWN_AT_ONCE", 700)
    assert bootstrap(lambda drawn: values[drawn].mean(1), 50) == whole


def test_mcnemar_is_the_exact_binomial_test():
    """Ten rows that only one of them gets right, nine times the same one: 2 · (1 + 10) / 2¹⁰."""
    right = np.array([[1, 0]] * 9 + [[0, 1]] + [[1, 1]] * 30 + [[0, 0]] * 5)
    assert mcnemar(right) == pytest.approx(2 * 11 / 1024)
    assert mcnemar(right[10:]) == 1.0


def test_the_permutation_test_is_that_over_all_swaps():
    """Eight rows have 256 swaps; the random ones agree with all of them."""
    a = [{"row": i, "nats": n, "tokens": 1, "bytes": 1} for i, n in enumerate([1, 2, 3, 4, 5, 6, 7, 8.5])]
    b = [row | {"nats": row["nats"] + d} for row, d in zip(a, [1, 1, -0.5, 1, 0.2, 1, -0.1, 1], strict=True)]
    deltas = [x["nats"] - y["nats"] for x, y in zip(a, b, strict=True)]
    swaps = [abs(sum(s * d for s, d in zip(signs, deltas, strict=True))) for signs in product((1, -1), repeat=8)]
    exact = sum(value >= abs(sum(deltas)) - 1e-9 for value in swaps) / len(swaps)
    found = paired(a, b, resamples=20000)["loss"]
    assert found["difference"] == pytest.approx(sum(deltas) / 8)
    assert found["p"] == pytest.approx(exact, abs=0.01)
    assert found["test"] == "permutation"


def test_versions_that_differ_are_told_apart_and_equal_ones_are_not():
    better, worse, again = judged(0.9), judged(0.5, seed=1), judged(0.9)
    found = paired(better, worse, resamples=500)
    assert found["accuracy"]["difference"] > 0.2
    assert found["accuracy"]["low"] > 0.1
    for name in ("accuracy", "macro_f1"):
        assert found[name]["p"] < 0.01
        assert paired(better, again, resamples=500)[name]["p"] == 1.0
    assert (found["accuracy"]["test"], found["macro_f1"]["test"]) == ("mcnemar", "permutation")
    assert paired(worse, better, resamples=500)["accuracy"]["difference"] == -found["accuracy"]["difference"]


@pytest.mark.slow
def test_false_alarms_are_as_rare_as_the_test_says():
    alarms = 0
    for seed in range(100):
        a, b = judged(0.6, count=60, seed=2 * seed), judged(0.6, count=60, seed=2 * seed + 1)
        alarms += paired(a, b, resamples=200)["macro_f1"]["p"] < 0.05
    assert alarms <= 10


def test_only_the_same_rows_can_be_compared():
    rows = judged(0.6)
    assert paired(rows, rows[::-1])["accuracy"]["difference"] == 0  # in any order
    with pytest.raises(ValueError, match="same rows"):
        paired(rows, rows[:-1])
    with pytest.raises(ValueError, match="row 4"):
        paired(rows, [row | {"label": "good" if row["row"] == 4 else row["label"]} for row in judged(0.6)])


def test_ties_of_pairs_count_half_and_are_no_single_trials():
    a = [{"row": i, "cluster": str(i // 2), "strict_right": 1.5, "strict_pairs": 3} for i in range(10)]
    b = [row | {"strict_right": 3.0} for row in a]
    found = paired(a, b)["pair_accuracy"]
    assert found["difference"] == pytest.approx(-0.5)
    assert (found["test"], found["n"]) == ("permutation", 5)


def test_every_metric_belongs_to_a_task_and_says_which_way_is_better():
    assert {metric.task for metric in METRICS.values()} == set(TASKS)
    assert METRICS["loss"].better == "low"
    assert METRICS["accuracy"].better == METRICS["win_rate"].better == "high"
