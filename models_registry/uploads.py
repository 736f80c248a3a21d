"""Files of a model that come through the browser: laid into a folder of their own, from where the worker imports them."""

import os
import shutil
import stat
import uuid
import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext as _

from jobs.leftovers import older_than
from people.errors import Refusal

KEPT_FOR = 24 * 3600  # seconds; by then its job has long ended


def receive(files: Iterable[UploadedFile]) -> Path:
    """Lay the files of one model, or one zip of them, into a fresh folder, and return it. Nothing stays behind after a Refusal."""
    files = list(files)
    folder = fresh()
    try:
        if len(files) == 1 and files[0].name.lower().endswith(".zip"):
            _unzip(files[0], folder)
        else:
            for file in files:
                with open(folder / os.path.basename(file.name), "xb") as target:
                    for chunk in file.chunks():
                        target.write(chunk)
    except FileExistsError as error:
        shutil.rmtree(folder)
        raise Refusal(
            _("Two files are called %(name)s; a model lies in one folder alone.") % {"name": Path(error.filename).name}
        ) from None
    except BaseException:
        shutil.rmtree(folder)
        raise
    return folder


def fresh() -> Path:
    """An empty folder from which the worker may import; what was abandoned there is swept."""
    place = Path(settings.UPLOADS) / "models"
    place.mkdir(parents=True, exist_ok=True)
    for old in older_than(KEPT_FOR, place.iterdir()):
        discard(old)
    folder = place / uuid.uuid4().hex
    folder.mkdir()
    return folder


def _unzip(file: UploadedFile, folder: Path) -> None:
    """The files of a zip, without the folder they may all lie in. Links and ways out of the folder are refused."""
    try:
        archive = zipfile.ZipFile(file)
    except zipfile.BadZipFile:
        raise Refusal(_("%(name)s is no zip file, or it is cut off.") % {"name": file.name}) from None
    members = [m for m in archive.infolist() if not m.is_dir() and not m.filename.startswith("__MACOSX/")]
    paths = [PurePosixPath(member.filename) for member in members]
    for member, path in zip(members, paths, strict=True):
        if path.is_absolute() or ".." in path.parts or stat.S_ISLNK(member.external_attr >> 16):
            raise Refusal(_("The zip file holds a way out of its own folder: %(name)s.") % {"name": member.filename})
    if sum(member.file_size for member in members) > shutil.disk_usage(folder).free:
        raise Refusal(_("There is not enough room on the server to unpack %(name)s.") % {"name": file.name})
    outer = paths[0].parts[0] if paths and len(paths[0].parts) > 1 else None
    if not all(len(path.parts) > 1 and path.parts[0] == outer for path in paths):
        outer = None
    try:
        for member, path in zip(members, paths, strict=True):
            target = folder / (path.relative_to(outer) if outer else path)
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(member) as source, open(target, "xb") as copy:
                shutil.copyfileobj(source, copy)
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:  # damaged, encrypted, unknown compression
        raise Refusal(_("%(name)s cannot be unpacked: %(reason)s.") % {"name": file.name, "reason": error}) from None


def discard(folder: Path) -> None:
    """Remove an upload that was imported, refused or abandoned."""
    shutil.rmtree(folder, ignore_errors=True)
