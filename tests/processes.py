"""For tests that start processes of their own: a port for each, and waiting for what they bring about."""

import contextlib
import os
import random
import socket
import time
from collections.abc import Callable

LONGEST = 600  # seconds that anything may take; a busy machine is slow, and only what fails takes so long


def until(condition: Callable[[], object], every: float = 0.05, seconds: float = LONGEST) -> None:
    """Wait for a condition, which may do a part of the work itself each time that it is asked."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(every)


def free_port() -> int:
    """Not one of those that the system hands out by itself, nor of those of the tests beside: nobody gets it before it is listened on."""
    mine = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    while True:
        port = random.SystemRandom().randrange(20_000 + mine, 32_000, workers)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
