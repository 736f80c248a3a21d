"""DPO and GRPO on a real pretrained language model: both make what a fixed taste likes likelier, on openings that they have not seen."""

import json

import pytest

from bench.stories import report

from . import runs
from .test_real_loop import MODEL, STORIES, ranked

pytestmark = [
    pytest.mark.prove,
    pytest.mark.skipif(not (MODEL.is_dir() and STORIES.is_file()), reason="PERINGKAT_REAL_DATA is not set"),
]


def test_dpo_writes_what_the_taste_likes_without_a_reward_model(tmp_path):
    rankings = ranked(tmp_path, 250)
    inputs = {"base": [str(MODEL)], "dataset": str(rankings)}
    run = runs.write_run(tmp_path / "dpo", "dpo", {"tune": {"kind": "all"}, "lr": 3e-4, "epochs": 2}, inputs)
    assert runs.go(run) == 0
    found = report(run)
    assert found["wins"] >= 0.75
    assert found["kl"] <= 30


def test_grpo_writes_what_the_taste_likes(tmp_path):
    rankings = ranked(tmp_path, 250)
    inputs = {"base": [str(MODEL)], "dataset": str(rankings)}
    reward = runs.write_run(tmp_path / "reward", "reward", {"lr": 3e-3, "epochs": 5}, inputs)
    assert runs.go(reward) == 0
    run = runs.write_run(
        tmp_path / "grpo",
        "grpo",
        {"tune": {"kind": "all"}, "lr": 3e-4, "updates": 40},
        inputs | {"reward_model": [str(reward / "output")]},
    )
    assert runs.go(run) == 0
    assert report(run)["wins"] >= 0.8
    assert json.loads((run / "output" / "metrics.json").read_text())["kl"] <= 30
