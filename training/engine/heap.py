"""How this process takes memory from the system, for computing on the processor."""

import ctypes
import platform

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of malloc.h
LARGEST = (1 << 30, 1 << 25)  # bytes; glibc before 2.35 refuses more than 32 MiB


def keep() -> None:
    """Let glibc keep what large tensors leave. By default it gives them back to the system one by one, and each new one is then filled with
    zeros by the kernel, page by page: a sixth of the time of an update of PPO. Elsewhere this does nothing."""
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        any(libc.mallopt(M_MMAP_THRESHOLD, size) for size in LARGEST)
        libc.mallopt(M_TRIM_THRESHOLD, (1 << 31) - 1)
