"""Real runs for the tests: a tiny corpus, a tiny model in a folder, run directories, and starting the engine on them."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from training.engine import contract
from training.engine.__main__ import run as run_here

ROOT = Path(__file__).parents[2]
TINY = {"size": "nano", "hidden_size": 32, "layers": 2, "heads": 2, "context_length": 64, "vocab_size": 300}
ANIMALS = ["cat", "dog", "hen", "fox", "owl", "cow"]


def stories(count: int = 120) -> list[dict[str, str]]:
    """Rows of text; every tenth is held out."""
    rows = []
    for i in range(count):
        a, b = ANIMALS[i % 6], ANIMALS[(i // 6) % 6]
        text = f"The {a} met the {b}. " * (1 + i % 4) + f"They ate {i % 7} nüts.\n"
        rows.append({"text": text, "split": "heldout" if i % 10 == 0 else "train"})
    return rows


def questions(count: int = 120) -> list[dict[str, str]]:
    """Rows of prompt and completion; every tenth is held out."""
    return [
        {
            "prompt": f"The {ANIMALS[i % 6]} met",
            "completion": f" the {ANIMALS[(i + 1) % 6]}.",
            "split": "heldout" if i % 10 == 0 else "train",
        }
        for i in range(count)
    ]


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def write_run(
    folder: Path, method: str, config: dict[str, Any], inputs: dict[str, Any], seed: int = 1, **more: Any
) -> Path:
    folder.mkdir()
    order = {"method": method, "config": config, "inputs": inputs, "seed": seed, **more}
    (folder / "run.json").write_text(json.dumps(order, default=str))
    return folder


def go(folder: Path, **options: Any) -> int:
    """Carry out a run in this process, which has torch already; signal handlers are put back."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        return run_here(folder, **options)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# The command line, whose whole group gets a signal when it has told of a step. From outside, the signal could come when all is over.
SIGNALLED = """
import os, sys
from training.engine.__main__ import main
from training.engine.context import Context
number, at, key, folder = int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:]
tell = Context.event
def event(self, step, **numbers):
    tell(self, step, **numbers)
    if step >= at and key in numbers:
        os.killpg(0, number)
Context.event = event
sys.exit(main([folder]))
"""

# The command line, whose process is killed from within, before the n-th time that it calls a function.
KILLED = """
import os, pkgutil, signal, sys
from training.engine.__main__ import main
place, at, folder = sys.argv[1], int(sys.argv[2]), sys.argv[3]
module, _, path = place.partition(":")
*outer, name = path.split(".")
holder = pkgutil.resolve_name(":".join([module, ".".join(outer)]) if outer else module)
call, calls = getattr(holder, name), 0
def counted(*arguments, **options):
    global calls
    calls += 1
    if calls == at:
        os.kill(os.getpid(), signal.SIGKILL)
    return call(*arguments, **options)
setattr(holder, name, counted)
sys.exit(main([folder]))
"""


def start(folder: Path) -> subprocess.Popen:
    """The command line, as a launcher calls it, in a process group of its own."""
    return started("-m", "training.engine", str(folder))


def start_and_signal(number: signal.Signals, folder: Path, step: int, key: str = "loss") -> subprocess.Popen:
    """The same, and the group gets a signal at this step, in an event that has `key`."""
    return started("-c", SIGNALLED, str(int(number)), str(step), key, str(folder))


def start_and_kill(folder: Path, place: str, call: int) -> subprocess.Popen:
    """The same, and it is killed where it would call the function at `place` (module:name) for this time."""
    return started("-c", KILLED, place, str(call), str(folder))


def started(*command: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )


def ended(process: subprocess.Popen) -> tuple[int, str]:
    """Its exit code, and what it said."""
    said = process.communicate(timeout=600)[1]
    return process.returncode, said


def events(folder: Path) -> list[dict[str, Any]]:
    """All whole lines of events.jsonl."""
    path = folder / "events.jsonl"
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def curves(folder: Path) -> list[dict[str, Any]]:
    """Points and samples, without what depends on the clock."""
    clock = {"t", "eta_s", "tokens_per_s"}
    return [
        {key: value for key, value in event.items() if key not in clock}
        for event in events(folder)
        if event.get("kind") in {None, "sample"}
    ]


def weights(folder: Path) -> dict[str, bytes]:
    """The bytes of every result file but the metrics."""
    return {
        path.name: path.read_bytes() for path in sorted((folder / "output").iterdir()) if path.name != "metrics.json"
    }


def status(folder: Path) -> dict[str, Any]:
    return contract.read_status(folder)
