"""Several processes that work on one run together, started by the run itself, `accelerate launch` or `torchrun`. Loads torch only where there
are several.

Every process holds the whole state and takes every step; only the work of a step is shared. What one has to know of the others' work is
gathered, so the numbers of an update do not depend, but for rounding, on how many there are. The first writes the run's files, the others none.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeVar

from .messages import Failed, Message

if TYPE_CHECKING:
    import torch
    from torch import Tensor

T = TypeVar("T")
R = TypeVar("R")
TO_STOP = (signal.SIGTERM, signal.SIGINT)
BUCKET = 1 << 24  # numbers that are summed in one message, about
# Names a file by which processes on one machine find each other. Torch's usual way is a port that listens to the whole network, and what they
# tell each other is pickled: whoever reached it could have them run any code.
MEETING = "PERINGKAT_PROCESSES"
LOOPBACK = "lo0" if sys.platform == "darwin" else "lo"


@dataclass(frozen=True)
class Launched:
    """What a launcher tells a process by its environment. `local`: of those on this machine."""

    number: int = 1
    index: int = 0
    local_number: int = 1
    local_index: int = 0

    @property
    def is_main(self) -> bool:
        return self.index == 0


def launched() -> Launched:
    """Of this process; one that no launcher started is alone."""
    number = int(os.environ.get("WORLD_SIZE", "1"))
    if number == 1:
        return Launched()
    index = int(os.environ["RANK"])
    local_number, local_index = (int(os.environ.get(f"LOCAL_{name}", "0")) for name in ("WORLD_SIZE", "RANK"))
    return Launched(number, index, local_number or number, local_index)


@contextmanager
def started(number: int, command: Sequence[str]) -> Iterator[None]:
    """For the block this process is the first of so many; `command` starts each of the others. They are in its process group, so a signal
    reaches all, and end with the block. Each computes on its share of the cores, unless OMP_NUM_THREADS says how many: call it before torch is loaded.
    Nothing is started where a launcher has done so."""
    if number == 1 or launched().number > 1:
        yield
        return
    import psutil

    # Each by itself would take all cores.
    threads = os.environ.get("OMP_NUM_THREADS") or max(1, (psutil.cpu_count(logical=False) or 1) // number)

    def environment(index: int, meeting: Path) -> dict[str, str]:
        told: dict[str, object] = {
            "WORLD_SIZE": number,
            "RANK": index,
            "LOCAL_WORLD_SIZE": number,
            "LOCAL_RANK": index,
        }
        told |= {MEETING: meeting, "GLOO_SOCKET_IFNAME": LOOPBACK, "OMP_NUM_THREADS": threads}
        return {name: str(value) for name, value in told.items()}

    with TemporaryDirectory(prefix="processes-", ignore_cleanup_errors=True) as folder:
        meeting = Path(folder, "store")
        with held_back():
            others = [subprocess.Popen(command, env=os.environ | environment(i, meeting)) for i in range(1, number)]
        os.environ.update(environment(0, meeting))
        try:
            yield
        finally:
            for other in others:
                other.kill()
                other.wait()


@contextmanager
def held_back() -> Iterator[None]:
    """Signals to stop wait until the block ends, and in a process that is begun inside, until it calls `listen`: it could not stop in good order
    before, and one that is ended by them leaves the others waiting for it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, TO_STOP)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, TO_STOP)


def listen(stop: Callable[[], None]) -> None:
    """Call `stop` when this process is told to stop, or was since it began."""
    for number in TO_STOP:
        signal.signal(number, lambda *_arguments: stop())
    signal.pthread_sigmask(signal.SIG_UNBLOCK, TO_STOP)


class Processes:
    """The processes of this run; waits until all of them are there. `share`: the slice of anything that is this one's part of the work.

    All of them have to call the methods alike.
    """

    def __init__(self, device: "torch.device") -> None:
        by = launched()
        self.number, self.index, self.is_main = by.number, by.index, by.is_main
        self.share = slice(self.index, None, self.number)
        self._state: Any = None
        if self.number > 1:
            from accelerate import PartialState

            found: dict[str, Any] = {}  # a launcher's, by what it says in the environment
            if meeting := os.environ.get(MEETING):
                found = {"init_method": f"file://{meeting}", "rank": self.index, "world_size": self.number}
            self._state = PartialState(cpu=device.type == "cpu", **found)

    def every(self, work: Callable[[], T]) -> list[T]:
        """What `work` gives in each process, in their order; where it fails in one, all fail. It is pickled: no tensors on a GPU."""
        if self.number == 1:
            return [work()]
        result: Any = None
        failure: Exception | None = None
        try:
            result = work()
        except Exception as error:
            failure = error
        said = failure.message if isinstance(failure, Failed) else failure and f"{type(failure).__name__}: {failure}"
        told: list[Any] = [None] * self.number
        self._torch.all_gather_object(told, (result, said))
        if failure is not None:
            raise failure
        for _result, other in told:
            if other is not None:
                raise Failed(other) if isinstance(other, Message) else RuntimeError(other)
        return [each for each, _failure in told]

    def shared(self, items: Sequence[T], work: Callable[[Sequence[T]], Sequence[R]]) -> list[R]:
        """What `work` gives for the items, one for each and in their order; each process does its share."""
        parts = self.every(lambda: list(work(mine)) if (mine := items[self.share]) else [])
        return [parts[place % self.number][place // self.number] for place in range(len(items))]

    def main_says(self, value: T) -> T:
        """The first process's value, for all."""
        told = [value]
        if self.number > 1:
            self._torch.broadcast_object_list(told)
        return told[0]

    def main_first(self, work: Callable[[], T]) -> T:
        """What `work` gives; the others begin when the first has ended, and find what it left on the disk."""
        result = work() if self.is_main else None
        self.main_says(None)
        return result if self.is_main else work()  # type: ignore[return-value]

    def add_up(self, tensors: Iterable["Tensor"]) -> None:
        """Replace each tensor by its sum over the processes, which is the same to the last bit in all of them."""
        if self.number == 1:
            return
        import torch

        for bucket in _buckets(tensors):
            total = torch.cat([tensor.flatten() for tensor in bucket])
            self._torch.all_reduce(total)
            for tensor, added in zip(bucket, total.split([tensor.numel() for tensor in bucket]), strict=True):
                tensor.copy_(added.view_as(tensor))

    def leave(self) -> None:
        if self._state is not None:
            self._state.destroy_process_group()

    @property
    def _torch(self) -> Any:
        import torch.distributed

        return torch.distributed


def _buckets(tensors: Iterable["Tensor"]) -> Iterator[list["Tensor"]]:
    """Tensors of one kind together: a message costs more than what is in it."""
    bucket: list[Tensor] = []
    for tensor in tensors:
        if bucket and (tensor.dtype != bucket[0].dtype or sum(each.numel() for each in bucket) > BUCKET):
            yield bucket
            bucket = []
        bucket.append(tensor)
    if bucket:
        yield bucket
