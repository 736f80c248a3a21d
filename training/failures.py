"""Why a process ended that had not been asked to, in plain words: from its signal or exit code, its log and the memory.

The sentences are engine messages: kept with their parameters and translated for whoever reads them (`said`).
"""

import errno
import os
import re
import signal
from dataclasses import dataclass
from pathlib import Path

from django.utils.translation import gettext

from models_registry.words import figure, powers

from .engine.messages import Message, _


@dataclass(frozen=True)
class Death:
    """What is known about a process that ended without a word. `exit_code` is negative for a signal, None if unknown."""

    exit_code: int | None
    peak_bytes: int = 0
    out_of_memory: bool = False  # the kernel counted a kill for lack of memory while it ran
    log: tuple[str, ...] = ()


def causes(death: Death) -> list[Message]:
    """What happened, what is kept, what to do."""
    kept = Message("run.kept", _("Everything up to the last checkpoint is kept; resume the run to go on from there."))
    look = Message("run.look", _("The log has the details."))
    spare = Message(
        "run.spare",
        _("Fewer rows at once or a smaller model need less memory; close what else uses it before you resume."),
    )
    number = -death.exit_code if death.exit_code is not None and death.exit_code < 0 else 0
    log = "\n".join(death.log[-40:])
    peak = {"size": f"{death.peak_bytes / 2**30:.1f} GiB"}
    if death.out_of_memory or "MemoryError" in log or "out of memory" in log.lower():
        return [Message("run.memory", _("Memory ran out; the run held up to %(size)s."), peak), kept, spare]
    if number == signal.SIGKILL:
        killed = _(
            "The system ended the process without warning when it held up to %(size)s; most often memory ran out."
        )
        return [Message("run.killed", killed, peak), kept, spare]
    if os.strerror(errno.ENOSPC) in log:
        return [Message("run.disk", _("The disk is full. Make room before you resume.")), kept]
    if number:
        crashed = _("The process crashed with signal %(signal)s.")
        return [Message("run.crashed", crashed, {"signal": signal.Signals(number).name}), kept, look]
    if death.exit_code is None:
        return [Message("run.vanished", _("The process ended before its work was done.")), kept, look]
    ended = _("The process ended with exit code %(code)d before its work was done. %(last)s")
    last = next((line.strip() for line in reversed(death.log) if re.match(r"[\w.]*(Error|Exception)\b", line)), "")
    return [Message("run.ended", ended, {"code": death.exit_code, "last": last}), kept, look]


def said(messages: list[dict]) -> list[str]:
    """Messages as they are stored, in the reader's language and notation of numbers."""
    return [_filled(gettext(m["text"]), m["params"]) if m.get("params") else gettext(m["text"]) for m in messages]


def _filled(text: str, params: dict) -> str:
    params = {name: said([value])[0] if isinstance(value, dict) else value for name, value in params.items()}
    text = re.sub(r"%\((\w+)\)\.(\d)f", lambda place: figure(params[place[1]], int(place[2])), text)
    text = re.sub(r"%\((\w+)\)(\.\d[eg])", lambda place: powers(format(params[place[1]], place[2])), text)
    return text % params


def out_of_memory_kills() -> int:
    """How often the kernel has killed a process of this container, or of this machine, for lack of memory."""
    for path in (
        "/sys/fs/cgroup/memory.events",
        "/sys/fs/cgroup/memory/memory.oom_control",
        "/proc/vmstat",
    ):
        try:
            lines = Path(path).read_text().splitlines()
        except OSError:
            continue
        for line in lines:
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0
