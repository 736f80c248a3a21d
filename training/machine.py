"""What the machine that trains can compute on. Asked of torch in a process of its own, and kept in a file that the pages read."""

import json
import logging
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from django.conf import settings

from models_registry.words import figure

from .engine import functions
from .engine.contract import write_json

logger = logging.getLogger("training.machine")


def _file() -> Path:
    return Path(settings.RUNS) / "devices.json"


def look() -> threading.Thread:
    """Find out anew, in the background: starting torch takes seconds. The supervisor does it at its start, since its machine is the one."""
    thread = threading.Thread(target=_look, name="devices", daemon=True)
    thread.start()
    return thread


def _look() -> None:
    command = [sys.executable, "-m", "training.engine", "--devices"]
    try:
        said = subprocess.run(command, cwd=settings.BASE_DIR, capture_output=True, timeout=300, check=True).stdout
        write_json(_file(), json.loads(said))
    except (OSError, ValueError, subprocess.SubprocessError):
        logger.exception("It could not be found out which devices this machine has.")


def devices() -> dict[str, str]:
    """{name: title} of what a run can be told to compute on; the processor alone until a supervisor has looked."""
    try:
        found: list[dict[str, Any]] = json.loads(_file().read_text())
    except (OSError, ValueError):
        found = [{"name": "cpu"}]
    return {each["name"]: _title(each) for each in found}


def _title(device: dict[str, Any]) -> str:
    if "memory" not in device:
        return ""
    return f"{device['name']} · {device['title']} · {figure(device['memory'] / 2**30, 0)} GiB"


def reward_functions() -> dict[str, str]:
    """What PERINGKAT_REWARD_FUNCTIONS names; nothing unless it is set."""
    return dict.fromkeys(functions.allowed(), "")


OFFERS = {"devices": devices, "reward_functions": reward_functions}


def offered(what: str) -> dict[str, str]:
    """{value: title} that a setting's `offers` names; a title may be empty."""
    return OFFERS[what]() if what in OFFERS else {}
