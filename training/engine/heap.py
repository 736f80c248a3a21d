"""How this process takes memory from the system, and how much it has taken. Light: loads no torch."""

import ctypes
import platform
import resource
import sys
from pathlib import Path

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of malloc.h
LARGEST = (1 << 30, 1 << 25)  # bytes; glibc before 2.35 refuses more than 32 MiB


def keep() -> None:
    """Let glibc keep what large tensors leave. By default it gives them back to the system one by one, and each new one is then filled with
    zeros by the kernel, page by page: a sixth of the time of an update of PPO. Elsewhere this does nothing."""
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        any(libc.mallopt(M_MMAP_THRESHOLD, size) for size in LARGEST)
        libc.mallopt(M_TRIM_THRESHOLD, (1 << 31) - 1)


def peak() -> int:
    """Bytes of memory that this process has held at most. Not getrusage's where Linux tells its own: there a new process has the peak of the
    one that started it, as if it were its own."""
    try:
        told = Path("/proc/self/status").read_text()
        return 1024 * next(int(line.split()[1]) for line in told.splitlines() if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss: bytes on macOS, KiB elsewhere
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
