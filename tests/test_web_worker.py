"""The web server's worker: a new connection goes to whoever holds fewer, and to one alone."""

import socket

import pytest

from config import worker
from config.gunicorn import worker_class


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        yield listening


def holding(connections: int):
    """A worker with so many connections that has not been started; `served` are those that it took."""
    made = object.__new__(worker.Worker)
    made.nr_conns, made.cfg, made.served = connections, None, []
    made.enqueue_req = made.served.append
    return made


def test_whoever_holds_more_comes_later_and_nobody_waits_for_long(listener, monkeypatch):
    slept = []
    monkeypatch.setattr(worker.time, "sleep", slept.append)
    for connections in (0, 1, 7, 1000):
        holding(connections).accept(listener)
    assert slept[0] == 0
    assert slept[0] < slept[1] < slept[2] < slept[3] == worker.LONGEST_PAUSE


def test_a_connection_is_taken_once_by_who_comes_first(listener, monkeypatch):
    few, many = holding(1), holding(5)
    # Both are woken; while the one with more of them pauses, the other has its turn.
    monkeypatch.setattr(worker.time, "sleep", lambda pause: pause > 0.001 and few.accept(listener))
    with socket.create_connection(listener.getsockname()):
        many.accept(listener)
        assert (few.nr_conns, many.nr_conns) == (2, 5)
        assert (len(few.served), many.served) == (1, [])
        few.served[0].sock.close()


def test_it_is_the_one_that_the_server_starts():
    assert worker_class == f"{worker.Worker.__module__}.{worker.Worker.__name__}"
