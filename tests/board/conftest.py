"""What all tests of the board share: on a busy machine nobody comes too late to call a submit back."""

import pytest

from labeling.actions import collecting


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collecting, "UNDO_SECONDS", 3600)
