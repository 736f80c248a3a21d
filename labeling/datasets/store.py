"""A data set's folder: `data.jsonl` (each row with its `split`) and `manifest.json`. Written aside, hashed, then renamed into place.

The folder is named by the sha256 of its manifest, which names the sha256 of every file: the same rows give the same folder.
"""

import fcntl
import hashlib
import json
import os
import shutil
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from django.conf import settings
from django.utils.translation import gettext as _

from labeling.identity import TRAIN
from people.errors import Refusal

DATA, MANIFEST = "data.jsonl", "manifest.json"


class Writer:
    """Use as a context manager: `add` rows, then `finish`, and make the row that names the folder before leaving: until then nothing is
    deleted. A folder that was not finished is removed."""

    def __init__(self, kind: str) -> None:
        self.kind = str(kind)
        self.splits: Counter[str] = Counter()
        self.folder = Path(settings.DATASETS) / f".incoming-{uuid.uuid4().hex}"
        self.written = 0  # bytes
        self._open: dict[str, BinaryIO] = {}
        self._hashes: dict = {}
        self._guard = ExitStack()

    def __enter__(self) -> "Writer":
        self.folder.mkdir(parents=True)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for file in self._open.values():
            file.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        self._guard.close()

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
        self._guard.enter_context(_lock(fcntl.LOCK_SH))  # until the row that names the folder is there
        try:
            self.folder.rename(place)
        except OSError:
            if not place.is_dir():  # else these very rows are there already; what has got lost of them is mended
                raise
            for path in self.folder.iterdir():
                if not (place / path.name).exists():
                    path.rename(place / path.name)
        return {
            "digest": digest,
            "manifest": manifest,
            "rows": manifest["rows"],
            "splits": manifest["splits"],
            "size": sum(file["size"] for file in files),
        }


@contextmanager
def alone() -> Iterator[None]:
    """While nothing is being put in place; a Refusal if something is."""
    try:
        with _lock(fcntl.LOCK_EX | fcntl.LOCK_NB):
            yield
    except BlockingIOError:
        raise Refusal(_("A data set is just being stored. Try again when it has ended."), status=409) from None


@contextmanager
def _lock(how: int) -> Iterator[None]:
    Path(settings.DATASETS).mkdir(parents=True, exist_ok=True)
    with open(Path(settings.DATASETS) / ".lock", "w") as file:
        fcntl.flock(file, how)
        yield


def rows_of(folder: Path, split: str | None = None) -> Iterator[dict]:
    """The rows of a data set's folder, of one split or all."""
    with (folder / DATA).open(encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            if split is None or row.get("split", TRAIN) == split:
                yield row
