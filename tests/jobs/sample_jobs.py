"""Job functions for the tests, also loaded by the real worker process that one of them starts."""

import os
import signal
import time

from django.utils.translation import gettext_lazy as _

from jobs.registry import job
from people.errors import Refusal
from people.permissions import Right


@job("test-count", title=_("Count"), right=Right.MANAGE_PROJECTS)
def count(progress, *, steps, pause=0.0, file=None):
    for step in range(steps):
        progress.set(step, steps, f"step {step}")
        if file:
            with open(file, "a") as out:
                out.write(f"{step}\n")
        time.sleep(pause)
    progress.set(steps, steps)
    return {"message": "counted", "steps": steps}


@job("test-refuse", title=_("Refuse"), right=Right.MANAGE_PROJECTS)
def refuse(progress):
    raise Refusal(["The first thing is wrong.", "So is the second."])


@job("test-break", title=_("Break"), right=Right.MANAGE_PROJECTS)
def break_down(progress):
    raise KeyError("wheel")


@job("test-full-disk", title=_("Full disk"), right=Right.MANAGE_PROJECTS)
def full_disk(progress):
    raise OSError(28, "No space left on device", "/data/file")


@job("test-die", title=_("Die"), right=Right.MANAGE_PROJECTS)
def die_once(progress, *, file):
    """Kills its own worker the first time, as a lack of memory would."""
    with open(file, "a") as out:
        out.write("begun\n")
    with open(file) as lines:
        if len(lines.readlines()) == 1:
            os.kill(os.getpid(), signal.SIGKILL)
    return {}
