"""The store: immutable folders named by their content, `artifacts/ab/abcd…/` with their manifest beside them.

A folder is copied aside (hashed on the way), made read-only, then renamed, so that what stands under a digest is always whole.
Two versions of the same content share one folder. The digest is the sha256 of the manifest as canonical JSON:
{"kind", "parent": digest of the version below or null, "files": [{"path", "size", "sha256"}]}.
"""

import fcntl
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.utils.translation import gettext as _

from jobs.leftovers import older_than
from people.errors import Refusal

from .lm import inspect

CHUNK = 4 * 1024 * 1024
ABANDONED_AFTER = 24 * 3600  # seconds; an import that has not ended by then has died

# What a model folder consists of; everything else (optimizers, logs, onnx twins) is left out and named.
_BELONGS = {".safetensors", ".json", ".txt", ".model", ".jinja", ".md", ".tiktoken", ".spm"}
_BELONGS_BY_NAME = {"license", "licence", "notice"}
_SUBFOLDERS = {"additional_chat_templates"}  # the only one that transformers reads

Progress = Callable[[int, int], None]  # bytes done, bytes in all


@dataclass(frozen=True)
class Picked:
    """A file to be taken: its place in the folder and where it really lies."""

    path: str
    real: Path
    size: int


@dataclass(frozen=True)
class Stored:
    digest: str
    manifest: dict
    size: int


def folder_of(digest: str) -> Path:
    return Path(settings.ARTIFACTS) / digest[:2] / digest


def pick(folder: Path, roots: Iterable[Path] | None = None) -> tuple[list[Picked], list[tuple[str, str]]]:
    """The files of `folder` that make the model, and what is left out with the reason.

    Links are followed (the Hugging Face cache is made of them), but never out of `roots`, if given: that is refused.
    """
    picked, left_out, strays = [], [], []
    for path in _walk(folder):
        name = path.relative_to(folder).as_posix()
        real = path.resolve()
        if roots is not None and not _inside(real, roots):
            strays.append(name)
        elif real.is_dir():
            left_out.append((f"{name}/", _("is a folder; a model lies in one folder alone")))
        elif not real.is_file():
            left_out.append((name, _("is not a file")))
        elif reason := inspect.refusal(path):
            left_out.append((name, _(reason)))
        elif belongs(path.name):
            picked.append(Picked(name, real, real.stat().st_size))
        else:
            left_out.append((name, _("is not part of a model")))
    if strays:
        raise Refusal(
            _("These are links to places from which nothing may be imported: %(files)s.")
            % {"files": ", ".join(strays[:10])}
        )
    return picked, left_out


def belongs(name: str) -> bool:
    """Whether a file of this name, in the folder itself, is part of a model."""
    path = Path(name)
    return path.name == name and (path.suffix.lower() in _BELONGS or path.stem.lower() in _BELONGS_BY_NAME)


def _walk(folder: Path) -> Iterator[Path]:
    """What is visible in the folder itself and in the one subfolder that belongs to it."""
    for entry in sorted(folder.iterdir()):
        if entry.name in _SUBFOLDERS and entry.is_dir():
            yield from _walk(entry)
        elif not entry.name.startswith("."):
            yield entry


def _inside(path: Path, roots: Iterable[Path]) -> bool:
    return any(path.is_relative_to(root) for root in roots)


def allowed(folder: Path, roots: Iterable[Path]) -> bool:
    """Whether `folder`, with all links followed, lies in one of `roots`."""
    return _inside(folder.resolve(), [root.resolve() for root in roots])


@contextmanager
def adding(
    files: list[Picked], *, kind: str, parent: str | None, progress: Progress | None = None
) -> Iterator[Stored]:
    """Copy `files` into the store and register them inside the block: until it ends, nothing is removed from the store.

    Raises a Refusal when there is no room or a file changes meanwhile; then nothing is left.
    """
    with _lock(fcntl.LOCK_SH):
        yield _put(files, kind=kind, parent=parent, progress=progress)


def remove(digests: Iterable[str], *, named: Callable[[str], bool]) -> list[str]:
    """Remove those folders that nothing `named` any more, and return their digests; none while something is being added.

    `named` is asked under the lock, so that no version can be registered in between.
    """
    try:
        with _lock(fcntl.LOCK_EX | fcntl.LOCK_NB):
            gone = [digest for digest in digests if not named(digest)]
            for digest in gone:
                folder = folder_of(digest)
                folder.with_suffix(".json").unlink(missing_ok=True)
                if folder.is_dir():
                    _discard(folder)
            return gone
    except BlockingIOError:
        return []


def inventory() -> dict[str, int]:
    """Bytes on disk of every folder in the store, by its digest."""
    root = Path(settings.ARTIFACTS)
    folders = [folder for folder in root.glob("??/*") if folder.is_dir()] if root.is_dir() else []
    return {folder.name: sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) for folder in folders}


