"""What a run's folder says: curves, samples, notes, log, status, files. Reads only what was added since it last looked.

The folder is the truth (training/engine/contract.py); nothing of this is kept in the database. `events.jsonl` grows while it is read,
so a last line without its newline is left for the next time; at a resume the engine cuts the file back to its
checkpoint, which is noticed by the bytes before the offset having changed, and all is read anew.
"""

import json
import math
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

MOST_POINTS = 1024
CACHED_RUNS = 64
_GUARD = 64  # bytes before the offset that must still be the same
_NOT_CURVES = {"t", "step", "progress", "eta_s", "attempt"}


@dataclass
class Series:
    """One curve in bounded memory: exact up to MOST_POINTS values, then means over 2, 4, 8, … of them."""

    points: list[tuple[float, float]] = field(default_factory=list)  # (step at the bucket's end, mean)
    stride: int = 1
    first: float = math.nan
    last: float = math.nan
    _sum: float = 0.0
    _count: int = 0

    def add(self, step: float, value: float) -> None:
        if math.isnan(self.first):
            self.first = value
        self.last = value
        self._sum += value
        self._count += 1
        if self._count < self.stride:
            return
        self.points.append((step, self._sum / self._count))
        self._sum, self._count = 0.0, 0
        if len(self.points) >= MOST_POINTS:
            pairs = zip(self.points[::2], self.points[1::2], strict=False)
            self.points = [(right[0], (left[1] + right[1]) / 2) for left, right in pairs]
            self.stride *= 2


@dataclass
class Events:
    """Everything `events.jsonl` has said so far."""

    series: dict[str, Series] = field(default_factory=dict)
    latest: dict[str, float] = field(default_factory=dict)
    samples: list[dict] = field(default_factory=list)  # {"step", "slot", "prompt", "text"}
    notes: list[dict] = field(
        default_factory=list
    )  # {"step": the last one before it, "level", "message": {"id", "text", "params"}}
    phase: dict | None = None  # {"message", "fraction"}: what is done before the first update
    step: int = 0
    progress: float = 0.0
    eta_seconds: float | None = None
    attempt: int = 1
    broken_lines: int = 0
    not_finite: set[str] = field(default_factory=set)  # curves that were infinite or not a number at some step
    clock: list[tuple[int, float]] = field(default_factory=list)  # (step, seconds of work until its first event)
    seconds: float = 0.0
    offset: int = 0
    _guard: bytes = b""
    _last_t: float | None = None

    def copy(self) -> "Events":
        return replace(
            self,
            series={name: replace(each, points=list(each.points)) for name, each in self.series.items()},
            latest=dict(self.latest),
            samples=list(self.samples),
            notes=list(self.notes),
            not_finite=set(self.not_finite),
            clock=list(self.clock),
        )

    def take(self, line: bytes) -> None:
        try:
            event = json.loads(line)
        except ValueError:
            event = None
        if not isinstance(event, dict):
            self.broken_lines += bool(line.strip())
            return
        kind = event.get("kind")
        if isinstance(event.get("step"), int):
            self.step = event["step"]
        if isinstance(event.get("progress"), int | float):
            self.progress = min(1.0, max(0.0, float(event["progress"])))
        if "eta_s" in event:
            self.eta_seconds = event["eta_s"]
        if kind == "sample":
            self.samples.append(event)
        elif kind == "note":
            self.notes.append(event | {"step": self.step})
        elif kind == "phase":
            self.phase = event
        elif kind == "attempt":
            self.attempt = event.get("attempt", self.attempt)
        self._take_time(event)
        for name, value in numbers_of(event):
            self.phase = None
            if value is None:
                self.not_finite.add(name)
                continue
            self.latest[name] = value
            self.series.setdefault(name, Series()).add(self.step, value)

    def _take_time(self, event: dict) -> None:
        """Seconds of work until this step: the time between two attempts is no work."""
        now = event.get("t")
        if not isinstance(now, int | float):
            return
        if self._last_t is not None and event.get("kind") != "attempt":
            self.seconds += max(0.0, now - self._last_t)
        self._last_t = now
        if not self.clock or self.step > self.clock[-1][0]:
            self.clock.append((self.step, self.seconds))
            if len(self.clock) > 2 * MOST_POINTS:
                self.clock = [*self.clock[:1], *self.clock[1::2]]


