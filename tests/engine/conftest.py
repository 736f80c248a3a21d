"""What the tests of the engine share: data files, and a tiny model that was really pretrained."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from . import rankings, runs
from .ppo_runs import QUICK


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return runs.write_rows(tmp_path_factory.mktemp("data") / "stories.jsonl", runs.stories())


@pytest.fixture(scope="session")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return runs.write_rows(tmp_path_factory.mktemp("data") / "questions.jsonl", runs.questions())


@pytest.fixture(scope="session")
def pretrained(tmp_path_factory: pytest.TempPathFactory, corpus: Path) -> Path:
    """A finished pretraining run; its output/ is a model folder."""
    folder = runs.write_run(
        tmp_path_factory.mktemp("runs") / "pretrained",
        "pretrain",
        {**runs.TINY, "max_steps": 60, "batch_size": 4, "epochs": 100, "lr": 3e-3},
        {"dataset": corpus},
    )
    assert runs.go(folder) == 0
    return folder


@pytest.fixture(scope="session")
def prompts(tmp_path_factory) -> Path:
    rows = [
        {"prompt": f"The {a} met the {b}" + ". They" * (i % 3), "split": "heldout" if (i + j) % 4 == 0 else "train"}
        for i, a in enumerate(runs.ANIMALS)
        for j, b in enumerate(runs.ANIMALS)
    ]
    return runs.write_rows(tmp_path_factory.mktemp("data") / "prompts.jsonl", rows)


@pytest.fixture(scope="session")
def judge(tmp_path_factory, pretrained) -> Path:
    """A reward model that likes foxes."""
    folder = tmp_path_factory.mktemp("runs")
    data = runs.write_rows(folder / "rankings.jsonl", rankings.rows())
    config = {"lr": 3e-3, "epochs": 6, "batch_size": 8}
    run = runs.write_run(
        folder / "reward", "reward", config, {"base": [str(pretrained / "output")], "dataset": str(data)}
    )
    assert runs.go(run) == 0
    return run / "output"


@pytest.fixture
def ppo_run(tmp_path, pretrained, judge, prompts) -> Callable[..., Path]:
    def make(
        name: str = "run",
        base: Sequence[Path] = (),
        seed: int = 1,
        inputs: dict[str, Any] | None = None,
        **config: Any,
    ) -> Path:
        chain = [str(link) for link in (pretrained / "output", *base)]
        given = {"base": chain, "reward_model": [str(judge)], "dataset": str(prompts)} | (inputs or {})
        return runs.write_run(tmp_path / name, "ppo", QUICK | config, given, seed=seed)

    return make