@contextmanager
def _lock(how: int) -> Iterator[None]:
    """Many may add at a time; whoever removes is alone. The system frees the lock of a process that dies."""
    root = Path(settings.ARTIFACTS)
    root.mkdir(parents=True, exist_ok=True)
    with open(root / ".lock", "a") as file:
        fcntl.flock(file, how)
        yield


def _put(files: list[Picked], *, kind: str, parent: str | None, progress: Progress | None = None) -> Stored:
    total = sum(file.size for file in files)
    with _aside() as aside:
        free = shutil.disk_usage(aside).free
        if total > free:
            raise Refusal(
                _(
                    "There is not enough room: %(need)d MB are needed and %(free)d MB are free. Free some, then try again."
                )
                % {"need": total // 10**6 + 1, "free": free // 10**6}
            )
        entries, done = [], 0
        for file in sorted(files, key=lambda file: file.path):
            target = aside / file.path
            target.parent.mkdir(exist_ok=True)
            digest = hashlib.sha256()
            size = 0
            with open(file.real, "rb") as source, open(target, "xb") as copy:
                while chunk := source.read(CHUNK):
                    digest.update(chunk)
                    copy.write(chunk)
                    size += len(chunk)
                    done += len(chunk)
                    if progress:
                        progress(min(done, total), total)
                copy.flush()
                os.fsync(copy.fileno())
            if size != file.size:
                raise Refusal(
                    _("%(file)s changed while it was copied. Try again when nothing writes to it.")
                    % {"file": file.path}
                )
            entries.append({"path": file.path, "size": size, "sha256": digest.hexdigest()})
        manifest = {"kind": kind, "parent": parent, "files": entries}
        stored = Stored(digest_of(manifest), manifest, total)
        _settle(aside, stored)
    return stored


def digest_of(manifest: dict) -> str:
    """sha256 over the canonical JSON (sorted keys, no spaces, UTF-8)."""
    text = json.dumps(manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def damaged(folder: Path, manifest: dict) -> list[str]:
    """What is missing, extra or of another size: cheap, asked at every load."""
    expected = {entry["path"]: entry["size"] for entry in manifest["files"]}
    found = (
        {p.relative_to(folder).as_posix(): p.stat().st_size for p in folder.rglob("*") if p.is_file()}
        if folder.is_dir()
        else {}
    )
    return [
        *(_("%(file)s is missing.") % {"file": path} for path in expected if path not in found),
        *(
            _("%(file)s has %(found)d bytes instead of %(expected)d.")
            % {"file": path, "found": found[path], "expected": size}
            for path, size in expected.items()
            if found.get(path, size) != size
        ),
        *(_("%(file)s does not belong there.") % {"file": path} for path in found if path not in expected),
    ]


def verify(folder: Path, manifest: dict, progress: Progress | None = None) -> list[str]:
    """`damaged`, and every hash computed anew."""
    problems = damaged(folder, manifest)
    if problems:
        return problems
    total, done = sum(entry["size"] for entry in manifest["files"]), 0
    for entry in manifest["files"]:
        digest = hashlib.sha256()
        with open(folder / entry["path"], "rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
                done += len(chunk)
                if progress:
                    progress(done, total)
        if digest.hexdigest() != entry["sha256"]:
            problems.append(_("The content of %(file)s has changed.") % {"file": entry["path"]})
    return problems


@contextmanager
def _aside() -> Iterator[Path]:
    """A folder beside the store, on the same disk, that is gone afterwards; also sweeps what died imports left."""
    place = Path(settings.ARTIFACTS) / ".incoming"
    place.mkdir(parents=True, exist_ok=True)
    for old in older_than(ABANDONED_AFTER, place.iterdir()):
        _discard(old)
    folder = place / uuid.uuid4().hex
    folder.mkdir()
    try:
        yield folder
    finally:
        _discard(folder)


def _discard(folder: Path) -> None:
    """Remove a folder that may be read-only."""
    with suppress(FileNotFoundError):  # another sweeps the same
        for path in [folder, *folder.rglob("*")]:
            if path.is_dir():
                path.chmod(0o755)
    shutil.rmtree(folder, ignore_errors=True)


def _settle(aside: Path, stored: Stored) -> None:
    """Give the finished folder its name, unless the same content already has it."""
    target = folder_of(stored.digest)
    target.parent.mkdir(parents=True, exist_ok=True)
    for path in aside.rglob("*"):
        if path.is_file():
            path.chmod(0o444)
    if target.exists() and damaged(target, stored.manifest):
        # A disk lost something of it; the same content is at hand, so mend it.
        wreck = aside.parent / uuid.uuid4().hex
        target.chmod(0o755)
        target.rename(wreck)
        _discard(wreck)
    try:
        aside.rename(target)
    except OSError:
        if not target.is_dir():
            raise
        return  # somebody else has just stored the same
    for path in [target, *(p for p in target.rglob("*") if p.is_dir())]:
        path.chmod(0o555)
    manifest = target.with_suffix(".json")
    manifest.write_text(json.dumps(stored.manifest, indent=1))
    for place in (target, target.parent):
        _sync(place)


def _sync(folder: Path) -> None:
    """A rename is on the disk only when its folder is."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
