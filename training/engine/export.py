"""The result that a run would have if it ended at a checkpoint: made beside the run, which goes on meanwhile. Light.

A folder RUN_DIR.step-N with the same run.json (paths in it are relative, so it lies beside) and that checkpoint, on which the method runs without a
single update. The files of the checkpoint are linked, not copied: the run may delete its own at any time.
"""

import os
import shutil
from pathlib import Path

from .messages import Message, Refused, _


def checkpoints(run_dir: Path) -> list[int]:
    """The steps of the checkpoints that are there, the oldest first."""
    names = [path.name.removeprefix("step-") for path in (run_dir / "checkpoints").glob("step-*")]
    return sorted(int(name) for name in names if name.isdecimal())


def place(run_dir: Path, step: int) -> Path:
    return run_dir.with_name(f"{run_dir.name}.step-{step}")


def prepare(run_dir: Path, step: int | None) -> Path:
    """Set the folder beside `run_dir` up for its checkpoint `step`, or the newest. Refused when there is none."""
    there = checkpoints(run_dir)
    chosen = step if step is not None else there[-1] if there else None
    missing = Message("no-checkpoint", _("The run has no such checkpoint; it may have been replaced by a newer one."))
    if chosen not in there:
        raise Refused(missing)
    folder = place(run_dir, chosen)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        name = f"step-{chosen}"
        linked = folder / "checkpoints" / name
        shutil.copytree(run_dir / "checkpoints" / name, linked, copy_function=os.link)
        shutil.copyfile(run_dir / "run.json", folder / "run.json")
    except (OSError, shutil.Error):  # deleted while it was linked
        shutil.rmtree(folder, ignore_errors=True)
        raise Refused(missing) from None
    return folder
