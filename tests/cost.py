"""What something costs, so that it does not depend on what else the machine does: in SQLite's steps, or in seconds of a core of known speed."""

from collections.abc import Callable
from time import process_time

import numpy as np
from django.db import connection

YARDSTICK_SECONDS = 0.05  # what the yardstick took on the machine on which bounds were set


def steps(work: Callable[[], object]) -> int:
    """How many instructions SQLite's virtual machine ran for `work`."""
    count = 0

    def tick() -> None:
        nonlocal count
        count += 1

    connection.ensure_connection()
    connection.connection.set_progress_handler(tick, 1)
    try:
        work()
    finally:
        connection.connection.set_progress_handler(None, 0)
    return count


def core_seconds(work: Callable[[], object]) -> float:
    """Processor time of `work`, as if no other work had made the core slower, nor another core were slower by itself."""
    before = _yardstick()
    took = _processor_time(work)
    return took * min(1.0, YARDSTICK_SECONDS / max(before, _yardstick()))


def _yardstick() -> float:
    """Processor time of a fixed piece of work, in Python and numpy by halves."""

    def work() -> None:
        sum(number % 7 for number in range(800_000))
        for _turn in range(15):
            np.sort(np.random.default_rng(0).random(50_000))

    return _processor_time(work)


def _processor_time(work: Callable[[], object]) -> float:
    begin = process_time()
    work()
    return process_time() - begin
