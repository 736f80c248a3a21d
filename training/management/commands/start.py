"""manage.py start: everything on one machine (web server, worker, supervisor of the runs, model server) until Ctrl-C.

Each part is a process of its own, in a session of its own, so that Ctrl-C in a terminal reaches this process alone and it can
stop the parts in order. A part that dies is started again. A part cannot outlive this process (on Linux): training then stops
at a checkpoint, as it does at Ctrl-C, and goes on at the next start.
"""

import contextlib
import ctypes
import fcntl
import hashlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection, transaction
from django.db.migrations.executor import MigrationExecutor

from people.actions import generated_password
from people.addresses import is_loopback
from people.models import Role, User, audit

from .compile_texts import compile_texts

GRACE_SECONDS = {"supervise": 600}  # a checkpoint of a large model takes its time; the others have nothing to save
LONGEST_PAUSE = 60


@dataclass
class Part:
    """One process that is kept running."""

    name: str
    command: list[str]
    process: subprocess.Popen | None = None
    started: float = 0.0
    pause: float = 1.0  # before the next start after a death; doubles while it keeps dying young
    start_at: float = 0.0

    def start(self) -> None:
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            self.command, cwd=settings.BASE_DIR, start_new_session=True, preexec_fn=_die_with_parent
        )

    def mind(self) -> str | None:
        """Start what is down and due; says what happened, if anything did."""
        now = time.monotonic()
        if self.process is not None:
            if (code := self.process.poll()) is None:
                return None
            self.process = None
            if now - self.started > LONGEST_PAUSE:
                self.pause = 1.0
            self.start_at = now + self.pause
            pause, self.pause = self.pause, min(2 * self.pause, LONGEST_PAUSE)
            return f"{self.name} ended (exit code {code}); it starts again in {pause:.0f} s."
        if now >= self.start_at:
            self.start()
        return None


@dataclass
class Signals:
    """Counts the requests to stop: the first is polite, the second means now."""

    count: int = 0
    previous: dict = field(default_factory=dict)

    def __enter__(self) -> "Signals":
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self.previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self.previous.items():
            signal.signal(number, handler)

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1


class Command(BaseCommand):
    help = "Start everything on this machine; Ctrl-C stops it."

    def add_arguments(self, parser) -> None:
        parser.add_argument("--no-demo", action="store_true", help="do not create the demo project")
        parser.add_argument("--no-models", action="store_true", help="do not start the model server")

    def handle(self, *, no_demo: bool, no_models: bool, **options) -> None:
        with only_one(), Signals() as signals:
            _check_port(settings.HOST, settings.PORT, "PERINGKAT_PORT")
            if not no_models:
                _check_port("127.0.0.1", settings.MODELS_PORT, "PERINGKAT_MODELS_PORT")
            welcome = self.prepare(no_demo=no_demo)
            python = [sys.executable, str(settings.BASE_DIR / "manage.py")]
            parts = [
                Part("web", [sys.executable, "-m", "gunicorn", "-c", str(settings.BASE_DIR / "config/gunicorn.py")]),
                Part("worker", [*python, "worker"]),
                Part("supervise", [*python, "supervise"]),
            ]
            if not no_models:
                parts.append(Part("serve_models", [*python, "serve_models"]))
            try:
                self.keep_running(parts, signals, welcome)
            finally:
                self.stop(parts, signals)

    def prepare(self, *, no_demo: bool) -> list[str]:
        """Bring texts, static files, database and demo up to date; gives the lines that greet at the end."""
        compile_texts()
        if static_changed():
            self.say("Collecting static files …")
            call_command("collectstatic", interactive=False, clear=True, verbosity=0)
            _static_mark().write_text(_static_fingerprint())
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            self.say("Preparing the database …")
            call_command("migrate", interactive=False, verbosity=0)
        lines = first_admin()
        try:
            if not no_demo:
                lines += seed_demo(self.say)
        except BaseException:
            self.say(*lines)  # the password is known to nobody else
            raise
        connection.close()
        if settings.HOST in ("0.0.0.0", "::") and not os.environ.get("PERINGKAT_ALLOWED_HOSTS"):
            lines.append("Other machines are answered only under names in PERINGKAT_ALLOWED_HOSTS, which is not set.")
        return lines

    def keep_running(self, parts: list[Part], signals: Signals, welcome: list[str]) -> None:
        greeted = False
        while not signals.count:
            for part in parts:
                if event := part.mind():
                    self.say(event)
            if not greeted and _answers():
                greeted = True
                self.say("", f"Peringkat is running: {address()}", *welcome, "Ctrl-C stops it.", "")
            time.sleep(0.2)

    def stop(self, parts: list[Part], signals: Signals) -> None:
        """Ask all parts to end, wait for each as long as it may need; a second Ctrl-C ends them at once."""
        asked = signals.count
        running = [part for part in parts if part.process is not None and part.process.poll() is None]
        self.say("", "Stopping. Training saves a checkpoint first and goes on at the next start.")
        for part in running:
            part.process.terminate()
        deadline = {part.name: time.monotonic() + GRACE_SECONDS.get(part.name, 20) for part in running}
        while running := [part for part in running if part.process.poll() is None]:
            for part in running:
                if signals.count > max(asked, 1) or time.monotonic() > deadline[part.name]:
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(part.process.pid, signal.SIGKILL)
            time.sleep(0.1)
        self.say("Stopped.")

    def say(self, *lines: str) -> None:
        with contextlib.suppress(
            BrokenPipeError
        ):  # the terminal may be gone; what runs is stopped in order all the same
            for line in lines:
                self.stdout.write(line)
            self.stdout.flush()


