"""`manage.py start` as a real process: it comes up, says how to sign in, keeps its parts alive, and stops in order."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from django.conf import settings

from tests.processes import LONGEST, free_port, until
from training.engine import contract

pytestmark = pytest.mark.slow

QUEUE_A_RUN = """
from people.models import User
from tests.training import make
print(make.run(actor=User.objects.get(username="admin"), config=make.LONG).folder)
"""


class Started:
    """A started site with its own data folder and ports."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.environment = {
            **{key: value for key, value in os.environ.items() if key != "DATABASE_URL"},
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "PERINGKAT_DATA": str(folder / "data"),
            "PERINGKAT_PORT": str(self.port),
            "PERINGKAT_HOST": "127.0.0.1",
            "WEB_CONCURRENCY": "1",
        }
        self.processes: list[subprocess.Popen] = []

    def start(self, *options: str) -> subprocess.Popen:
        command = [sys.executable, "manage.py", "start", "--no-demo", "--no-models", *options]
        with open(self.folder / f"start{len(self.processes)}.log", "wb") as log:
            process = subprocess.Popen(
                command,
                cwd=settings.BASE_DIR,
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def said(self) -> str:
        return (self.folder / f"start{len(self.processes) - 1}.log").read_text()

    def is_up(self) -> bool:
        assert self.processes[-1].poll() is None, self.said()
        return "Peringkat is running" in self.said()

    def shell(self, program: str) -> str:
        command = [sys.executable, "manage.py", "shell", "--no-imports", "-c", program]
        done = subprocess.run(command, cwd=settings.BASE_DIR, env=self.environment, capture_output=True, check=True)
        return done.stdout.decode().strip()

    def parts(self) -> dict[str, psutil.Process]:
        """The processes of the site by what they do."""
        found = {}
        for process in psutil.Process(self.processes[-1].pid).children():
            try:
                line = " ".join(process.cmdline())
            except (psutil.NoSuchProcess, psutil.ZombieProcess):  # just ended
                continue
            found["web" if "gunicorn" in line else line.rpartition(" ")[2]] = process
        return found


@pytest.fixture
def site(tmp_path) -> Iterator[Started]:
    made = Started(tmp_path)
    yield made
    for process in made.processes:
        if process.poll() is None:
            process.terminate()
            process.wait(LONGEST)


def test_from_the_first_start_to_the_second(site):
    site.start()
    until(site.is_up)
    assert f"http://127.0.0.1:{site.port}/" in site.said()
    password = re.search(r"Sign in as +admin +with the password +(\S+)", site.said())[1]
    with httpx.Client(base_url=f"http://127.0.0.1:{site.port}", follow_redirects=True) as browser:
        page = browser.get("/sign-in/")
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)[1]
        sent = {"username": "admin", "password": password, "csrfmiddlewaretoken": token}
        browser.post("/sign-in/", data=sent).raise_for_status()
        assert browser.get("/runs/").status_code == 200
        # Static files come with their hashed names, as in production.
        style = re.search(r'href="(/static/css/app\.[0-9a-f]+\.css)"', browser.get("/runs/").text)[1]
        assert browser.get(style).status_code == 200

    # A part that dies is started again.
    before = site.parts()
    assert before.keys() >= {"web", "worker", "supervise"}
    before["worker"].kill()
    until(lambda: site.parts().get("worker", before["worker"]).pid != before["worker"].pid)

    # Ctrl-C: a training writes its checkpoint, and everything is gone.
    folder = Path(site.shell(QUEUE_A_RUN))
    until(lambda: contract.read_status(folder).get("step"))
    parts = site.parts().values()
    site.processes[-1].send_signal(signal.SIGINT)
    assert site.processes[-1].wait(LONGEST) == 0
    assert not any(part.is_running() for part in parts)
    assert contract.read_status(folder)["state"] == "stopped"
    assert not contract.is_running(folder)
    assert "Stopped." in site.said()

    # The next start says no password, collects nothing anew, and the training goes on by itself.
    site.start()
    until(site.is_up)
    assert "password" not in site.said()
    assert "Collecting" not in site.said()
    until(lambda: contract.read_status(folder)["state"] == "running")


def test_what_cannot_work_is_said_plainly(site):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", site.port))
        taken.listen()
        assert site.start().wait(LONGEST) != 0
        assert f"Cannot listen on 127.0.0.1, port {site.port}" in site.said()
        assert "PERINGKAT_PORT" in site.said()
    site.start()
    until(site.is_up)
    first = site.processes[-1]
    site.environment["PERINGKAT_PORT"] = str(free_port())
    assert site.start().wait(LONGEST) != 0
    assert "Peringkat already runs on the data folder" in site.said()
    assert first.poll() is None


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process die with its parent")
def test_the_parts_do_not_outlive_a_killed_start(site):
    site.start()
    until(site.is_up)
    parts = site.parts().values()
    site.processes[-1].kill()
    until(lambda: not any(part.is_running() for part in parts))
