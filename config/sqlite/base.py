"""Django's SQLite backend with a fair queue of writers in front of BEGIN IMMEDIATE.

SQLite's busy handler polls with growing sleeps, so under load one writer may wait for seconds while others
pass it. Here a writer first takes an flock on a file beside the database (waiters are woken in the order in which they
came) and holds it until its transaction ends; SQLite's own lock is then free at once. The busy timeout
stays as the net under it, for single statements outside transactions and for other programs.
"""

import os

try:
    import fcntl
except ImportError:  # no flock on this system: SQLite's busy handler alone
    fcntl = None

from django.db.backends.sqlite3 import base


class DatabaseWrapper(base.DatabaseWrapper):
    _queue_fd: int | None = None

    def _enter_queue(self) -> None:
        if fcntl is None or self.is_in_memory_db() or self._queue_fd is not None:
            return
        fd = os.open(f"{self.settings_dict['NAME']}.writers", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
        except BaseException:
            os.close(fd)
            raise
        self._queue_fd = fd

    def _leave_queue(self) -> None:
        if self._queue_fd is not None:
            fd, self._queue_fd = self._queue_fd, None
            os.close(fd)  # closing releases the lock

    def _start_transaction_under_autocommit(self) -> None:
        self._enter_queue()
        try:
            super()._start_transaction_under_autocommit()
        except BaseException:
            self._leave_queue()
            raise

    def _commit(self):
        try:
            return super()._commit()
        finally:
            # A failed COMMIT is followed by a rollback, which is short; the next writer then waits on SQLite's own lock.
            self._leave_queue()

    def _rollback(self):
        try:
            return super()._rollback()
        finally:
            self._leave_queue()

    def _close(self):
        try:
            return super()._close()
        finally:
            self._leave_queue()
