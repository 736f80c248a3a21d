"""Django's SQLite backend with a fair queue of writers in front of BEGIN IMMEDIATE.

SQLite's busy handler polls with growing sleeps, so under load one writer may wait for seconds while others
pass it. Here a writer first waits its turn in a queue and keeps its place until its transaction ends; SQLite's own lock is
then free at once. The busy timeout stays as the net under it: for single statements outside transactions, and for
other programs.
"""

import sqlite3
from functools import lru_cache
from typing import Any

from django.db.backends.sqlite3 import base

from .queue import WriterQueue


class Cursor(base.SQLiteCursorWrapper):
    """Django's, which turns %s into ? anew for each statement; here that happens once for those that come again."""

    def execute(self, query: str, params: Any = None) -> Any:
        if type(params) not in (list, tuple):  # none, or by name
            return super().execute(query, params)
        return sqlite3.Cursor.execute(self, _with_question_marks(query), params)


@lru_cache(maxsize=200)
def _with_question_marks(query: str) -> str:
    return base.FORMAT_QMARK_REGEX.sub("?", query).replace("%%", "%")


class DatabaseWrapper(base.DatabaseWrapper):
    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self._queue: WriterQueue | None = None

    def create_cursor(self, name: str | None = None) -> Cursor:
        return self.connection.cursor(factory=Cursor)

    @property
    def holds_the_turn(self) -> bool:
        return self._queue is not None and self._queue.held

    def _leave_queue(self) -> None:
        if self._queue is not None:
            self._queue.leave()

    def _start_transaction_under_autocommit(self) -> None:
        if not self.is_in_memory_db():
            self._queue = self._queue or WriterQueue(f"{self.settings_dict['NAME']}.writers")
            self._queue.enter()
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