_cache: OrderedDict[Path, Events] = OrderedDict()
_lock = threading.Lock()


def events(folder: Path) -> Events:
    """The events of the run in `folder`, up to its last whole line; a copy, which no other thread reads on into."""
    with _lock:
        known = _cache.pop(folder, None) or Events()
        known = _read_on(folder / "events.jsonl", known)
        _cache[folder] = known
        while len(_cache) > CACHED_RUNS:
            _cache.popitem(last=False)
        return known.copy()


def _read_on(path: Path, known: Events) -> Events:
    if not path.exists():
        return Events()
    with open(path, "rb") as file:
        guard_at = known.offset - len(known._guard)
        file.seek(guard_at)
        if file.read(len(known._guard)) != known._guard:
            known = Events()
            file.seek(0)
        # In pieces, so that a first look at a long run needs no memory for all of it.
        rest = b""
        while piece := file.read(1 << 20):
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                known.take(line)
                known.offset += len(line) + 1
        file.seek(max(0, known.offset - _GUARD))
        known._guard = file.read(min(_GUARD, known.offset))
    return known


def warnings(folder: Path) -> list[dict]:
    """The messages of a run's warnings; the file is read again only when it has changed."""
    try:
        changed = (folder / "events.jsonl").stat().st_mtime_ns
    except FileNotFoundError:
        return []
    return _known_warnings(folder, changed)


@lru_cache(maxsize=1024)
def _known_warnings(folder: Path, _changed: int) -> list[dict]:
    return [note["message"] for note in events(folder).notes if note.get("level") == "warning"]


def raw_events(folder: Path, after: int, most: int = 10_000) -> tuple[list[dict], int]:
    """(the events from byte `after` on, where the next look begins). Reading starts anew when the file is shorter than that."""
    path = folder / "events.jsonl"
    if not path.exists():
        return [], 0
    with open(path, "rb") as file:
        if after > file.seek(0, os.SEEK_END):
            after = 0
        file.seek(after)
        found = []
        for line in file:
            if not line.endswith(b"\n") or len(found) == most:
                break
            after += len(line)
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
    return found, after


@dataclass(frozen=True)
class Point:
    """Numbers of one event. `t`: unix seconds."""

    attempt: int
    step: int
    t: float
    numbers: dict[str, float | None]  # None: was no finite number


def points(folder: Path) -> Iterator[Point]:
    """Every event that brought numbers, in order and in full: for export. Reads the file as it goes."""
    path = folder / "events.jsonl"
    if not path.exists():
        return
    attempt, step = 1, 0
    with open(path, "rb") as file:
        for line in file:
            try:
                event = json.loads(line) if line.endswith(b"\n") else None
            except ValueError:
                continue
            if not isinstance(event, dict):
                continue
            if isinstance(event.get("step"), int):
                step = event["step"]
            if event.get("kind") == "attempt":
                attempt = event.get("attempt", attempt)
            elif numbers := dict(numbers_of(event)):
                yield Point(attempt, step, event.get("t", 0.0), numbers)


def numbers_of(event: dict) -> Iterator[tuple[str, float | None]]:
    """The curves' values in an event; None for one that was infinite or not a number (the engine writes null)."""
    if event.get("kind"):
        return  # a sample, a note, progress, …
    for name, value in event.items():
        if name in _NOT_CURVES or isinstance(value, bool) or not isinstance(value, int | float | None):
            continue
        yield name, value if value is not None and math.isfinite(value) else None


def log_tail(folder: Path, lines: int = 200) -> list[str]:
    """The last lines of what the process printed."""
    try:
        with open(folder / "log.txt", "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 200 * lines))
            text = file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return []
    # A progress bar rewrites its line with carriage returns; what it said last is what counts.
    said = text.rstrip("\n").split("\n") if text else []
    return [line.rstrip("\r").rsplit("\r", 1)[-1] for line in said][-lines:]


def metrics(folder: Path) -> dict:
    """The figures of a finished run."""
    return _json(folder / "output" / "metrics.json")


def _json(path: Path) -> dict:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def files(folder: Path) -> list[tuple[str, int]]:
    """Every file of the run with its size in bytes, by path."""
    found = []
    for path in sorted(folder.rglob("*")):
        try:
            if path.is_file():
                found.append((path.relative_to(folder).as_posix(), path.stat().st_size))
        except FileNotFoundError:  # a checkpoint that has just been replaced
            continue
    return found
