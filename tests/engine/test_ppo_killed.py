"""A PPO run that is killed goes on from its last checkpoint, and ends as if nothing had happened: bit for bit on a CPU."""

import signal
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from . import runs
from .ppo_runs import ALL, LORA, metrics, notes

pytestmark = pytest.mark.slow  # each starts processes that train

# Where the process is when it is killed: the function that it would call next.
WRITING = "models_registry.lm.generate:choose"  # once a token: a few of the answers' tokens are there
SCORING = "training.engine.methods.ppo.scoring:scored"  # once an update: the answers are written
LEARNING = "torch.optim:AdamW.step"  # once a minibatch: some of an update's steps are made
SAVING = "torch:save"  # once a checkpoint: the weights are in it, the optimizer is not
SYNCING = "training.engine.context:_to_disk"  # once a checkpoint: all is in it, and it has not yet its name
Kill = tuple[str, int]


def killed_and_resumed(folder: Path, kills: Sequence[Kill]) -> None:
    """Start it again and again, kill it at each of these, then let it end."""
    for place, call in kills:
        code, said = runs.ended(runs.start_and_kill(folder, place, call))
        assert code == -signal.SIGKILL, said
        half = list((folder / "checkpoints").glob("*.tmp"))
        assert bool(half) is (place in (SAVING, SYNCING))
    assert runs.go(folder) == 0
    attempts = [event for event in runs.events(folder) if event.get("kind") == "attempt"]
    assert [event["attempt"] for event in attempts] == list(range(1, len(kills) + 2))
    steps = [event["step"] for event in attempts]
    assert steps == sorted(set(steps))  # every attempt went further than the one before


def kept(folder: Path) -> dict[str, bytes]:
    """The policies along the KL, file by file."""
    place = folder / "kept"
    return {str(path.relative_to(place)): path.read_bytes() for path in place.rglob("*") if path.is_file()}


def assert_same(one: Path, other: Path) -> None:
    assert runs.weights(one) == runs.weights(other)
    assert runs.curves(one) == runs.curves(other)
    assert notes(one) == notes(other)
    assert metrics(one) == metrics(other)
    assert kept(one) == kept(other) != {}
    assert (one / "samples.jsonl").read_bytes() == (other / "samples.jsonl").read_bytes()
    assert runs.status(one)["tokens_seen"] == runs.status(other)["tokens_seen"]


ADAPTIVE = {"kl_target": 0.3, "kl_horizon": 200, "lr": 3e-3, "ema_decay": 0.9, "normalize_scores": "standardize"}


@pytest.mark.parametrize(
    "config",
    [
        {"tune": ALL, "critic": "separate"},
        {"tune": LORA, "critic": "shared", "whiten_rewards": True},
    ],
    ids=["all-separate", "lora-shared"],
)
def test_killed_while_it_writes_learns_and_saves(config, ppo_run: Callable[..., Path]):
    config = ADAPTIVE | config | {"updates": 10, "checkpoint_every": 2, "sample_every": 3}
    whole, killed = ppo_run("whole", **config), ppo_run("killed", **config)
    assert runs.go(whole) == 0
    # 12 tokens and 4 optimizer steps an update: in the third update, while the average writes before the seventh, and in the last checkpoint.
    killed_and_resumed(killed, [(LEARNING, 4 * 2 + 3), (WRITING, 12 * 7 + 6), (SAVING, 2)])
    assert_same(killed, whole)


@pytest.mark.prove
def test_two_hundred_updates_killed_five_times(ppo_run: Callable[..., Path]):
    config = ADAPTIVE | {"tune": ALL, "critic": "separate", "updates": 200, "checkpoint_every": 10, "sample_every": 20}
    whole, killed = ppo_run("whole", **config), ppo_run("killed", **config)
    assert runs.go(whole) == 0
    kills = [(LEARNING, 4 * 37 + 2), (SAVING, 4), (WRITING, 12 * 34), (SCORING, 26), (SYNCING, 4)]
    killed_and_resumed(killed, kills)
    assert_same(killed, whole)