@contextlib.contextmanager
def only_one() -> Iterator[None]:
    """Hold the data folder: two sets of processes on one folder would start the same work twice."""
    with open(settings.DATA / "start.lock", "a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise CommandError(
                f"Peringkat already runs on the data folder {settings.DATA} ({lock.read().strip() or 'just starting'}). "
                "Stop it there first, or name another folder with PERINGKAT_DATA."
            ) from None
        lock.truncate(0)
        lock.write(f"process {os.getpid()}, {address()}")
        lock.flush()
        yield


def _check_port(host: str, port: int, setting: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise CommandError(
                f"Cannot listen on {host}, port {port}: {error.strerror}. "
                f"Choose another port: {setting}={port + 10} make run"
            ) from None


def address() -> str:
    host = "127.0.0.1" if settings.HOST in ("0.0.0.0", "::") else settings.HOST
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.PORT}/"


def on_loopback() -> bool:
    """Whether the site can be reached from this machine only."""
    return settings.HOST == "localhost" or is_loopback(settings.HOST)


def _answers() -> bool:
    """Whether the web server accepts connections."""
    host = "127.0.0.1" if settings.HOST == "0.0.0.0" else "::1" if settings.HOST == "::" else settings.HOST
    try:
        with socket.create_connection((host, settings.PORT), timeout=1):
            return True
    except OSError:
        return False


def _static_fingerprint() -> str:
    """Changes when any static file of any app, or the way they are stored, does."""
    digest = hashlib.sha256(settings.STORAGES["staticfiles"]["BACKEND"].encode())
    for finder in get_finders():
        for path, storage in finder.list([]):
            stat = os.stat(storage.path(path))
            digest.update(f"{path} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _static_mark() -> Path:
    return Path(settings.STATIC_ROOT) / ".collected"


def static_changed() -> bool:
    mark = _static_mark()
    return not mark.exists() or mark.read_text() != _static_fingerprint()


def _die_with_parent() -> None:
    """In the child, before exec: ask the kernel for SIGTERM when the parent dies, however it dies (Linux only)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def first_admin() -> list[str]:
    """At the very first start make the administrator; the password is said this once and stored only as a hash."""
    if User.objects.filter(role=Role.ADMIN, is_active=True).exists():
        return []
    password = generated_password()
    with transaction.atomic():
        admin = User.objects.create_user("admin", password=password, role=Role.ADMIN)
        audit(None, "add_person", admin, username="admin", role=Role.ADMIN)
    return [
        f"Sign in as  admin  with the password  {password}",
        "(shown this once: keep it, or change it under Account)",
    ]


def seed_demo(say: Callable[[str], None]) -> list[str]:
    """The demo project and, where only this machine can reach the site, sign-ins to try it with."""
    from training.demo.seed import seed

    return seed(sign_ins=on_loopback(), say=say)
