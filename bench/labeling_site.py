"""The product's own server on a data folder of its own, for what is measured or proved about collecting rankings: started, watched, killed, looked into."""

import contextlib
import ctypes
import json
import os
import random
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"
START_SECONDS, STOP_SECONDS = 120, 60
WEB = [sys.executable, "-m", "gunicorn", "-c", str(ROOT / "config" / "gunicorn.py")]
EVERYTHING = [sys.executable, "manage.py", "start", "--no-demo"]  # what `make run` does
DATABASE = "peringkat.sqlite3"


def free_ports() -> tuple[int, int]:
    """Two ports next to each other (pages, model server) that nobody listens on.

    Not of those that the system hands out by itself, or a connection may take one while the site is down: even one to it, from its own port.
    """
    while True:
        port = random.SystemRandom().randrange(12_000, 20_000, 2)
        with socket.socket() as first, socket.socket() as second, contextlib.suppress(OSError):
            first.bind((HOST, port))
            second.bind((HOST, port + 1))
            return port, port + 1


class Site:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, models = free_ports()
        of_ours = {
            "PERINGKAT_DATA": str(folder),
            "PERINGKAT_PORT": str(self.port),
            "PERINGKAT_MODELS_PORT": str(models),
        }
        others = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PERINGKAT_", "DJANGO_")) and name not in {"DATABASE_URL", "WEB_CONCURRENCY"}
        }
        self.environment = {**others, **of_ours}
        self.process: subprocess.Popen | None = None
        self.log = folder.with_name(folder.name + ".log")

    def fill(self, **order: Any) -> None:
        """Make people and projects: bench/labeling_fill.py."""
        self._run([sys.executable, "-m", "bench.labeling_fill", json.dumps(order)])

    def _run(self, command: list[str]) -> None:
        with self.log.open("a") as log:
            done = subprocess.run(command, cwd=ROOT, env=self.environment, stdout=log, stderr=log, check=False)
        if done.returncode:
            raise SystemExit(f"{' '.join(command[:4])} ended with {done.returncode}:\n{self.log.read_text()[-3000:]}")

    def start(self, command: list[str] = EVERYTHING, *, before: tuple[str, ...] = ()) -> None:
        """Returns when the server answers; `before` stands in front of the command (a tracer)."""
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [*before, *command], cwd=ROOT, env=self.environment, stdout=log, stderr=log,
                start_new_session=True, preexec_fn=die_with_parent,
            )  # fmt: skip
        until = time.monotonic() + START_SECONDS
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > until:
                self.kill()
                raise SystemExit(f"The server did not start:\n{self.log.read_text()[-3000:]}")
            time.sleep(0.05)

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection((HOST, self.port), timeout=2) as connection:
            connection.sendall(f"GET /sign-in/ HTTP/1.0\r\nHost: {HOST}\r\n\r\n".encode())
            return connection.recv(12).endswith(b"200")
        return False

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Everything, once it has come to rest: the model server goes on loading its libraries for a while."""
        self.start()
        try:
            until = time.monotonic() + START_SECONDS
            busy = 1.0
            while busy > 0.1 and time.monotonic() < until:
                every = [self.process.pid, *descendants(self.process.pid)]
                busy = -self.cpu(every)
                time.sleep(1)
                busy += self.cpu(every)
            yield
        finally:
            self.stop()

    def stop(self) -> None:
        """As Ctrl-C does; what has not ended after a while is killed."""
        if self.process is None:
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.terminate()
            self.process.wait(STOP_SECONDS)
        self.kill()

    def kill(self) -> None:
        """kill -9 of the server and of every process it started, all at once."""
        if self.process is None:
            return
        for pid in [self.process.pid, *descendants(self.process.pid)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        self.process = None

    def web_processes(self) -> list[int]:
        """The gunicorn processes."""
        assert self.process is not None
        every = [self.process.pid, *descendants(self.process.pid)]
        return [
            pid
            for pid in every
            if b"gunicorn" in _read(f"/proc/{pid}/cmdline") and b"strace" not in _read(f"/proc/{pid}/comm")
        ]

    def cpu(self, processes: list[int] | None = None) -> float:
        """Seconds of processor time that the web processes (or those named) have taken."""
        ticks = 0
        for pid in self.web_processes() if processes is None else processes:
            numbers = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
            ticks += sum(map(int, numbers[11:13])) if numbers else 0
        return ticks / os.sysconf("SC_CLK_TCK")

    @contextlib.contextmanager
    def database(self, *, changes: bool = False) -> Iterator[sqlite3.Connection]:
        """The database by plain SQL, not through the product."""
        connection = sqlite3.connect(
            f"file:{self.folder / DATABASE}?mode={'rw' if changes else 'ro'}", uri=True, timeout=30
        )
        try:
            yield connection
            connection.commit()
        finally:
            connection.close()

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.log.unlink(missing_ok=True)


def die_with_parent() -> None:
    """In the child, before exec: ask the kernel for SIGTERM when the parent dies, however it dies (Linux only)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def descendants(pid: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (numbers := _read(f"/proc/{entry}/stat").rpartition(b")")[2].split()):
            children.setdefault(int(numbers[1]), []).append(int(entry))
    found, open_ = [], [pid]
    while open_:
        more = children.get(open_.pop(), [])
        found += more
        open_ += more
    return found


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""


def machine_cpu() -> float:
    """Seconds of processor time that this machine has spent on anything."""
    ticks = [int(part) for part in _read("/proc/stat").split(b"\n", 1)[0].split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")


def look(connection: sqlite3.Connection, acknowledged: dict[str, list[str]]) -> dict[str, int]:
    """What the database says about everything that was acknowledged, {client key: (assignment, notation in the letters shown)}."""
    found = Counter(unknown=0, different=0)
    rows = connection.execute(
        "SELECT r.client_key, r.assignment_id, r.tiers, a.display, a.task_id FROM labeling_ranking r"
        " JOIN labeling_assignment a ON a.id = r.assignment_id WHERE r.client_key <> a.id"  # the veteran's past
    )
    outputs: dict[int, list[int]] = {}
    stored: set[str] = set()
    turns: Counter[str] = Counter()
    for key, assignment, tiers, display, task in rows:
        turns[assignment] += 1
        if key not in acknowledged:
            found["unknown"] += 1
            continue
        stored.add(key)
        if task not in outputs:
            sql = "SELECT completion_id FROM labeling_taskitem WHERE task_id = ? ORDER BY position"
            outputs[task] = [output for (output,) in connection.execute(sql, [task])]
        shown = [outputs[task][position] for position in json.loads(display)]
        said_of, said = acknowledged[key]
        meant = [
            sorted(shown["ABCDEFGHI".index(letter)] for letter in re.findall("[A-I]", tier))
            for tier in said.split(">")
        ]
        if (said_of.replace("-", ""), meant) != (
            assignment.replace("-", ""),
            [sorted(tier) for tier in json.loads(tiers)],
        ):
            found["different"] += 1
    found["acknowledged"] = len(acknowledged)
    found["lost"] = len(acknowledged.keys() - stored)
    found["twice"] = sum(count > 1 for count in turns.values())

    def count(sql: str) -> int:
        return connection.execute(f"SELECT COUNT(*) FROM ({sql})").fetchone()[0]

    # Counted anew from the turns, whatever the tasks' own counters say.
    held = "SELECT task_id, COUNT(*) AS n, COUNT(DISTINCT annotator_id) AS people FROM labeling_assignment WHERE state IN ('claimed', 'submitted') AND aside = 0 GROUP BY task_id"
    found["over_assigned"] = count(
        f"SELECT 1 FROM labeling_task t JOIN ({held}) h ON h.task_id = t.id WHERE h.n > t.overlap OR h.n > h.people"
    )
    found["wrong_slots"] = count(
        f"SELECT 1 FROM labeling_task t LEFT JOIN ({held}) h ON h.task_id = t.id WHERE t.kind = 'normal'"
        " AND t.free_slots + COALESCE(h.n, 0) <> t.overlap"
    )
    return dict(found)
