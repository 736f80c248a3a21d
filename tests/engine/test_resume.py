"""Interrupted equals uninterrupted, bit for bit on a CPU; a killed run loses only what came after its last checkpoint."""

import signal
from pathlib import Path
from typing import Any

import pytest

from . import runs

pytestmark = pytest.mark.slow  # each trains a model, if a tiny one

STEPS = 150
SETTINGS = {
    "max_steps": STEPS,
    "batch_size": 4,
    "micro_batch": 2,
    "epochs": 1000,
    "lr": 2e-3,
    "log_every": 1,
    "eval_every": 40,
}


def _order(kind: str, pretrained: Path, corpus: Path, examples: Path) -> tuple[str, dict[str, Any], dict[str, Any]]:
    base = {"base": [str(pretrained / "output")], "dataset": examples}
    # Dropout draws from torch's random state at every step, so a state that is not put back shows.
    lora = {"kind": "lora", "rank": 4, "dropout": 0.2}
    prompt = {"kind": "soft_prompt", "length": 4}
    told_apart = {"dropout": 0.2, "drop_tokens": 0.2, "lm_weight": 0.5, "patience": 1000}
    return {
        "pretrain": ("pretrain", runs.TINY | SETTINGS, {"dataset": corpus}),
        "finetune": ("finetune", SETTINGS | {"tune": {"kind": "all"}}, base),
        "lora": ("finetune", SETTINGS | {"tune": lora}, base),
        "prompt_tuning": ("prompt_tuning", SETTINGS | {"tune": prompt, "lr": 0.03}, base),
        "classify": ("classify", SETTINGS | told_apart, base | {"dataset": _labelled(corpus)}),
    }[kind]


def _labelled(corpus: Path) -> Path:
    """The stories with whom they are about as label."""
    path = corpus.with_name("labelled.jsonl")
    return runs.write_rows(path, [row | {"label": row["text"].split()[1]} for row in runs.stories()])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["pretrain", "finetune", "lora", "prompt_tuning", "classify"])
def test_stopped_and_resumed_is_the_same_as_never_stopped(kind, tmp_path, pretrained, corpus, examples):
    order = _order(kind, pretrained, corpus, examples)
    whole = runs.write_run(tmp_path / "whole", *order)
    assert runs.go(whole) == 0

    stopped = runs.write_run(tmp_path / "stopped", *order)
    code, said = runs.ended(runs.start_and_signal(signal.SIGTERM, stopped, 20))
    assert code == 75, said
    assert runs.status(stopped)["state"] == "stopped"
    at = runs.status(stopped)["checkpoint_step"]
    assert 20 <= at < STEPS
    assert not (stopped / "output").exists()

    assert runs.go(stopped) == 0
    attempts = [event for event in runs.events(stopped) if event.get("kind") == "attempt"]
    assert [(event["attempt"], event["step"]) for event in attempts] == [(1, 0), (2, at)]
    assert runs.weights(stopped) == runs.weights(whole)
    assert runs.curves(stopped) == runs.curves(whole)
    assert runs.status(stopped)["tokens_seen"] == runs.status(whole)["tokens_seen"]


@pytest.mark.slow
def test_a_killed_run_loses_what_came_after_its_last_checkpoint_and_nothing_else(
    tmp_path, pretrained, corpus, examples
):
    method, config, inputs = _order("lora", pretrained, corpus, examples)
    order = method, config | {"checkpoint_every": 25, "delete_checkpoints": False}, inputs
    whole = runs.write_run(tmp_path / "whole", *order)
    assert runs.go(whole) == 0

    killed = runs.write_run(tmp_path / "killed", *order)
    code, said = runs.ended(runs.start_and_signal(signal.SIGKILL, killed, 60))
    assert code == -signal.SIGKILL, said
    assert runs.status(killed)["state"] == "running"  # nobody was left to say otherwise
    before = runs.events(killed)
    reached = max(event["step"] for event in before if "loss" in event)
    kept = max(int(folder.name.split("-")[1]) for folder in (killed / "checkpoints").glob("step-*[0-9]"))
    assert reached - 25 <= kept <= reached
    (killed / "checkpoints" / "step-9999.tmp").mkdir()  # as a kill within a checkpoint leaves it

    assert runs.go(killed) == 0
    after = runs.events(killed)
    resumed = next(i for i, event in enumerate(after) if event.get("attempt") == 2)
    assert after[:resumed] == before[:resumed]
    assert after[resumed]["step"] == kept
    assert runs.weights(killed) == runs.weights(whole)
    assert runs.curves(killed) == runs.curves(whole)
    assert len(list((killed / "checkpoints").iterdir())) == 2


def test_the_same_seed_gives_the_same_run_and_another_seed_another(tmp_path, pretrained, examples):
    config = {"max_steps": 5, "batch_size": 4}
    inputs = {"base": [str(pretrained / "output")], "dataset": examples}
    folders = [
        runs.write_run(tmp_path / name, "finetune", config, inputs, seed)
        for name, seed in [("a", 1), ("b", 1), ("c", 2)]
    ]
    assert [runs.go(folder) for folder in folders] == [0, 0, 0]
    a, b, c = map(runs.weights, folders)
    assert a == b
    assert a != c


def test_a_checkpoint_is_due_by_time_too(tmp_path, corpus):
    config = {**runs.TINY, "max_steps": 6, "checkpoint_minutes": 1e-6, "delete_checkpoints": False}
    folder = runs.write_run(tmp_path / "run", "pretrain", config, {"dataset": corpus})
    assert runs.go(folder) == 0
    assert {path.name for path in (folder / "checkpoints").iterdir()} == {"step-5", "step-6"}
