"""A real pretrained model: imported, and served with the text that it is known to write."""

import os
from pathlib import Path

import pytest

from models_registry import actions, serving_client

FOLDER = Path(os.environ.get("PERINGKAT_REAL_DATA", "/nowhere")) / "models" / "stories260K"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not FOLDER.is_dir(), reason="PERINGKAT_REAL_DATA names no folder with models/stories260K"),
]

BEGINNING = (
    "Once upon a time, there was a little girl named Lily. She loved to play outside in the park. "
    "One day, she saw a big, red ball."
)


def test_stories260k_tells_its_story_through_the_server(server):
    version = actions.import_folder(actor=None, name="stories260K", path=FOLDER).version
    assert version.parameters == 260_032
    assert version.context_length == 512
    pieces = list(serving_client.stream(version, "", max_tokens=80, temperature=0))
    assert "".join(piece.text for piece in pieces).startswith(BEGINNING)
    prompted = serving_client.stream(version, "Once upon a time", max_tokens=80, temperature=0)
    assert ("Once upon a time" + "".join(piece.text for piece in prompted)).startswith(BEGINNING)
