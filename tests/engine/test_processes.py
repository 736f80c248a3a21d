"""What processes do together, in two real ones."""

import json
from pathlib import Path

import pytest

from . import runs

pytestmark = pytest.mark.slow  # starts processes that load torch

TOGETHER = """
import json, os, sys
from pathlib import Path
import psutil, torch
from training.engine import processes
from training.engine.messages import Failed, Message
processes.BUCKET = 3
if not processes.launched().index:
    os.environ.pop("OMP_NUM_THREADS", None)
psutil.cpu_count = lambda logical: 7
with processes.started(2, [sys.executable, *sys.orig_argv[1:]]):
    both = processes.Processes(torch.device("cpu"))
    me = both.index
    def fails(number, error):
        if me == number:
            raise error
        return me
    def failure(number, error=ValueError("not here")):
        try:
            return both.every(lambda: fails(number, error))
        except Exception as error:
            return f"{type(error).__name__}: {error}"
    tensors = [torch.tensor([[1.0, 2.0]]) + me, torch.tensor(3.0), torch.tensor([5, 6], dtype=torch.int64), torch.ones(4)]
    both.add_up(tensors)
    found = {
        "shared": both.shared("abcde", lambda some: [f"{letter}{me}" for letter in some]),
        "one": both.shared("a", lambda some: [f"{letter}{me}" for letter in some]),
        "slice": list(range(5))[both.share],
        "main": both.main_says(me),
        "threads": os.environ["OMP_NUM_THREADS"],
        "listens": [each.laddr.ip for each in psutil.Process().net_connections() if each.status == psutil.CONN_LISTEN],
        "sums": [tensor.tolist() for tensor in tensors],
        "failures": [failure(0), failure(1), failure(2)],
        "plain": failure(1, Failed(Message("no-luck", "In plain words: %(why)s.", {"why": "no luck"}))),
    }
    Path(sys.argv[1], f"{me}.json").write_text(json.dumps(found))
    both.every(lambda: None)  # the others end with the first
    both.leave()
"""


def test_they_share_gather_and_add_up(tmp_path: Path):
    code, said = runs.ended(runs.started("-c", TOGETHER, str(tmp_path)))
    assert code == 0, said
    first, second = (json.loads((tmp_path / f"{index}.json").read_text()) for index in (0, 1))
    assert first["shared"] == second["shared"] == ["a0", "b1", "c0", "d1", "e0"]
    assert first["one"] == second["one"] == ["a0"]
    assert (first["slice"], second["slice"]) == ([0, 2, 4], [1, 3])
    assert first["main"] == second["main"] == 0
    assert first["threads"] == second["threads"] == "3"  # of seven cores
    assert set(first["listens"] + second["listens"]) <= {"127.0.0.1", "::1"}  # nobody else can speak to them
    assert first["sums"] == second["sums"] == [[[3.0, 5.0]], 6.0, [10, 12], [2.0, 2.0, 2.0, 2.0]]
    assert first["failures"] == ["ValueError: not here", "RuntimeError: ValueError: not here", [0, 1]]
    assert second["failures"] == ["RuntimeError: ValueError: not here", "ValueError: not here", [0, 1]]
    assert first["plain"] == second["plain"] == "Failed: In plain words: no luck."
