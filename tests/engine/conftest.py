"""What the tests of the engine share: data files, and a tiny model that was really pretrained."""

from pathlib import Path

import pytest

from . import runs


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
