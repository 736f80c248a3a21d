"""How many rankings a second the server stores from people who do nothing but submit, how long each waits, and that nothing is lost.

    python -m bench.labeling [--quick] [--json] [--seconds N] [--tasks N] [--work FOLDER] [--annotators N …] [--browser]

The product's own server, started as `make run` starts it (SQLite, synchronous=FULL), on a data folder of its own; a project of 100,000 tasks of 4
outputs, overlap 2. Each annotator signs in, opens the board once, then sends one ranking after the other to the address that the board's script posts
to, with its session and CSRF token; each answer brings the next task as HTML. A ranking's time is that of one such request: submit, and the next task
is there. One annotator is a veteran of 40,000 rankings. The people are one light process beside the server (bench/labeling_load.py), whose processor
time is given: on a small machine it competes with the server.

Some submits arrive twice at once. Afterwards the database is read with plain SQL: everything that was acknowledged must be there, as it was said,
once, and no task may be with more people than its overlap. A round under strace counts the server's calls of fsync and fdatasync on the database's
write-ahead log against what was acknowledged in it. What "next" costs is processor time of the server for one annotator, newcomer and veteran,
on 1,000 and on 100,000 tasks, in turns.

--browser also measures the first page of the board in Chromium: bytes as sent, until it can be used, from the last key to the next task,
and what the differences of two long texts take.
"""

import argparse
import hashlib
import json
import os
import shutil
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench import labeling_browser
from bench.labeling_fill import OVERLAP, people
from bench.labeling_load import Found, Load
from bench.labeling_site import DATABASE, HOST, ROOT, WEB, Site, look, machine_cpu

ANNOTATORS = (1, 8, 32)
FEW = 1000
DOUBLE = 40  # one submit in so many arrives twice
# Label Studio 1.23 on two cores with SQLite as shipped, overlap 1, 200 to 400 tasks, measured by the same two people's process; its environment is not here.
LABEL_STUDIO = {
    1: {"rankings_per_s": "5.4", "p95_ms": "130", "over_assigned": "13–21"},
    8: {"rankings_per_s": "6–9", "p95_ms": "1,600–3,000", "over_assigned": "13–21"},
    32: {"rankings_per_s": "2.6", "p95_ms": "24,000", "over_assigned": "83"},
}
LABEL_STUDIO_CPU_MS = 80


class Bench:
    """The site under measurement, the people, and everything that was ever acknowledged to them."""

    def __init__(self, site: Site, annotators: int) -> None:
        self.site, self.people = site, people(annotators)
        self.acknowledged: dict[str, list[str]] = {}
        self.load: Load | None = None

    def ask(self, load: Load, names: list[str], **order: Any) -> Found:
        found = load(people={name: self.people[name] for name in names}, **order)
        self.acknowledged.update(found.acknowledged)
        return found

    def round(self, load: Load, names: list[str], **order: Any) -> dict[str, Any]:
        """What people found in one round, and the processor time it took."""
        self.ask(load, names, slug=order["slug"], count=2)  # everyone signs in, and the workers have their connections
        processes = self.site.web_processes()
        cpu, machine = self.site.cpu(processes), machine_cpu()
        found = self.ask(load, names, **order)
        cpu, machine = self.site.cpu(processes) - cpu, machine_cpu() - machine
        count, milliseconds = len(found.acknowledged), sorted(1000 * latency for latency in found.latencies)

        def quantile(share: float) -> float:
            return milliseconds[min(int(share * len(milliseconds)), len(milliseconds) - 1)] if milliseconds else 0.0

        return {
            "annotators": len(names),
            "rankings": count,
            "seconds": found.seconds,
            "rankings_per_s": count / found.seconds,
            "p50_ms": quantile(0.5),
            "p95_ms": quantile(0.95),
            "longest_ms": quantile(1.0),
            "cpu_ms": 1000 * cpu / max(count, 1),
            "load_cpu_ms": 1000 * found.cpu / max(count, 1),
            "cores_of_others": max(machine - cpu - found.cpu, 0) / found.seconds,
            "sent_twice": found.twice,
            "without_tasks": found.without_tasks,
            "errors": len(found.errors),
            "first_errors": found.errors[:3],
        }

    def cost_of_next(self, load: Load, projects: list[str], *, count: int, turns: int) -> list[dict[str, Any]]:
        """The server's processor time for a submit with its next task, one person at a time; those compared take turns."""
        cases = [(slug, name) for slug in projects for name in ("annotator1", "veteran")]
        spent: dict[tuple[str, str], list[float]] = {case: [] for case in cases}
        for _ in range(turns):
            for slug, name in cases:
                spent[slug, name].append(self.round(load, [name], slug=slug, count=count)["cpu_ms"])
        return [
            {
                "project": slug,
                "who": name,
                "cpu_ms": statistics.median(each),
                "lowest": min(each),
                "highest": max(each),
            }
            for (slug, name), each in spent.items()
        ]

    def synced(self, *, annotators: int, slug: str, seconds: float) -> dict[str, Any] | None:
        """A round with the web server under strace: its syncs of the write-ahead log, and what was acknowledged meanwhile."""
        tracer = shutil.which("strace")
        if tracer is None:
            return None
        trace = self.site.folder.with_name(self.site.folder.name + ".trace")
        # With --seccomp-bpf only the traced calls stop; all others run at full speed.
        before = (tracer, "-f", "--seccomp-bpf", "-qq", "-y", "-e", "trace=fsync,fdatasync", "-o", str(trace))
        self.site.start(WEB, before=before)

        def syncs() -> int:
            return sum(f"{DATABASE}-wal>" in line and "resumed" not in line for line in trace.read_text().splitlines())

        try:
            with Load(HOST, self.site.port) as load:
                names = list(self.people)[:annotators]
                self.ask(load, names, slug=slug, count=1)
                at_first = syncs()
                found = self.ask(load, names, slug=slug, seconds=seconds)
                return {
                    "acknowledged": len(found.acknowledged),
                    "synced": syncs() - at_first,
                    "errors": len(found.errors),
                }
        finally:
            self.site.kill()  # under strace the server would not hear a polite signal
            trace.unlink(missing_ok=True)


