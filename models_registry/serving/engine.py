"""The one thread that computes: requests wait in a queue, and each gets its events back in its own event loop."""

import asyncio
import logging
import queue
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from models_registry.lm.chain import Loaded

from .pool import Pool
from .protocol import ApiError

logger = logging.getLogger("models_registry.serving")

MOST_WAITING = 64
Work = Callable[[Loaded], Iterator[Any]]  # what a request does with its model; every item is one event


class Ticket:
    """A request in the queue."""

    def __init__(self, folders: Sequence[Path], work: Work) -> None:
        self.folders = folders
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


class Engine:
    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self._queue: queue.Queue[Ticket] = queue.Queue()
        threading.Thread(target=self._run, name="compute", daemon=True).start()

    @property
    def waiting(self) -> int:
        return self._queue.qsize()

    def submit(self, folders: Sequence[Path], work: Work) -> Ticket:
        if self.waiting >= MOST_WAITING:
            raise ApiError(503, "Too many requests are waiting. Try again in a moment.", code="overloaded")
        ticket = Ticket(folders, work)
        self._queue.put(ticket)
        return ticket

    def _run(self) -> None:
        while True:
            self._serve(self._queue.get())

    def _serve(self, ticket: Ticket) -> None:
        if ticket.given_up.is_set():
            return
        try:
            for item in ticket.work(self.pool.get(ticket.folders)):
                if ticket.given_up.is_set():
                    return
                ticket.tell("item", item)
            ticket.tell("end")
        except ApiError as error:
            ticket.tell("error", error)
        except ValueError as error:  # lm's way to say that the input cannot be done
            ticket.tell("error", ApiError(400, str(error)))
        except Exception as error:
            logger.exception("A request failed.")
            ticket.tell("error", ApiError(500, f"The model failed: {type(error).__name__}: {error}"))
