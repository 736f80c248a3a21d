"""PPO in several processes: the updates of one, files written once, stopped and resumed, and plain words where it cannot be."""

import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from safetensors.torch import load_file

from tests.processes import LONGEST, free_port, until
from training.engine.methods.ppo.kept import policies

from . import runs
from .ppo_runs import ALL, LORA, metrics, notes, updates

pytestmark = pytest.mark.slow  # each starts several processes that train

ACCELERATE = ["accelerate.commands.launch", "--multi_gpu", "--num_processes=2", "--num_machines=1", "--mixed_precision=no", "--dynamo_backend=no"]  # fmt: skip


def launched(folder: Path) -> tuple[int, str]:
    """Two processes that accelerate's launcher starts: its exit code, and what was said."""
    return runs.ended(
        runs.started("-m", *ACCELERATE, f"--main_process_port={free_port()}", "-m", "training.engine", str(folder))
    )


def assert_like(one: dict[str, Any], other: dict[str, Any]) -> None:
    """The same names, and the same values but for rounding."""
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert (pytest.approx(value, rel=2e-3, abs=2e-4) if isinstance(value, float) else value) == other[name], name


@pytest.mark.parametrize(
    "config",
    [
        {"tune": ALL, "critic": "separate", "minibatches": 4, "whiten_rewards": True, "update_kl_limit": 0.02},
        # 7 answers in a minibatch are 4 and 3, 5 texts 3 and 2.
        {"tune": LORA, "episodes": 14, "micro_batch": 2, "ptx_coef": 0.5, "ptx_batch": 5, "normalize_scores": "scale"},
    ],
    ids=["all-separate", "lora-shared"],
)
def test_two_processes_of_accelerate_make_the_updates_of_one(config, ppo_run: Callable[..., Path], judge, corpus):
    config = {"kl_target": 0.3, "kl_horizon": 200, "lr": 1e-3, "missing_eos_penalty": 0.5, "ema_decay": 0.5} | config
    inputs: dict[str, Any] = {"reward_model_2": [str(judge)]}
    if "ptx_coef" in config:
        inputs["pretraining"] = str(corpus)
    one, two = (ppo_run(name, inputs=inputs, **config) for name in ("one", "two"))
    assert runs.go(one) == 0
    code, said = launched(two)
    assert code == 0, said
    assert runs.status(two)["state"] == "complete"
    assert [each.step for each in policies(one)] == [each.step for each in policies(two)]
    assert len(updates(two)) == 3
    for alone, together in zip(runs.curves(one), runs.curves(two), strict=True):
        assert_like(alone, together)
    assert notes(one) == notes(two)
    alone, together = metrics(one), metrics(two)
    assert together.pop("memory_estimate") > 1.8 * alone.pop("memory_estimate")  # of both
    assert_like(alone, together)
    name = next(path.name for path in (one / "output").glob("*.safetensors"))
    alone, together = (load_file(folder / "output" / name) for folder in (one, two))
    for each, weight in alone.items():
        assert torch.allclose(weight, together[each], atol=1e-4), each


def test_two_processes_are_stopped_and_resumed_and_one_goes_on_where_two_were(ppo_run: Callable[..., Path]):
    """By the setting, as the site starts a run; on a CPU to the last bit what a launcher's two make without a stop."""
    config = {"tune": ALL, "lr": 1e-3, "kl_target": 0.3, "updates": 4}
    whole, stopped = ppo_run("whole", **config), ppo_run("stopped", **config, processes=2)
    code, said = launched(whole)
    assert code == 0, said
    code, said = runs.ended(runs.start_and_signal(signal.SIGTERM, stopped, 2, key="ratio"))
    assert code == 75, said
    assert runs.status(stopped)["state"] == "stopped"
    alone = Path(shutil.copytree(stopped, stopped.with_name("alone")))
    assert runs.go(alone) == 0  # in this process
    for one, two in zip(runs.curves(alone), runs.curves(whole), strict=True):
        assert_like(one, two)
    code, said = runs.ended(runs.start(stopped))
    assert code == 0, said
    attempts = [event["step"] for event in runs.events(stopped) if event.get("kind") == "attempt"]
    assert attempts == [0, 2]
    assert runs.weights(stopped) == runs.weights(whole)
    assert runs.curves(stopped) == runs.curves(whole)


def test_a_process_that_dies_ends_the_run_in_plain_words(ppo_run: Callable[..., Path]):
    folder = ppo_run(tune=LORA, updates=1000, checkpoint_every=1, processes=2)
    run = runs.start(folder)
    until(lambda: len(updates(folder)) > 1)
    (other,) = psutil.Process(run.pid).children()
    other.kill()
    code, said = runs.ended(run)
    assert code == 1, said
    assert runs.status(folder)["error"]["cause"]["id"] == "process-lost"
    assert (folder / "checkpoints" / f"step-{runs.status(folder)['checkpoint_step']}").is_dir()


def test_where_the_first_is_killed_the_others_end_by_themselves(ppo_run: Callable[..., Path]):
    """Also where nothing else looks after them."""
    folder = ppo_run(tune=LORA, updates=100_000, processes=2)
    run = runs.start(folder)
    until(lambda: updates(folder))
    (other,) = psutil.Process(run.pid).children()
    run.kill()
    runs.ended(run)
    other.wait(LONGEST)


def test_more_processes_than_a_minibatch_has_answers_are_refused(ppo_run: Callable[..., Path]):
    folder = ppo_run(episodes=16, minibatches=8, processes=3)
    assert runs.go(folder) == 2
    (problem,) = runs.status(folder)["problems"]
    assert problem["id"] == "too-many-processes"
    assert problem["params"] == {"field": "processes", "answers": 2, "processes": 3}


@pytest.mark.parametrize(("index", "writes"), [(0, True), (1, False)])
def test_a_method_that_cannot_share_its_work_is_refused(index, writes, monkeypatch, tmp_path, pretrained, examples):
    inputs = {"base": [str(pretrained / "output")], "dataset": str(examples)}
    folder = runs.write_run(tmp_path / "run", "finetune", {"max_steps": 1}, inputs)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", str(index))
    assert runs.go(folder) == 2
    assert (folder / "status.json").exists() is writes  # of several processes the first
    if writes:
        assert [problem["id"] for problem in runs.status(folder)["problems"]] == ["one-process"]
