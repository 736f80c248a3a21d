"""Writers on SQLite queue fairly: none waits while the others pass it, none is lost, readers are not held up."""

import threading

import pytest
from django.db import DatabaseError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from config.sqlite.base import DatabaseWrapper

WRITERS, EACH = 6, 60
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def connect(tmp_path, settings):
    def make() -> BaseDatabaseWrapper:
        mine = {**settings.DATABASES["default"], "NAME": str(tmp_path / "queue.sqlite3"), "TIME_ZONE": None}
        mine |= {"AUTOCOMMIT": True, "ATOMIC_REQUESTS": False, "CONN_HEALTH_CHECKS": False, "CONN_MAX_AGE": None}
        return DatabaseWrapper(mine, alias="queue")

    connection = make()
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE counter (writer INTEGER PRIMARY KEY, n INTEGER NOT NULL)")
        cursor.executemany("INSERT INTO counter VALUES (%s, 0)", [(i,) for i in range(WRITERS)])
    connection.close()
    return make


def write_once(connection: BaseDatabaseWrapper, writer: int) -> None:
    """What `transaction.atomic` does on the default connection, on one of our own."""
    connection.set_autocommit(False, force_begin_transaction_with_broken_autocommit=True)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE counter SET n = n + 1 WHERE writer = %s", [writer])
    connection.commit()
    connection.set_autocommit(True)


@pytest.mark.slow
def test_every_writer_advances_alike_and_nothing_is_lost(connect):
    counts = [0] * WRITERS
    at_first_finish: list[list[int]] = []
    start = threading.Barrier(WRITERS)

    def work(writer: int) -> None:
        connection = connect()
        start.wait()
        for _ in range(EACH):
            write_once(connection, writer)
            counts[writer] += 1
        at_first_finish.append(list(counts))
        connection.close()

    threads = [threading.Thread(target=work, args=(i,)) for i in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert min(at_first_finish[0]) > EACH // 3  # when the first was done, the slowest was well on its way
    connection = connect()
    with connection.cursor() as cursor:
        cursor.execute("SELECT n FROM counter")
        assert [n for (n,) in cursor.fetchall()] == [EACH] * WRITERS
    connection.close()


def test_a_failed_transaction_gives_its_place_back(connect):
    first, second = connect(), connect()
    first.set_autocommit(False, force_begin_transaction_with_broken_autocommit=True)
    with pytest.raises(DatabaseError), first.cursor() as cursor:
        cursor.execute("INSERT INTO counter VALUES (0, 0)")
    first.rollback()
    first.set_autocommit(True)
    write_once(second, 0)  # would wait for ever if the place were still held
    first.close()
    second.close()


def test_the_default_connection_uses_it():
    from django.db import connection

    if connection.vendor != "sqlite":
        pytest.skip("the queue is for SQLite")
    assert isinstance(connections["default"], DatabaseWrapper)
    with transaction.atomic():
        held = connection.holds_the_turn or connection.is_in_memory_db()
    assert held
    assert not connection.holds_the_turn
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA synchronous")
        assert cursor.fetchone() == (2,)  # FULL
        cursor.execute("PRAGMA journal_mode")
        assert cursor.fetchone() in {("wal",), ("memory",)}
