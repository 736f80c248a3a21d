"""What a method's run(ctx) is given: its settings and inputs, a place for numbers, checkpoints, and the result."""

import json
import math
import os
import random
import shutil
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch

from . import devices, heap
from .contract import Order, Status, write_json
from .messages import Failed, Message, Refused, Stopped, _
from .processes import Processes


class Context:
    """Of one attempt at a run. See the methods for what each promises.

    Attributes: config (the method's Config), inputs {role: chain of folders | path}, seed, device, dtype (of the computation; weights
    that are trained stay float32), output (a folder set aside for the result), tokens_seen (add to it; it survives a resume), processes.
    Of several processes all call the same methods and only the first writes; what a method writes by itself, it writes where ctx.is_main.
    """

    def __init__(
        self, run_dir: Path, order: Order, status: Status, stop: threading.Event, *, only_result: bool = False
    ) -> None:
        self.run_dir = run_dir
        self.only_result = only_result  # no update is made: the checkpoint becomes the result
        self.config: Any = order.config
        self.inputs: Any = order.inputs
        self.seed = order.seed
        self.device = devices.find(getattr(self.config, "device", "auto"))
        self.processes = Processes(self.device)
        self.is_main = self.processes.is_main
        self.dtype = _dtype(
            getattr(self.config, "precision", "auto"),
            self.device,
            getattr(self.config, "auto_bf16", frozenset({"cuda"})),
        )
        self.output = run_dir / "output.part"
        self.cache = (
            run_dir / "cache"
        )  # what can be computed again: tokens of the data; removed when the run is complete
        self.tokens_seen = 0
        self._status = status
        self._stop = stop
        self._order = sha256((run_dir / "run.json").read_bytes()).hexdigest()
        self._checkpoints = run_dir / "checkpoints"
        self._fraction: float | None = None
        self._eta: float | None = None
        self._clock: tuple[float, float] | None = None  # when progress was first told in this attempt, and what it was
        self._last_line = 0.0
        self._last_checkpoint = self._last_boundary = time.monotonic()
        self._metrics: dict[str, Any] | None = None
        self._restored = False
        self._empty = memory(self.device)
        self._memory_of_others: Counter[str] = Counter()
        self._state: dict[str, Any] = {"step": 0, "events": 0}
        self._found = self.processes.main_says(self._begin() if self.is_main else None)
        if self._found is not None:
            self._state = json.loads((self._found / "context.json").read_text())
        _seed(self.seed)
        if self.device.type == "cpu":
            heap.keep()
            # Interrupted must equal uninterrupted bit for bit.
            torch.use_deterministic_algorithms(True, warn_only=True)
            torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        status.set(device=devices.name_of(self.device), dtype=str(self.dtype).removeprefix("torch."))

    # Numbers and texts -------------------------------------------------------------------------------------------------------------

    def event(self, step: int, **numbers: float | None) -> None:
        """One line of events.jsonl: points of the curves at this step. What is not a finite number is written as null."""
        self._status.set(step=step)
        self._line({"step": step, **{name: _finite(number) for name, number in numbers.items()}})

    def sample(self, step: int, prompt: str, text: str, slot: int) -> None:
        """A text that the model wrote at this step; the same slot always holds the same prompt."""
        self._line({"kind": "sample", "step": step, "slot": slot, "prompt": prompt, "text": text})

    def note(self, message: Message, level: str = "info") -> None:
        """A line for people; level: good (checked, and as it should be), info or warning. What is said before restore() was said in the first attempt and is not repeated."""
        if self.is_main:
            print(f"{level}: {message}", file=sys.stderr, flush=True)
        if self._found is None or self._restored:
            self._line({"kind": "note", "level": level, "message": message.as_json()})

    def progress(self, fraction: float) -> None:
        """How much is done, 0..1; the time that is left follows from the pace of this attempt."""
        now = time.monotonic()
        self._fraction = min(max(fraction, 0.0), 1.0)
        if self._clock is None:
            self._clock = now, self._fraction
        began, at = self._clock
        if self._fraction > at:
            self._eta = round((now - began) / (self._fraction - at) * (1.0 - self._fraction), 1)
        self._status.set(progress=self._fraction, eta_s=self._eta, tokens_seen=self.tokens_seen)
        if now - self._last_line > 2.0:
            self._line({"kind": "progress"})

    def phase(self, message: Message, fraction: float) -> None:
        """What is being done before the first update, and how much of it; told at most every two seconds."""
        if fraction > 0 and time.monotonic() - self._last_line < 2.0:
            return
        self._line({"kind": "phase", "message": message.as_json(), "fraction": round(fraction, 4)})

    def facts(self, **fields: Any) -> None:
        """Fields of status.json: trained_parameters, total_parameters, …"""
        self._status.set(**fields)

    def _line(self, fields: dict[str, Any]) -> None:
        self._last_line = time.monotonic()
        if not self.is_main:
            return
        if self._fraction is not None and fields.get("kind") in {None, "progress"}:
            fields = {**fields, "progress": round(self._fraction, 5), "eta_s": self._eta}
        line = json.dumps({"t": round(time.time(), 3), **fields}, ensure_ascii=False, allow_nan=False)
        # One write: a reader, or a kill, may cut between lines and not within one.
        os.write(self._events, line.encode() + b"\n")

    # Stopping and going on ---------------------------------------------------------------------------------------------------------

    def _begin(self) -> Path | None:
        """Clear what a killed attempt left half done, cut events.jsonl at the last checkpoint, and open a new attempt."""
        shutil.rmtree(self.output, ignore_errors=True)
        self._checkpoints.mkdir(exist_ok=True)
        for left in self._checkpoints.glob("*.tmp"):
            shutil.rmtree(left)
        found = max(self._checkpoints.glob("step-*"), key=_step_of, default=None)
        state = json.loads((found / "context.json").read_text()) if found else self._state
        if found and state["order"] != self._order:
            text = _(
                "run.json was changed after the run had begun. Put it back, or start a new run with the new settings."
            )
            raise Refused(Message("order-changed", text))
        self._events = os.open(self.run_dir / "events.jsonl", os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        os.ftruncate(self._events, state["events"])
        self._line({"kind": "attempt", "attempt": self._status.attempt, "step": state["step"]})
        return found

    def restore(self) -> Path | None:
        """The folder of the last complete checkpoint, or None at a first start. Call it last before the loop, after the model is built:
        the random states of python, numpy and torch are then those of the checkpoint."""
        if self._found is None:
            return None
        _set_random_state(self._state["random"])
        self._restored = True
        self.tokens_seen = self._state["tokens_seen"]
        self._status.set(step=self._state["step"], tokens_seen=self.tokens_seen)
        self._last_checkpoint = self._last_boundary = time.monotonic()
        return self._found

    @property
    def step(self) -> int:
        """The step of the checkpoint that this attempt goes on from; 0 at a first start."""
        return self._state["step"]

    def last_step(self, planned: int) -> int:
        """The last update of this attempt, of so many planned."""
        return min(planned, self.step) if self.only_result else planned

    def boundary(self, step: int, save: Callable[[Path], None]) -> None:
        """Call once a step, where the state is whole. Writes a checkpoint when one is due; raises Stopped after it when asked to stop.

        `save` writes the method's own state into the folder it is given; random states and the place in events.jsonl are added here.
        """
        stop = self._stop.is_set()
        every = getattr(self.config, "checkpoint_every", None)
        minutes = getattr(self.config, "checkpoint_minutes", 5.0)
        now = time.monotonic()
        # Due when it would be too late by the next boundary, if that is as far away as the last one was.
        late = now - self._last_checkpoint + (now - self._last_boundary) >= 60 * minutes
        self._last_boundary = now
        if self.is_main and (stop or late or (every and step % every == 0)):
            self._checkpoint(step, save)
        self._ask_others()
        # Behind the checkpoint: a launcher ends all of its processes as soon as one has left.
        if self.processes.main_says(stop):
            raise Stopped

    def pause_point(self) -> None:
        """Call in long work before the first step: stops at once when asked to. Nothing is lost, since it can all be done again."""
        if self._stop.is_set() and self.is_main:  # without it the others cannot go on
            raise Stopped

    def _checkpoint(self, step: int, save: Callable[[Path], None]) -> None:
        state = {
            "step": step,
            "events": os.fstat(self._events).st_size,
            "tokens_seen": self.tokens_seen,
            "order": self._order,
            "random": _random_state(),
        }
        final = self._checkpoints / f"step-{step}"
        aside = self._checkpoints / f"step-{step}.tmp"
        aside.mkdir()
        save(aside)
        write_json(aside / "context.json", state)
        _to_disk(aside)
        shutil.rmtree(final, ignore_errors=True)
        aside.rename(final)
        _sync(self._checkpoints)
        for old in sorted(self._checkpoints.glob("step-*"), key=_step_of)[
            : -getattr(self.config, "keep_checkpoints", 2)
        ]:
            shutil.rmtree(old)
        self._last_checkpoint = time.monotonic()
        self._status.set(checkpoint_step=step)

    # Computing ---------------------------------------------------------------------------------------------------------------------

    def autocast(self) -> AbstractContextManager:
        """Computes in ctx.dtype where that is not float32."""
        return nullcontext() if self.dtype == torch.float32 else torch.autocast(self.device.type, dtype=self.dtype)

    # The result --------------------------------------------------------------------------------------------------------------------

    def finish(self, metrics: dict[str, Any]) -> None:
        """Call at the end, when ctx.output holds the result: writes metrics.json beside it. Numbers that are not finite become null."""
        self._metrics = _finite_all(metrics)
        self._ask_others()
        if self.is_main:
            self.output.mkdir(exist_ok=True)
            write_json(self.output / "metrics.json", self._metrics)

    def complete(self) -> dict[str, Any]:
        """For the engine: put the result in its place. Returns the last fields of status.json."""
        if self._metrics is None:
            raise RuntimeError("the method ended without ctx.finish()")
        if not self.is_main:
            return {}
        _to_disk(self.output)
        self.output.rename(self.run_dir / "output")
        _sync(self.run_dir)
        shutil.rmtree(self.cache, ignore_errors=True)
        if getattr(self.config, "delete_checkpoints", True):
            shutil.rmtree(self._checkpoints, ignore_errors=True)
        return {"progress": 1.0, "eta_s": 0.0}

    def close(self) -> None:
        """For the engine: the attempt is over."""
        if self.is_main:
            os.close(self._events)
        self.processes.leave()

    def figures(self) -> dict[str, Any]:
        """For the engine: what status.json tells about any attempt that reached the method."""
        mine = self._memory()
        return {"tokens_seen": self.tokens_seen, **{name: mine[name] + self._memory_of_others[name] for name in mine}}

    def _memory(self) -> dict[str, int]:
        """Of this process: its peaks, and as `memory_of_run` bytes at the most above what it took before the run had anything; on a GPU, the GPU's."""
        figures = memory(self.device)
        name = "peak_gpu_memory" if self.device.type == "cuda" else "peak_memory"
        return figures | {"memory_of_run": figures[name] - self._empty[name]}

    def _ask_others(self) -> None:
        """Note how much memory the other processes have taken: a process that has ended can no longer say."""
        each = self.processes.every(self._memory)
        del each[self.processes.index]
        self._memory_of_others = Counter()
        for other in each:
            self._memory_of_others.update(other)


def memory(device: torch.device) -> dict[str, int]:
    """Peak memory of this process so far, in bytes."""
    figures = {"peak_memory": heap.peak()}
    if device.type == "cuda":
        figures["peak_gpu_memory"] = torch.cuda.max_memory_allocated(device)
    return figures


def _dtype(precision: str, device: torch.device, auto_bf16: frozenset[str]) -> torch.dtype:
    """bf16 only where the machine computes in it: emulated, it is slower than fp32 and less exact. `auto_bf16`: devices on which "auto" takes it."""
    if precision == "auto" and device.type not in auto_bf16:
        return torch.float32
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if native and precision != "fp32" else torch.float32
    if precision == "auto":
        return torch.bfloat16 if _supports("_is_amx_tile_supported") else torch.float32
    if precision == "bf16":
        if not _supports("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
            text = _("This machine's processor does not compute in bf16. Set precision to fp32 or auto.")
            raise Refused(Message("no-bf16", text))
        return torch.bfloat16
    return torch.float32


def _supports(*questions: str) -> bool:
    """Whether torch says yes to one of these about the processor; it has no public ones. AVX512-BF16 computes in bf16 at half the speed of fp32,
    AMX at several times it."""
    return any(getattr(torch.cpu, name, lambda: False)() for name in questions)


def _seed(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def _random_state() -> dict[str, Any]:
    version, values, gauss = random.getstate()
    name, keys, *rest = np.random.get_state(legacy=True)
    state = {
        "python": [version, list(values), gauss],
        "numpy": [name, np.asarray(keys).tolist(), *rest],
        "torch": bytes(torch.get_rng_state().tolist()).hex(),
    }
    if torch.cuda.is_available():
        state["cuda"] = [bytes(one.tolist()).hex() for one in torch.cuda.get_rng_state_all()]
    return state


def _set_random_state(state: dict[str, Any]) -> None:
    version, values, gauss = state["python"]
    random.setstate((version, tuple(values), gauss))
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, np.array(keys, dtype=np.uint32), *rest))
    torch.set_rng_state(torch.frombuffer(bytearray.fromhex(state["torch"]), dtype=torch.uint8))
    if "cuda" in state and torch.cuda.is_available():
        here = state["cuda"][: torch.cuda.device_count()]  # a checkpoint may come from a machine with more
        torch.cuda.set_rng_state_all([torch.frombuffer(bytearray.fromhex(one), dtype=torch.uint8) for one in here])


def _step_of(folder: Path) -> int:
    return int(folder.name.removeprefix("step-").removesuffix(".tmp"))


def _to_disk(folder: Path) -> None:
    """Flush everything under a folder: what is renamed into place after this survives a power cut."""
    for path in folder.rglob("*"):
        _sync(path)
    _sync(folder)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _finite(value: Any) -> Any:
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _finite_all(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite_all(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite_all(item) for item in value]
    return _finite(value)


def cause_of(error: BaseException) -> Message:
    """An error in plain words: what happened and what to do."""
    text = str(error)
    if isinstance(error, Failed):
        return error.message
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "can't allocate memory" in text:
        return Message(
            "out-of-memory",
            _(
                "The machine ran out of memory. Take fewer rows at once, shorter texts, a smaller model or an adapter, and resume."
            ),
        )
    if isinstance(error, OSError) and error.errno == 28:
        return Message("disk-full", _("The disk is full. Make room and resume: the last checkpoint is kept."))
    if isinstance(error, RuntimeError) and "by peer" in text:
        lost = _(
            "Another process of this run ended before its time; the log may say why. Resume it: the last checkpoint is kept."
        )
        return Message("process-lost", lost)
    kind = type(error).__name__
    return Message("error", _("The training program met an error: %(error)s"), {"error": f"{kind}: {text}"[:500]})
