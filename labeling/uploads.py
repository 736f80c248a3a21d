"""Files that people bring, kept between looking at them and taking them in. Each person sees their own alone; a day later they are gone."""

import os
import re
import shutil
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.utils.translation import gettext as _

from people.errors import Refusal
from people.models import User

KEPT_FOR = 24 * 3600  # seconds


@dataclass(frozen=True)
class Upload:
    """`name` is what the person called it; `id` stands in addresses."""

    id: str
    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def size(self) -> int:
        return self.path.stat().st_size


def _place(user: User) -> Path:
    return Path(settings.UPLOADS) / "files" / str(user.pk)


def keep(user: User, name: str, chunks: Iterable[bytes]) -> Upload:
    """Store a file under a name that is safe to use as one."""
    place, id = _place(user), uuid.uuid4().hex
    _sweep(place.parent)
    name = re.sub(r"[^\w. ()+-]", "_", os.path.basename(name)).strip(" .")[-120:] or "file"
    upload = Upload(id, place / id / name)
    upload.path.parent.mkdir(parents=True)
    with upload.path.open("xb") as file:
        for chunk in chunks:
            file.write(chunk)
    return upload


def find(user: User, id: str) -> Upload:
    """The upload of this person. Refusal (404) if there is none, or no more."""
    folder = _place(user) / id
    found = list(folder.iterdir()) if re.fullmatch(r"[0-9a-f]{32}", id) and folder.is_dir() else []
    if not found:
        raise Refusal(
            _("This upload is no longer there; files are kept for a day. Choose the file again."), status=404
        )
    return Upload(id, found[0])


def discard(upload: Upload) -> None:
    """Remove an upload that was taken in."""
    shutil.rmtree(upload.path.parent, ignore_errors=True)


def _sweep(place: Path) -> None:
    for old in place.glob("*/*"):
        if time.time() - old.stat().st_mtime > KEPT_FOR:
            shutil.rmtree(old, ignore_errors=True)
