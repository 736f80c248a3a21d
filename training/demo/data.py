"""The demo's corpus as data sets of the app, through the verb that stores what people upload."""

import json
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from labeling.actions import upload_dataset
from labeling.datasets.files import Reading
from labeling.models import Dataset
from people.models import User


@contextmanager
def rows_file(rows: Iterable[dict]) -> Iterator[Path]:
    """The rows as a JSONL file, for the time of the block."""
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".jsonl") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
        file.flush()
        yield Path(file.name)


def store(actor: User, name: str, kind: str, rows: Iterable[dict]) -> Dataset:
    """A data set of `rows`, each with its split. The same rows again are the data set that is there already."""
    with rows_file(rows) as path:
        return upload_dataset(actor=actor, name=name, path=path, reading=Reading(kind=kind))[0]
