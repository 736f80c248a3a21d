"""Tiny model folders, one of each architecture, and the real one where it is present."""

import os
from pathlib import Path

import pytest

from . import tiny


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`make check` looks at one architecture and at the usual adapters, `make test` at all of them."""
    others = (*(shape for shape in tiny.SHAPES if shape != "llama"), "vera", "lokr", "oft", "fourier")
    for item in items:
        if Path(__file__).parent in item.path.parents and any(shape in item.name for shape in others):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    base = tmp_path_factory.mktemp("models")
    return {shape: tiny.folder(base / shape, shape) for shape in tiny.SHAPES}


@pytest.fixture(scope="session")
def real_data() -> Path:
    path = os.environ.get("PERINGKAT_REAL_DATA")
    if not path or not Path(path, "models", "stories260K").is_dir():
        pytest.skip("needs PERINGKAT_REAL_DATA")
    return Path(path)
