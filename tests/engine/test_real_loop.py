"""The loop on a real pretrained language model: rankings by a fixed taste, a reward model, PPO against that model."""

import json
import os
import random
from pathlib import Path
from typing import Any

import pytest

from bench.stories import NOISE, openings, report, taste
from models_registry.lm.chain import load
from models_registry.lm.generate import generate
from training.demo.annotators import order_of

from . import runs

REAL = Path(os.environ.get("PERINGKAT_REAL_DATA", "/nowhere"))
MODEL = REAL / "models" / "stories260K"
STORIES = REAL / "data" / "tinystories" / "tinystories_sample.txt"

pytestmark = pytest.mark.skipif(not (MODEL.is_dir() and STORIES.is_file()), reason="PERINGKAT_REAL_DATA is not set")


def ranked(folder: Path, count: int, *, heldout: int | None = None) -> Path:
    """Rankings of four stories of 64 tokens to each of `count` openings, of which `heldout` are held out, or a fifth."""
    heldout = count // 5 if heldout is None else heldout
    openings(STORIES, MODEL / "tokenizer.json", folder / "openings.jsonl", count=count, heldout=heldout)
    rows = [json.loads(line) for line in (folder / "openings.jsonl").open()]
    outputs = generate(load([MODEL]), [row["prompt"] for row in rows], max_tokens=64, seed=1, samples=4)
    noise = random.Random(0)
    for i, row in enumerate(rows):
        row["completions"] = [output.text for output in outputs[4 * i : 4 * i + 4]]
        row["ranking"] = str(order_of([taste(text) + noise.gauss(0, NOISE) for text in row["completions"]]))
    return runs.write_rows(folder / "rankings.jsonl", rows)


@pytest.mark.slow
def test_a_real_model_shares_prompts_and_starts_ppo_exactly(tmp_path):
    rankings = ranked(tmp_path, 20)
    reward = runs.write_run(
        tmp_path / "reward",
        "reward",
        {"max_steps": 2, "batch_size": 4},
        {"base": [str(MODEL)], "dataset": str(rankings)},
    )
    assert runs.go(reward) == 0
    notes = {e["message"]["id"]: e["message"] for e in runs.events(reward) if e.get("kind") == "note"}
    assert notes["prompt-shared"]["params"]["difference"] < 1e-5
    assert "no-better-than-chance" in notes  # two updates teach nothing, and the run says so

    ppo = runs.write_run(
        tmp_path / "ppo",
        "ppo",
        {"updates": 1, "episodes": 16, "max_tokens": 32},
        {"base": [str(MODEL)], "reward_model": [str(reward / "output")], "dataset": str(rankings)},
    )
    assert runs.go(ppo) == 0
    [first] = [event for event in runs.events(ppo) if "ratio" in event]
    assert first["ratio_start"] == pytest.approx(1, abs=1e-6)
    assert (first["kl"], first["clip_fraction_start"]) == (pytest.approx(0, abs=1e-4), 0)


# Of seventeen reward models of the same rankings, those that have most held-out pairs right: (settings, seed).
REWARDS = [
    ({"lr": 3e-3, "epochs": 5, "ensemble": 8, "tune": {"kind": "last_layers", "n": 3}}, 16),
    ({"lr": 3e-3, "epochs": 10, "ensemble": 8}, 11),
    ({"lr": 3e-3, "epochs": 5, "ensemble": 8, "bootstrap": True}, 7),
    ({"lr": 3e-3, "epochs": 5}, 1),
    ({"lr": 5e-3, "epochs": 5}, 23),
]


@pytest.mark.prove
def test_the_whole_loop_wins_by_the_taste_that_ranked(tmp_path):
    """From 250 rankings to at least 90 % wins by the taste without its noise on 100 openings that nothing learned from, near the start and varied."""
    rankings = ranked(tmp_path, 350, heldout=100)
    inputs: dict[str, object] = {"base": [str(MODEL)], "dataset": str(rankings)}
    judges = {}
    for number, (config, seed) in enumerate(REWARDS, 1):
        reward = runs.write_run(tmp_path / f"reward-{number}", "reward", config, inputs, seed=seed)
        assert runs.go(reward) == 0
        assert json.loads((reward / "output" / "metrics.json").read_text())["accuracy"] > 0.65
        judges["reward_model" if number == 1 else f"reward_model_{number}"] = [str(reward / "output")]

    ppo = runs.write_run(
        tmp_path / "ppo",
        "ppo",
        {"tune": {"kind": "all"}, "lr": 3e-4, "updates": 95, "kl_coef": 0.12},
        inputs | judges,
    )
    assert runs.go(ppo) == 0
    found: Any = report(ppo)
    assert found["wins"] >= 0.9
    assert found["kl"] <= 30
    before, after = found["loss_under_base"]
    assert after <= before
    before, after = found["distinct_3grams_within"]
    assert after >= 0.9 * before
    before, after = found["distinct_3grams_across"]
    assert after >= 0.7 * before
