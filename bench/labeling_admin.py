"""How long people wait at most while an admin changes all tasks of a project, one thing after the other: nobody may notice.

    python -m bench.labeling_admin [--tasks N] [--annotators N] [--quick] [--work FOLDER] [--json]

The set-up of bench/labeling.py: the product's own server and worker, 100,000 tasks, people who do nothing but submit. Meanwhile, over REST, all tasks get
another priority, more people, a mark, a batch that is paused and resumed, scores and their order. Each is asked for once, and waited for until its job is done.
Before the changes there is a round without any. Afterwards the database is read with plain SQL: nothing lost, nothing given twice, every slot counted.
"""

import argparse
import json
import os
import random
import secrets
import shutil
import signal
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench.labeling import filled
from bench.labeling_fill import people
from bench.labeling_load import Found, Load
from bench.labeling_site import HOST, Site, look

SLUG, QUIET_SECONDS, OFTEN = "many", 10, 0.2


class Admin:
    """Somebody with a token of the API."""

    def __init__(self, site: Site) -> None:
        self.site, self.token = site, secrets.token_hex(20)
        with site.database(changes=True) as database:
            [(admin,)] = database.execute("SELECT MIN(id) FROM people_user WHERE role = 'admin'")
            database.execute("DELETE FROM authtoken_token WHERE user_id = ?", [admin])
            row = (self.token, admin, "2000-01-01 00:00:00")
            database.execute('INSERT INTO authtoken_token ("key", user_id, created) VALUES (?, ?, ?)', row)

    def ask(self, method: str, path: str, sent: object = None) -> Any:
        headers = {"Authorization": f"Token {self.token}", "Content-Type": "application/json"}
        address = f"http://{HOST}:{self.site.port}/api/v1/{path}"
        body = None if sent is None else json.dumps(sent).encode()
        with urllib.request.urlopen(urllib.request.Request(address, body, headers, method=method)) as answer:
            return json.load(answer)

    def changes(self, scores: list[dict[str, Any]]) -> Iterator[tuple[str, str, str, object]]:
        """(what, method, address, what is sent): all tasks each time."""
        project = f"projects/{SLUG}"
        batch = self.ask("POST", f"{project}/batches/", {"name": f"Round {self.token[:8]}"})["id"]
        for what, change in [
            ("priority", {"priority": 5}),
            ("people per task", {"overlap": 3}),
            ("sensitive", {"sensitive": True}),
            ("not sensitive", {"sensitive": False}),
            ("batch", {"batch": batch}),
        ]:
            yield what, "PATCH", f"{project}/tasks/", {"filter": {}, **change}
        for paused in (True, False):
            what = "batch paused" if paused else "batch resumed"
            yield what, "PATCH", f"{project}/batches/{batch}/", {"paused": paused}
        yield "scores", "POST", f"{project}/scores/", scores
        yield "order of arrival", "POST", f"{project}/order/", {"by": "arrival"}

    def wait_for_jobs(self) -> None:
        while True:
            with self.site.database() as database:
                [(left,)] = database.execute("SELECT COUNT(*) FROM jobs_job WHERE state IN ('waiting', 'running')")
            if not left:
                return
            time.sleep(OFTEN)

    def change(self, method: str, address: str, sent: object) -> tuple[float, float]:
        """Seconds until the answer, and until all is done."""
        begun = time.monotonic()
        self.ask(method, address, sent)
        answered = time.monotonic() - begun
        self.wait_for_jobs()
        return answered, time.monotonic() - begun


def row(what: str, answered: float, done: float, rounds: list[Found]) -> dict[str, Any]:
    milliseconds = sorted(1000 * latency for found in rounds for latency in found.latencies)
    return {
        "change": what,
        "answered_s": answered,
        "done_s": done,
        "rankings_per_s": len(milliseconds) / sum(found.seconds for found in rounds),
        "p95_ms": milliseconds[int(0.95 * len(milliseconds))],
        "longest_ms": milliseconds[-1],
        "errors": [error for found in rounds for error in found.errors],
    }


def measure(work: Path, tasks: int, annotators: int) -> dict[str, Any]:
    order = {"annotators": annotators, "projects": {SLUG: {"tasks": tasks, "veteran": tasks * 2 // 5}}}
    folder = filled(work, order)
    site = Site(work / "site")
    site.remove()
    shutil.copytree(folder, site.folder)
    everyone, acknowledged = people(annotators), {}

    def submit_for(seconds: float) -> Found:
        found = load(people=everyone, slug=SLUG, seconds=seconds)
        acknowledged.update(found.acknowledged)
        return found

    try:
        with site.running(), Load(HOST, site.port) as load, ThreadPoolExecutor(1) as pool:
            admin = Admin(site)
            submit_for(1)  # everyone signs in
            rows = [row("none", 0, QUIET_SECONDS, [submit_for(QUIET_SECONDS)])]
            with site.database() as database:
                every = database.execute("SELECT id FROM labeling_task").fetchall()
            scores = [{"task": task, "score": random.random()} for (task,) in every]
            for what, *change in admin.changes(scores):
                under_way, rounds = pool.submit(admin.change, *change), []
                while not rounds or not under_way.done():
                    rounds.append(submit_for(1))
                rows.append(row(what, *under_way.result(), rounds))
            with site.database() as database:
                stored = look(database, acknowledged)
    finally:
        site.stop()
        site.remove()
    return {"tasks": tasks, "annotators": annotators, "cores": os.cpu_count(), "rows": rows, "stored": stored}


def table(found: dict[str, Any]) -> str:
    lines = [
        f"{found['annotators']} annotators, {found['tasks']:,} tasks, {found['cores']} cores",
        "",
        "| change of all tasks | answered s | done s | rankings/s | p95 ms | longest ms | errors |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {one['change']} | {one['answered_s']:.1f} | {one['done_s']:.1f} | {one['rankings_per_s']:.0f} | {one['p95_ms']:.0f} |"
        f" {one['longest_ms']:.0f} | {len(one['errors'])} |"
        for one in found["rows"]
    ]
    lines += [f"error: {error[:300]}" for one in found["rows"] for error in one["errors"][:3]]
    return "\n".join(
        [*lines, "", "in the database: " + ", ".join(f"{n:,} {name}" for name, n in found["stored"].items())]
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.labeling_admin", description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, default=100_000)
    parser.add_argument("--annotators", type=int, default=8)
    parser.add_argument("--work", type=Path, help="folder that keeps the prepared data; default: one that is removed")
    parser.add_argument("--quick", action="store_true", help="few tasks: shows that it works")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if given.quick:
        given.tasks, given.annotators = 6000, 4  # as many as make a job
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # so that what was started is stopped
    with tempfile.TemporaryDirectory() as folder:
        work = (given.work or Path(folder)).absolute()
        work.mkdir(parents=True, exist_ok=True)
        found = measure(work, given.tasks, given.annotators)
    print(json.dumps(found) if given.json else table(found))


if __name__ == "__main__":
    main()
