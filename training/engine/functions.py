"""Python functions that a run may call by dotted path: only those that whoever owns the machine names in its environment. Light.

A run's settings come from anyone who may start runs, and calling a function runs its code. So the settings can only choose among what
PERINGKAT_REWARD_FUNCTIONS lists, comma separated; without it nothing can be called.
"""

import os
from collections.abc import Callable
from hashlib import sha256
from importlib import import_module
from inspect import getsourcefile
from pathlib import Path

from .messages import Message, Refused, _

VARIABLE = "PERINGKAT_REWARD_FUNCTIONS"


def allowed() -> list[str]:
    """The dotted paths, as they are written in the environment."""
    return [path.strip() for path in os.environ.get(VARIABLE, "").split(",") if path.strip()]


def problem_of(path: str, field: str) -> Message | None:
    """Why this function may not be called; None if it may."""
    known = allowed()
    if path in known:
        return None
    if not known:
        text = _("“%(field)s”: Python functions are switched off here. Who runs the machine can name those that may be called, in its environment: %(variable)s=%(path)s.")  # fmt: skip
        return Message("functions-off", text, {"field": field, "variable": VARIABLE, "path": path})
    text = _("“%(field)s”: %(path)s may not be called here. These may: %(known)s.")
    return Message("function-not-allowed", text, {"field": field, "path": path, "known": ", ".join(known)})


def found(path: str, field: str) -> Callable:
    """The function itself. Refused where it may not be called, or cannot be had."""
    if problem := problem_of(path, field):
        raise Refused(problem)
    module, _dot, name = path.rpartition(".")
    try:
        function = getattr(import_module(module), name)
        if not callable(function):
            raise TypeError("it is no function")
    except (
        Exception,
        SystemExit,
    ) as error:  # whatever the code of others raises when it is read; a script may end the program
        text = _("“%(field)s”: %(path)s cannot be loaded: %(reason)s.")
        reason = f"{type(error).__name__}: {error}"
        raise Refused(Message("function-not-there", text, {"field": field, "path": path, "reason": reason})) from None
    return function


def file_sha256(function: Callable) -> str | None:
    """Of the file that a function is written in; None where it has none."""
    try:
        file = getsourcefile(function)
    except TypeError:
        return None
    return sha256(Path(file).read_bytes()).hexdigest() if file else None
