"""The one thread that computes: requests wait in line, streams take turns token by token, and what can be computed together is."""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models_registry.lm.chain import Loaded

from .pool import Full, Pool
from .protocol import ApiError

logger = logging.getLogger("models_registry.serving")

MOST_WAITING = 64
MOST_AT_ONCE = 8  # streams that take turns; each holds a KV cache
MOST_TOGETHER = 32  # requests in one batch
Work = Callable[[Loaded], Iterator[Any]]  # what a request does with its model; every item is one event


@dataclass(frozen=True)
class Together:
    """Requests of an equal key can be computed in one batch: `run` takes (model, payload) of each, and gives one event for each."""

    key: Hashable
    payload: Any
    run: Callable[[list[tuple[Loaded, Any]]], list[Any]]


class Ticket:
    """A request in the queue."""

    def __init__(self, folders: Sequence[Path], work: Work | Together) -> None:
        self.folders = tuple(folders)
        self.work = work
        self.given_up = threading.Event()
        self._loop = asyncio.get_running_loop()
        self._events: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()

    def tell(self, kind: str, value: Any = None) -> None:
        """From the computing thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._events.put_nowait, (kind, value))

    async def events(self) -> AsyncIterator[Any]:
        """The work's items as they come; raises its ApiError. Leaving early gives the request up."""
        try:
            while True:
                kind, value = await self._events.get()
                if kind == "item":
                    yield value
                elif kind == "error":
                    raise value
                else:
                    return
        finally:
            self.given_up.set()


@dataclass
class _Turn:
    """A request that is being answered bit by bit."""

    ticket: Ticket
    view: Loaded
    items: Iterator[Any]


class Engine:
    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self._line: deque[Ticket] = deque()
        self._new = threading.Condition()
        self._turns: list[_Turn] = []
        threading.Thread(target=self._run, name="compute", daemon=True).start()

    @property
    def waiting(self) -> int:
        return len(self._line)

    @property
    def answering(self) -> int:
        return len(self._turns)

    def submit(self, folders: Sequence[Path], work: Work | Together) -> Ticket:
        if self.waiting >= MOST_WAITING:
            raise ApiError(503, "Too many requests are waiting. Try again in a moment.", code="overloaded")
        ticket = Ticket(folders, work)
        with self._new:
            self._line.append(ticket)
            self._new.notify()
        return ticket

    def _run(self) -> None:
        while True:
            with self._new:
                self._new.wait_for(lambda: self._line or self._turns)
            self._admit()
            for turn in list(self._turns):
                self._step(turn)

    def _admit(self) -> None:
        """Begin with those in line, in their order, as far as there is room."""
        while self._line and len(self._turns) < MOST_AT_ONCE:
            ticket = self._line[0]
            if ticket.given_up.is_set():
                self._line.popleft()
                continue
            try:
                view = self.pool.get(ticket.folders, busy={turn.ticket.folders for turn in self._turns})
            except Full:
                return  # when a turn ends, it is asked again
            except Exception as error:
                self._line.popleft()
                ticket.tell("error", _told(error))
                continue
            self._line.popleft()
            if isinstance(ticket.work, Together):
                self._serve_together(ticket.work, [(ticket, view), *self._mates(ticket, ticket.work)])
            else:
                self._turns.append(_Turn(ticket, view, ticket.work(view)))

    def _mates(self, first: Ticket, work: Together) -> list[tuple[Ticket, Loaded]]:
        """Those in line that can be computed along with `first`; they leave the line."""
        found: list[tuple[Ticket, Loaded]] = []
        with self._new:
            waiting = list(self._line)
        for ticket in waiting:
            if len(found) + 1 >= MOST_TOGETHER:
                break
            if not isinstance(ticket.work, Together) or ticket.work.key != work.key or ticket.given_up.is_set():
                continue
            busy = {
                first.folders,
                *(turn.ticket.folders for turn in self._turns),
                *(mate.folders for mate, _ in found),
            }
            try:
                found.append((ticket, self.pool.get(ticket.folders, busy=busy)))
            except Exception:  # it has its turn later, and is told then
                continue
            self._line.remove(ticket)
        return found

    def _serve_together(self, work: Together, some: list[tuple[Ticket, Loaded]]) -> None:
        try:
            self.pool.switch_to(some[0][1])
            answers = work.run([(view, ticket.work.payload) for ticket, view in some])  # type: ignore[union-attr]
        except Exception as error:
            if len(some) > 1:  # one that cannot be done must not spoil the others
                for ticket, view in some:
                    self._serve_together(work, [(ticket, view)])
            else:
                some[0][0].tell("error", _told(error))
            return
        for (ticket, _view), answer in zip(some, answers, strict=True):
            ticket.tell("item", answer)
            ticket.tell("end")

    def _step(self, turn: _Turn) -> None:
        """One item of one request."""
        ticket = turn.ticket
        try:
            if ticket.given_up.is_set():
                self._turns.remove(turn)
                return
            self.pool.switch_to(turn.view)
            ticket.tell("item", next(turn.items))
            return
        except StopIteration:
            ticket.tell("end")
        except Exception as error:
            ticket.tell("error", _told(error))
        self._turns.remove(turn)


def _told(error: Exception) -> ApiError:
    if isinstance(error, ApiError):
        return error
    if isinstance(error, ValueError):  # lm's way to say that the input cannot be done
        return ApiError(400, str(error))
    logger.error("A request failed.", exc_info=error)
    return ApiError(500, f"The model failed: {type(error).__name__}: {error}")
