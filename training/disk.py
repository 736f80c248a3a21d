"""How much room the runs' folders take, what of it can be deleted, and whether there is room for another run."""

import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from .models import Limits, Run

LEFTOVERS = ("checkpoints", "cache", "exports")  # folders that an ended run can do without
_measured: tuple[float, Path, int] | None = None
MEASURE_EVERY = 30.0  # seconds


@dataclass(frozen=True)
class Usage:
    """Bytes of one run's folder."""

    run: Run
    checkpoints: int
    other_leftovers: int
    total: int

    @property
    def leftovers(self) -> int:
        return self.checkpoints + self.other_leftovers

    @property
    def loses_its_place(self) -> bool:
        """Whether the run could be resumed and would begin anew without its checkpoints."""
        return self.run.is_resumable and self.checkpoints > 0


def size_of(folder: Path) -> int:
    """Bytes on the disk of everything under it."""
    total = 0
    for path in folder.rglob("*"):
        try:
            about = path.lstat()
        except FileNotFoundError:  # a checkpoint that has just been replaced
            continue
        total += about.st_blocks * 512
    return total


def usage(runs: Iterable[Run]) -> list[Usage]:
    """Of each run that has a folder, the largest first."""
    found = []
    for run in runs:
        if not run.folder.is_dir():
            continue
        checkpoints, *others = (size_of(run.folder / name) for name in LEFTOVERS)
        found.append(Usage(run, checkpoints, sum(others), size_of(run.folder)))
    return sorted(found, key=lambda each: each.total, reverse=True)


def used(*, now: bool = False) -> int:
    """Bytes of all runs together; measured at most twice a minute, unless asked for `now`."""
    global _measured
    place = Path(settings.RUNS)
    if now or _measured is None or _measured[1] != place or time.monotonic() - _measured[0] > MEASURE_EVERY:
        _measured = time.monotonic(), place, size_of(place)
    return _measured[2]


def limit() -> int | None:
    """Bytes that the runs may take; None: what the disk holds."""
    gigabytes = Limits.objects.values_list("disk_gb", flat=True).first()
    return None if gigabytes is None else int(gigabytes * 10**9)


def free() -> int:
    """Bytes that the runs may take besides what they have: by their limit, and by what the disk holds."""
    place = Path(settings.RUNS)
    place.mkdir(parents=True, exist_ok=True)
    holds = shutil.disk_usage(place).free
    most = limit()
    return holds if most is None else max(0, min(holds, most - used()))


def is_full() -> bool:
    """Whether the runs have reached their limit, so that no other one is started."""
    most = limit()
    return most is not None and used() >= most
