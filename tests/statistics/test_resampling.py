"""Intervals: as wide as theory says, whatever the number of tasks."""

from math import sqrt

import numpy as np
import pytest

from labeling.statistics.messages import Message
from labeling.statistics.resampling import ratio, student

NONE = Message("none", "none")


@pytest.mark.parametrize(("degrees", "point"), [(4, 2.7764), (5, 2.5706), (10, 2.2281), (30, 2.0423), (999, 1.9623)])
def test_students_point_is_that_of_the_tables(degrees, point):
    assert student(degrees) == pytest.approx(point, abs=1e-3)


@pytest.mark.parametrize("tasks", [8, 60, 900, 3000, 20_000])
def test_the_interval_of_a_mean_is_as_wide_as_students(tasks):
    """Also where tasks are drawn in blocks (more than 1,000)."""
    values = np.random.default_rng(tasks).normal(3, 1, tasks)
    found = ratio(values, np.ones(tasks), seed=0, n=tasks, why=NONE)
    half = student(tasks - 1) * values.std(ddof=1) / sqrt(tasks)
    assert found.value == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx((found.value - half, found.value + half), abs=0.25 * half)


def test_it_covers_the_truth_about_as_often_as_it_says():
    draws = np.random.default_rng(0)
    hits = 0
    for _round in range(200):
        values, counts = draws.exponential(1, 12), draws.integers(1, 4, 12)
        found = ratio(values * counts, counts, seed=1, n=12, why=NONE)
        hits += found.low <= 1 <= found.high
    assert 172 <= hits <= 199  # of 200; a skew distribution and few tasks: rather less than 95 %


def test_seed_and_content_decide_nothing_else():
    values = np.random.default_rng(1).normal(0, 1, 1500)
    one = ratio(values, np.ones(1500), seed=3, n=1500, why=NONE)
    assert ratio(values, np.ones(1500), seed=3, n=1500, why=NONE) == one
    again = ratio(np.random.default_rng(2).permutation(values), np.ones(1500), seed=3, n=1500, why=NONE)
    assert (again.low, again.high) == pytest.approx((one.low, one.high))
    assert ratio(values, np.ones(1500), seed=4, n=1500, why=NONE).low != one.low


def test_tasks_without_anything_to_count_take_no_part():
    found = ratio(np.array([1, 1, 0, 0.0]), np.array([2, 2, 0, 0.0]), seed=0, n=4, why=NONE)
    assert (found.value, found.tasks) == (0.5, 2)
    assert ratio(np.zeros(3), np.zeros(3), seed=0, n=0, why=NONE).why == NONE
