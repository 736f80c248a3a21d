"""Where a run computes: the devices that a Config may name, which of them this machine has, and keeping a run to its own. Loads no torch
until it is asked what there is."""

import os
import sys
from typing import TYPE_CHECKING, Any

from .messages import Message, Refused, _
from .processes import launched

if TYPE_CHECKING:
    import torch

_VISIBLE = "CUDA_VISIBLE_DEVICES"
_only: str | None = None  # the GPU that `see_only` left to this process: torch calls it cuda:0


def available() -> list[dict[str, Any]]:
    """The devices that torch can compute on here: [{"name": "cpu"}, {"name": "cuda:0", "title": "NVIDIA …", "memory": bytes}]."""
    import torch

    found: list[dict[str, Any]] = [{"name": "cpu"}]
    for number in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        about = torch.cuda.get_device_properties(number)
        found.append({"name": f"cuda:{number}", "title": about.name, "memory": about.total_memory})
    return found


def see_only(wanted: str) -> None:
    """For a process that does nothing but one run: hide every other GPU, so that no library of this run takes a place there.

    Call it before torch is loaded. `wanted` is a Config's device; "auto" leaves everything as it is.
    """
    global _only
    if wanted == "auto" or "torch" in sys.modules or (launched().number > 1 and wanted != "cpu"):
        return
    if wanted == "cpu":
        os.environ[_VISIBLE] = ""
        return
    number = int(wanted.partition(":")[2] or 0)
    visible = [name for name in os.environ.get(_VISIBLE, "").split(",") if name.strip()]
    if _VISIBLE not in os.environ:
        os.environ[_VISIBLE] = str(number)
    else:
        os.environ[_VISIBLE] = visible[number] if number < len(visible) else ""
    _only = f"cuda:{number}"


def find(wanted: str) -> "torch.device":
    """The device that a Config names. Refused when this machine has no such thing."""
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if wanted == "cpu" or (wanted == "auto" and not count):
        return torch.device("cpu")
    if (here := launched()).number > 1:
        if ":" in wanted or here.local_number > count:
            text = _("%(number)s processes need as many GPUs, and this machine has %(count)s for them. Set the device to cuda and fewer processes, or to cpu.")  # fmt: skip
            raise Refused(Message("too-few-devices", text, {"number": here.local_number, "count": count}))
        wanted = f"cuda:{here.local_index}"
    number = 0 if _only else int(wanted.partition(":")[2] or 0)
    if number >= count:
        text = _("This machine has no device “%(device)s” that training can use. Choose another, or automatic.")
        raise Refused(Message("no-device", text, {"device": wanted}))
    if wanted in ("auto", "cuda"):
        return torch.device("cuda")
    torch.cuda.set_device(number)
    return torch.device("cuda", number)


def name_of(device: "torch.device") -> str:
    """What people call it."""
    return _only if _only and device.type == "cuda" else str(device)
