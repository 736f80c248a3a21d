"""A data set's folder: `data.jsonl` (each row with its `split`) and `manifest.json`. Written aside, hashed, then renamed into place.

The folder is named by the sha256 of its manifest, which names the sha256 of every file: the same rows give the same folder.
"""

import hashlib
import json
import os
import shutil
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from django.conf import settings

from labeling.identity import TRAIN

DATA, MANIFEST = "data.jsonl", "manifest.json"


class Writer:
    """Use as a context manager: `add` rows, then `finish`. A folder that was not finished is removed."""

    def __init__(self, kind: str) -> None:
        self.kind = str(kind)
        self.splits: Counter[str] = Counter()
        self.folder = Path(settings.DATASETS) / f".incoming-{uuid.uuid4().hex}"
        self.written = 0  # bytes
        self._open: dict[str, BinaryIO] = {}
        self._hashes: dict = {}

    def __enter__(self) -> "Writer":
        self.folder.mkdir(parents=True)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for file in self._open.values():
            file.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def add(self, row: dict, *, split: str) -> None:
        self.splits[split] += 1
        self.line(DATA, row | {"split": split})

    def line(self, name: str, row: dict) -> None:
        """One line of another file of the folder."""
        if name not in self._open:
            self._open[name] = (self.folder / name).open("wb")
            self._hashes[name] = hashlib.sha256()
        line = json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        self.written += len(line)
        self._hashes[name].update(line)
        self._open[name].write(line)

    def finish(self, about: dict) -> dict:
        """Put the folder in place; returns {"digest", "manifest", "rows", "splits", "size"}. `about` goes into the manifest."""
        files = []
        for name, file in sorted(self._open.items()):
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
            file.close()
            files.append({"path": name, "size": size, "sha256": self._hashes[name].hexdigest()})
        manifest = {
            "kind": self.kind,
            "files": files,
            "rows": self.splits.total(),
            "splits": dict(sorted(self.splits.items())),
            **about,
        }
        text = json.dumps(manifest, ensure_ascii=False, sort_keys=True, indent=1)
        digest = hashlib.sha256(text.encode()).hexdigest()
        (self.folder / MANIFEST).write_text(text, encoding="utf-8")
        place = Path(settings.DATASETS) / digest
        try:
            self.folder.rename(place)
        except OSError:
            if not place.is_dir():  # else these very rows are there already
                raise
        return {
            "digest": digest,
            "manifest": manifest,
            "rows": manifest["rows"],
            "splits": manifest["splits"],
            "size": sum(file["size"] for file in files),
        }


def rows_of(folder: Path, split: str | None = None) -> Iterator[dict]:
    """The rows of a data set's folder, of one split or all."""
    with (folder / DATA).open(encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            if split is None or row.get("split", TRAIN) == split:
                yield row