def filled(work: Path, order: dict[str, Any]) -> Path:
    """The data folder that `order` describes, made once in `work` for these tables; the measurement takes a copy of it."""
    tables = [path.read_text() for path in sorted(ROOT.glob("*/migrations/*.py"))]
    name = hashlib.sha256(json.dumps([order, tables], sort_keys=True).encode()).hexdigest()[:12]
    folder = work / f"filled-{name}"
    if not folder.exists():
        site = Site(work / f"filling-{name}")
        shutil.rmtree(site.folder, ignore_errors=True)
        site.folder.mkdir(parents=True)
        site.fill(**order)
        site.folder.rename(folder)
        site.log.unlink()
    return folder


def measure(work: Path, given: argparse.Namespace) -> dict[str, Any]:
    tasks = {"few": min(FEW, given.tasks), "many": given.tasks}
    past = given.tasks * 2 // 5  # 40,000 of 100,000
    most = max(given.annotators)
    order = {
        "annotators": max(most, 8),
        "projects": {slug: {"tasks": n, "veteran": n * 2 // 5} for slug, n in tasks.items()},
    }
    begun = time.monotonic()
    folder = filled(work, order)
    site = Site(work / "site")
    site.remove()
    shutil.copytree(folder, site.folder)
    found: dict[str, Any] = {
        "tasks": given.tasks,
        "veteran": past,
        "overlap": OVERLAP,
        "preparing_s": time.monotonic() - begun,
        "cores": os.cpu_count(),
        "load_average": os.getloadavg()[0],
        "rounds": [],
    }
    bench = Bench(site, order["annotators"])
    try:
        with site.running(), Load(HOST, site.port) as load:
            names = list(bench.people)
            for annotators in given.annotators:
                found["rounds"].append(
                    bench.round(load, names[:annotators], slug="many", seconds=given.seconds, double=DOUBLE)
                )
            if not given.quick:
                found["next"] = bench.cost_of_next(load, ["few", "many"], count=50, turns=5)
            if given.browser:
                found["browser"] = labeling_browser.measure(site, "many", *list(bench.people.items())[-1])
        found["synced"] = bench.synced(annotators=8, slug="many", seconds=min(given.seconds, 5))
        with site.database() as connection:
            found["database"] = look(connection, bench.acknowledged)
            found["database"]["unknown"] -= (found.get("browser") or {"rankings": 0})["rankings"]
            found["database"]["integrity"] = connection.execute("PRAGMA quick_check").fetchone()[0]
    finally:
        site.stop()
        site.remove()
    return found


def table(found: dict[str, Any]) -> str:
    lines = [
        (
            f"{found['tasks']:,} tasks of 4 outputs, overlap {found['overlap']}, {found['cores']} cores; a veteran of {found['veteran']:,} rankings is among "
            "the annotators"
        ),
        "",
        "| annotators | rankings/s | p50 ms | p95 ms | longest ms | server CPU ms a ranking | of the people | cores that others used | errors |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for one in found["rounds"]:
        lines.append(
            f"| {one['annotators']} | {one['rankings_per_s']:.0f} | {one['p50_ms']:.0f} | {one['p95_ms']:.0f} | {one['longest_ms']:.0f} | "
            f"{one['cpu_ms']:.1f} | {one['load_cpu_ms']:.1f} | {one['cores_of_others']:.2f} | {one['errors']} |"
        )
        if known := LABEL_STUDIO.get(one["annotators"]):
            lines.append(
                f"| {one['annotators']}: Label Studio 1.23 (cited) | {known['rankings_per_s']} | | {known['p95_ms']} | | "
                f"{LABEL_STUDIO_CPU_MS} | | | {known['over_assigned']} tasks over-assigned |"
            )
    lines += [f"error: {error}" for one in found["rounds"] for error in one["first_errors"]]
    stored = found["database"]
    lines += [
        "",
        (
            f"in the database: {stored['acknowledged']:,} acknowledged; {stored['lost']} lost, {stored['different']} different, {stored['unknown']} of which "
            f"nobody was told, {stored['twice']} stored twice ({sum(one['sent_twice'] for one in found['rounds'])} were sent twice); {stored['over_assigned']} "
            f"tasks over-assigned, {stored['wrong_slots']} with miscounted slots; quick_check: {stored['integrity']}"
        ),
    ]
    if (synced := found["synced"]) is None:
        lines.append("synced commits: not counted, strace is not installed")
    else:
        lines.append(
            f"synced commits: {synced['synced']:,} of the write-ahead log for {synced['acknowledged']:,} acknowledged rankings"
        )
    if "next" in found:
        lines += [
            "",
            "| one annotator: submit and next | tasks | server CPU ms, median (lowest to highest) |",
            "|---|---|---|",
        ]
        sizes = {"few": min(FEW, found["tasks"]), "many": found["tasks"]}
        for one in found["next"]:
            who = "veteran" if one["who"] == "veteran" else "newcomer"
            lines.append(
                f"| {who} | {sizes[one['project']]:,} | {one['cpu_ms']:.1f} ({one['lowest']:.1f} to {one['highest']:.1f}) |"
            )
    if board := found.get("browser"):
        lines += [
            "",
            (
                f"board: first page {board['bytes'] / 1000:.1f} kB in {board['requests']} requests, usable {board['usable_cold_ms']:.0f} ms after its response "
                f"with nothing in the cache ({board['usable_ms']:.0f} the very first time, {board['usable_again_ms']:.0f} with scripts in the cache); a ranking of four with a tie: {board['strokes']} strokes, the next task "
                f"{board['next_task_ms']:.0f} ms after the last (longest {board['next_task_longest_ms']:.0f}); the differences of two texts of "
                f"{board['differences_words']} words in {board['differences_ms']:.0f} ms"
            ),
        ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.labeling", description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, default=100_000)
    parser.add_argument("--annotators", type=int, nargs="+", default=list(ANNOTATORS), metavar="N")
    parser.add_argument("--seconds", type=float, default=20, help="of each round")
    parser.add_argument("--browser", action="store_true", help="also the first page of the board, in Chromium")
    parser.add_argument("--work", type=Path, help="folder that keeps the prepared data; default: one that is removed")
    parser.add_argument("--quick", action="store_true", help="few tasks, short rounds: shows that it works")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if given.quick:
        given.tasks, given.seconds, given.annotators = 2000, 2, [1, 8]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # so that what was started is stopped
    with tempfile.TemporaryDirectory() as folder:
        work = (given.work or Path(folder)).absolute()
        work.mkdir(parents=True, exist_ok=True)
        found = measure(work, given)
    print(json.dumps(found) if given.json else table(found))


if __name__ == "__main__":
    main()
