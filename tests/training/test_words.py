"""What people read instead of keys: an accuracy by what it counts, a run that nobody named by what moves in it, numbers with a comma."""

import pytest
from django.utils import translation

from models_registry import words
from training.curves import curves
from training.engine.config import Settings, setting
from training.failures import said
from training.fields import config_of_texts, fields_of
from training.naming import default_name
from training.reading import Events, Series
from training.templatetags.training import figure


@pytest.mark.parametrize(
    ("method", "title"),
    [("evaluate", "Accuracy"), ("prompting", "Accuracy"), ("classify", "Accuracy"), ("reward", "Pair accuracy"), ("dpo", "Pair accuracy")],
)  # fmt: skip
def test_an_accuracy_is_called_after_what_it_counts(method, title):
    events = Events()
    events.series["accuracy"] = Series()
    events.series["accuracy"].points.append((1, 0.5))
    assert [curve.title for curve in curves(events, method)] == [title]


@pytest.mark.parametrize(
    ("method", "kind", "name"),
    [
        ("adapter", "serial", "adapter serial · stories:v1"),
        ("adapter", "lora", "adapter lora · stories:v1"),
        ("classify", "last_layers", "classify last layers · stories:v1"),
        ("finetune", "all", "finetune · stories:v1"),
        ("prompt_tuning", "soft_prompt", "prompt tuning · stories:v1"),
    ],
)
def test_a_run_without_a_name_says_what_moves(method, kind, name):
    assert default_name(method, {"tune": {"kind": kind}}, "stories:v1") == name


class Rates(Settings):
    rate: float = setting(0.5, "Rate", "How fast.", group="optimizer")
    count: int = setting(1, "Count", "How many.", group="optimizer")


@pytest.mark.parametrize(
    ("language", "text", "value"),
    [
        ("id", "0,003", 0.003),
        ("id", "0.003", 0.003),
        ("id", "1,5e-4", 1.5e-4),
        ("id", "1,000,000", "1,000,000"),
        ("id", "1.000,5", "1.000,5"),
        ("en", "1,000", "1,000"),
    ],
)
def test_a_decimal_comma_is_read_where_people_write_one(language, text, value):
    with translation.override(language):
        assert config_of_texts(fields_of(Rates), {"rate": text, "count": "1,0"}) == {"rate": value, "count": "1,0"}


@pytest.mark.parametrize(
    ("value", "shown"),
    [(-1.568, "−1.568"), (-1200, "−1,200"), (-0.5, "−0.5"), (2.8e-07, "2.8 · 10⁻⁷"), (-3e-06, "−3 · 10⁻⁶"), (1.5e18, "1.5 · 10¹⁸")],
)  # fmt: skip
def test_a_figure_below_zero_has_the_sign_of_figures_and_a_tiny_one_is_a_power_of_ten(value, shown):
    assert figure(value) == shown


def test_what_the_engine_says_in_figures_is_written_as_pages_write_figures():
    message = {"text": "%(a).1e, %(b).1g and %(c).2f", "params": {"a": 2.84e-07, "b": 0.0002, "c": -0.5}}
    assert said([message]) == ["2.8 · 10⁻⁷, 0.0002 and −0.50"]
    with translation.override("id"):
        assert said([message]) == ["2,8 · 10⁻⁷, 0,0002 and −0,50"]


def test_nothing_is_written_as_less_than_zero_that_is_rounded_to_it():
    assert words.figure(-0.001, 2) == "0.00"
