"""What unfinished work leaves on the disk: found by its age, and removed by whoever comes next."""

import time
from collections.abc import Iterable
from pathlib import Path


def older_than(seconds: float, paths: Iterable[Path]) -> list[Path]:
    """Those not changed for so long. One that goes while we look was somebody else's to remove: many sweep the same place at once."""
    found = []
    for path in paths:
        try:
            age = time.time() - path.stat().st_mtime
        except FileNotFoundError:
            continue
        if age > seconds:
            found.append(path)
    return found
