"""The short jobs of the runs: a checkpoint that becomes a version; and those of the policies that a run keeps (policies/jobs.py)."""

import shutil
import subprocess
import sys

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from jobs.registry import job
from people.errors import Refusal
from people.permissions import Right

from . import actions, queries, reading
from .engine.export import place
from .failures import said
from .models import Run
from .policies import jobs as policies  # noqa: F401  their jobs are declared where this file is looked for


@job("register-checkpoint", title=gettext_lazy("Register a checkpoint"), right=Right.LAUNCH_RUNS)
def register_checkpoint(progress, *, run: str, step: int) -> dict:
    """The engine makes the checkpoint a result in a folder beside the run's, in a process of its own: this one loads no model."""
    found = Run.objects.get(pk=run)
    folder = place(found.folder, step)
    command = [sys.executable, "-m", "training.engine", str(found.folder), "--from-checkpoint", str(step)]
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    child = subprocess.Popen(command, cwd=settings.BASE_DIR, **quiet)
    try:
        while child.poll() is None:
            progress.set(0, 0, _("reading the checkpoint"))  # raises when the job is cancelled
            try:
                child.wait(1)
            except subprocess.TimeoutExpired:
                continue
        if child.returncode:
            status = queries.status_of(folder)
            cause = status.get("error", {}).get("cause")
            problems = said(status.get("problems") or ([cause] if cause else []))
            raise Refusal(problems or _("The run has no such checkpoint; it may have been replaced by a newer one."))
        version = actions.register_checkpoint(
            actor=progress.job.created_by,
            run=found,
            step=step,
            folder=folder / "output",
            metrics=reading.metrics(folder),
        )
    finally:
        child.kill()
        shutil.rmtree(folder, ignore_errors=True)
    return {
        "message": _("%(version)s is what the run had learned at step %(step)s.") % {"version": version, "step": step},
        "url": version.get_absolute_url(),
    }
