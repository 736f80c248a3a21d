"""The policies that a PPO run keeps along its KL: which they are, that an interruption changes none, and that they are models."""

import random
from pathlib import Path

import pytest

from training.engine.methods.ppo.kept import Kept, Policy, folder_of, policies


def walk(kept: Kept, kls: list[float], begin: int = 0) -> None:
    for step, kl in enumerate(kls[begin:], begin):
        kept.look(Policy(step, kl, 0.0), lambda folder, step=step: written(folder, step))


def written(folder: Path, step: int) -> None:
    folder.mkdir(parents=True)
    (folder / "weights").write_text(str(step))


def drift(seed: int) -> list[float]:
    chance = random.Random(seed)
    return [0.15 * step + chance.gauss(0, 1.5) for step in range(200)]


def test_they_lie_evenly_along_the_root_of_the_kl(tmp_path):
    walk(Kept(tmp_path, most=8, step=0), [0.1 * step for step in range(401)])
    roots = [policy.kl**0.5 for policy in policies(tmp_path)]
    assert roots == pytest.approx([1, 2, 3, 4, 5, 6], abs=0.1)
    for policy in policies(tmp_path):
        assert (folder_of(tmp_path, policy.step) / "weights").read_text() == str(policy.step)
    assert len(list((tmp_path / "kept").glob("step-*"))) == 6


@pytest.mark.parametrize("most", [1, 3, 8])
def test_there_are_never_more_than_asked_for(tmp_path, most):
    kls = drift(0)
    kept = Kept(tmp_path, most=most, step=0)
    for step in range(len(kls)):
        walk(kept, kls[: step + 1], step)
        assert len(list((tmp_path / "kept").glob("step-*"))) <= most
    assert policies(tmp_path)


def test_none_are_kept_where_none_are_wanted_or_the_model_stays(tmp_path):
    for name in ("none", "still"):
        (tmp_path / name).mkdir()
    walk(Kept(tmp_path / "none", most=0, step=0), drift(0))
    walk(Kept(tmp_path / "still", most=8, step=0), [0.0, 0.1, -0.2] * 9)
    assert not list(tmp_path.glob("*/*"))


@pytest.mark.parametrize("seed", range(5))
def test_an_interrupted_run_keeps_what_an_unbroken_one_does(tmp_path, seed):
    kls = drift(seed)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()
    walk(Kept(whole, most=5, step=0), kls)
    for checkpoint, killed in ((0, 30), (20, 90), (60, 150), (140, 200)):
        walk(Kept(broken, most=5, step=checkpoint), kls[:killed], checkpoint)
    assert policies(broken) == policies(whole) != []
    assert {path.name for path in (broken / "kept").iterdir()} == {path.name for path in (whole / "kept").iterdir()}
