"""A version leaves the house: a folder, a zip or a tar that transformers and peft load by themselves, with a README that says how.

A version that stands on others goes alone, or with the whole chain: then every link has a folder, numbered from the base on.
"""

import shutil
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from django.utils.translation import gettext as _

from people.errors import Refusal

from . import loading, queries, words
from .lm.inspect import MEMBERS_FILE
from .models import Kind, Version

CHUNK = 1024 * 1024
FORMATS = {"zip": "application/zip", "tar": "application/x-tar"}
_LOADER = Path(__file__).parent / "lm" / "bottleneck_loader.py"


@dataclass(frozen=True)
class Entry:
    """A file of the export: its path in it, and where it lies or what it says."""

    path: str
    source: Path | bytes

    @property
    def size(self) -> int:
        return len(self.source) if isinstance(self.source, bytes) else self.source.stat().st_size


def name_of(version: Version) -> str:
    """The folder's name, also that of the archive."""
    return f"{version.model.name}-v{version.number}"


def entries(version: Version, *, chain: bool = False) -> list[Entry]:
    """All files of the export, the README first. Refusal when there is nothing here to export, or it is damaged."""
    if version.kind == Kind.REMOTE:
        raise Refusal(_("A remote endpoint has no files here to export."))
    queries.folders(version)  # refuses what is damaged
    links = version.chain() if chain else [version]
    folders = {link.pk: "" for link in links}
    if len(links) > 1:
        folders = {link.pk: f"{number}-{name_of(link)}/" for number, link in enumerate(links, 1)}
    found = [Entry("README.md", readme(version, {pk: folder or "." for pk, folder in folders.items()}).encode())]
    if any(link.architecture == "BOTTLENECK" for link in links):
        found.append(Entry(_LOADER.name, _LOADER))
    for link in links:
        for file in link.manifest["files"]:
            if folders[link.pk] or file["path"] != "README.md":  # the card has taken its place
                found.append(Entry(folders[link.pk] + file["path"], link.folder / file["path"]))
    return found


def readme(version: Version, folders: dict[int, str]) -> str:
    """The card, what it is, how to load it, and where it came from. `folders`: where the links lie, by pk; what is missing is not in it."""
    front = ["---", f"license: {version.licence or 'other'}", "tags: [peringkat]"]
    if version.parent:
        front.append(f"base_model: {version.chain()[0]}")
    places = {
        link.pk: folders[link.pk].rstrip("/") if link.pk in folders else f"path/to/{name_of(link)}"
        for link in version.chain()
    }
    parts = ["\n".join([*front, "---"]), f"# {version}", words.sentence(version)]
    if version.card:
        parts.append(version.card)
    parts += [f"## {_('Load it in Python')}", f"```python\n{loading.lines(version, places, alone=True)}\n```"]
    if version.head == "reward" and version.kind != Kind.HARD_PROMPT:
        parts.append(_("Scores are comparable after (score − mean) ÷ std, with both numbers from reward.json."))
        if (version.folder / MEMBERS_FILE).is_file():
            parts.append(_("The score is the mean of an ensemble of heads; they lie in reward_members.safetensors (weight, offset): head n says hidden · weight[n] − offset[n], before the scale, and the standard deviation between them is the uncertainty."))  # fmt: skip
    parts += [f"## {_('Where it came from')}", f"`sha256 {version.digest}`"]
    if source := {role: str(made_of) for _made, role, made_of in queries.sources(version)}:
        parts.append("\n".join(f"* {words.role(role)}: {name}" for role, name in source.items()))
    return "\n\n".join(parts) + "\n"


def write_folder(version: Version, folder: Path, *, chain: bool = False) -> None:
    """Copy the export into `folder`, which must be new or empty."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Refusal(_("%(folder)s is there already and is not empty; nothing was written.") % {"folder": folder})
    for entry in entries(version, chain=chain):
        target = folder / entry.path
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(entry.source, bytes):
            target.write_bytes(entry.source)
        else:
            shutil.copyfile(entry.source, target)  # without the store's read-only mode


def archive(version: Version, form: str, *, chain: bool = False) -> Iterator[bytes]:
    """The export as a zip or a tar, in pieces: nothing is written to the disk, and no file is held in memory whole."""
    root, listed = name_of(version), entries(version, chain=chain)
    return _zip(root, listed) if form == "zip" else _tar(root, listed)


class _Pieces:
    """What zipfile writes into: it cannot seek, and gives up what was written so far."""

    def __init__(self) -> None:
        self.held = bytearray()

    def write(self, data: bytes) -> int:
        self.held += data
        return len(data)

    def flush(self) -> None:
        pass

    def take(self) -> bytes:
        data = bytes(self.held)
        self.held.clear()
        return data


def _zip(root: str, listed: list[Entry]) -> Iterator[bytes]:
    """Stored, not compressed: weights do not get smaller."""
    pieces = _Pieces()
    with zipfile.ZipFile(pieces, "w", zipfile.ZIP_STORED) as target:  # type: ignore[arg-type]
        for entry in listed:
            with target.open(zipfile.ZipInfo(f"{root}/{entry.path}"), "w", force_zip64=True) as file:
                for chunk in _chunks(entry):
                    file.write(chunk)
                    yield pieces.take()
            yield pieces.take()
    yield pieces.take()


def _tar(root: str, listed: list[Entry]) -> Iterator[bytes]:
    for entry in listed:
        about = tarfile.TarInfo(f"{root}/{entry.path}")
        about.size = entry.size
        yield about.tobuf(tarfile.PAX_FORMAT)
        yield from _chunks(entry)
        yield b"\0" * (-about.size % tarfile.BLOCKSIZE)
    yield b"\0" * (2 * tarfile.BLOCKSIZE)


def _chunks(entry: Entry) -> Iterator[bytes]:
    if isinstance(entry.source, bytes):
        yield entry.source
        return
    with open(entry.source, "rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk
