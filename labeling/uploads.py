"""Files that people bring, kept between looking at them and taking them in. Each person sees their own alone; a day later they are gone."""

import os
import re
import shutil
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from jobs.leftovers import older_than
from people.errors import Refusal
from people.models import User

KEPT_FOR = 24 * 3600  # seconds


@dataclass(frozen=True)
class Upload:
    """A file, or several that belong together; `id` stands in addresses. Files bear the names that the person gave them."""

    id: str
    paths: tuple[Path, ...]

    @property
    def path(self) -> Path:
        """The file; the first of several."""
        return self.paths[0]

    @property
    def name(self) -> str:
        more = len(self.paths) - 1
        if not more:
            return self.path.name
        return ngettext("%(name)s and %(n)d more file", "%(name)s and %(n)d more files", more) % {
            "name": self.path.name,
            "n": more,
        }

    @property
    def size(self) -> int:
        return sum(path.stat().st_size for path in self.paths)


def _place(user: User) -> Path:
    return Path(settings.UPLOADS) / "files" / str(user.pk)


def keep(user: User, name: str, chunks: Iterable[bytes]) -> Upload:
    """Store a file under a name that is safe to use as one."""
    return keep_all(user, [(name, chunks)])


def keep_all(user: User, files: Iterable[tuple[str, Iterable[bytes]]]) -> Upload:
    """Store (name, content) of one or several files as one upload, in the order of their names."""
    place, id = _place(user), uuid.uuid4().hex
    for old in older_than(KEPT_FOR, place.parent.glob("*/*")):
        shutil.rmtree(old, ignore_errors=True)
    folder = place / id
    folder.mkdir(parents=True)
    for name, chunks in files:
        name = re.sub(r"[^\w. ()+-]", "_", os.path.basename(name)).strip(" .")[-120:] or "file"
        path, copies = folder / name, 1
        while path.exists():  # two folders may hold files of one name
            copies += 1
            path = folder / f"{Path(name).stem} {copies}{Path(name).suffix}"
        with path.open("xb") as file:
            for chunk in chunks:
                file.write(chunk)
    return Upload(id, tuple(sorted(folder.iterdir())))


def find(user: User, id: str) -> Upload:
    """The upload of this person. Refusal (404) if there is none, or no more."""
    folder = _place(user) / id
    found = sorted(folder.iterdir()) if re.fullmatch(r"[0-9a-f]{32}", id) and folder.is_dir() else []
    if not found:
        raise Refusal(
            _("This upload is no longer there; files are kept for a day. Choose the file again."), status=404
        )
    return Upload(id, tuple(found))


def discard(upload: Upload) -> None:
    """Remove an upload that was taken in."""
    shutil.rmtree(upload.path.parent, ignore_errors=True)
