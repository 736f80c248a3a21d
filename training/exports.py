"""A run's curves for other programs: CSV, and the event files that TensorBoard reads."""

import csv
import io
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.utils.translation import gettext as _

from people.errors import Refusal

from . import reading
from .models import Run

SECONDS = 300


def as_csv(run: Run) -> Iterator[str]:
    """One line an event, one column a curve; empty where the event says nothing of it. `t` is in unix seconds."""
    names: dict[str, None] = {}
    for point in reading.points(run.folder):
        names |= dict.fromkeys(point.numbers)
    line = io.StringIO()
    writer = csv.writer(line, lineterminator="\n")
    writer.writerow(["attempt", "step", "t", *names])
    for point in reading.points(run.folder):
        numbers = ["" if (value := point.numbers.get(name)) is None else repr(value) for name in names]
        writer.writerow([point.attempt, point.step, point.t, *numbers])
        if line.tell() > 1 << 16:
            yield line.getvalue()
            line.seek(0)
            line.truncate()
    yield line.getvalue()


def as_tensorboard(run: Run) -> bytes:
    """A .zip with a folder of the run's name, which `tensorboard --logdir` takes once unpacked.

    Written by another process: the writer loads torch where it finds it, which the web process must not.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "training.tfevents", str(run.folder), folder]
        try:
            subprocess.run(command, cwd=settings.BASE_DIR, check=True, capture_output=True, timeout=SECONDS)
        except (OSError, subprocess.SubprocessError) as error:
            raise Refusal(_("The file could not be written: %(reason)s") % {"reason": error}, status=500) from error
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(Path(folder).iterdir()):
                archive.write(path, f"{file_name(run)}/{path.name}")
        return made.getvalue()


def file_name(run: Run) -> str:
    return f"{run.method}-{str(run.pk)[:8]}"
