"""A fair queue for one writer at a time, across threads and processes: first come, first served.

flock alone is not fair: the one who lets go can take it again before those it woke have run. Here everyone draws a
ticket, holds a lock on the byte of that ticket, and waits for the byte of the ticket before: each waits for exactly one other, in
order, without polling. A process that dies loses its locks, so the queue moves on; should it die while it waits, its
successor may enter early, and the database's own lock settles that.
"""

import os
import struct
from typing import Any

fcntl: Any
try:
    import fcntl
except ImportError:  # no such locks on this system
    fcntl = None

_DRAW = 0  # the byte held while a ticket is drawn; the counter itself is the file's first eight bytes
_FIRST = 8  # tickets are the bytes from here


class WriterQueue:
    """`enter()` returns when it is this holder's turn, `leave()` lets the next one in. One object per holder."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._fd: int | None = None

    @property
    def held(self) -> bool:
        return self._fd is not None

    def enter(self) -> None:
        if fcntl is None or self.held:
            return
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if hasattr(fcntl, "F_OFD_SETLKW"):
                _wait_in_line(fd)
            else:
                fcntl.flock(fd, fcntl.LOCK_EX)
        except BaseException:
            os.close(fd)
            raise
        self._fd = fd

    def leave(self) -> None:
        if self._fd is not None:
            fd, self._fd = self._fd, None
            os.close(fd)  # closing lets go of every lock taken through it


def _wait_in_line(fd: int) -> None:
    _lock(fd, _DRAW, fcntl.F_WRLCK)
    ticket = int.from_bytes(os.pread(fd, 8, 0), "little") + 1
    os.pwrite(fd, ticket.to_bytes(8, "little"), 0)
    _lock(fd, _FIRST + ticket, fcntl.F_WRLCK)
    _lock(fd, _DRAW, fcntl.F_UNLCK)
    _lock(fd, _FIRST + ticket - 1, fcntl.F_WRLCK)


def _lock(fd: int, byte: int, kind: int) -> None:
    """Take or give back one byte, for this open file (not for the process: threads queue too); waits where it must."""
    fcntl.fcntl(fd, fcntl.F_OFD_SETLKW, struct.pack("hhqqi", kind, os.SEEK_SET, byte, 1, 0))
