"""People at the board, played by one light process: each signs in, opens the board once, then sends rankings as the board's script does.

Talks HTTP over one kept connection a person, with the session, the CSRF token and the headers of a browser. Takes orders and gives what it found as
lines of JSON: `Load` is the other end of the line. Only the standard library is imported, so that it leaves the processors to the server.

An order: {"people": {name: password}, "slug", and "seconds" or "count" (rankings of each), "double": every so many submits arrive twice at once
(0: never), "patient": a submit whose answer did not come is sent again, with the same key, until one comes, "until_lost": all end once an
answer did not come}.
An answer: the latencies in seconds, {key: [assignment, notation]} of what was acknowledged, errors, the submits that arrived twice, and time.
"""

import asyncio
import json
import random
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

BROWSER = (
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/149.0.0.0 Safari/537.36\r\n"
    "Accept-Language: en-US,en;q=0.9\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nConnection: keep-alive\r\n"
    "Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\n"
)
PAGE, JSON = "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8", "application/json"
PATIENCE_SECONDS = 60
SUBMIT_URL = re.compile(r'data-submit-url="[^"]*/rank/turn/([^/"]+)/submit/"')
ITEMS = re.compile(r'data-items="(\d+)"')
TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')


class Unanswered(Exception):
    """The connection ended before a whole answer had come."""


@dataclass
class Connection:
    """One kept connection and its cookies."""

    host: str
    port: int
    cookies: dict[str, str] = field(default_factory=dict)
    _ends: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(
        self, method: str, path: str, fields: dict[str, str] | None = None, accept: str = PAGE
    ) -> tuple[int, str]:
        """(status, body) of one request."""
        body = urlencode(fields or {})
        head = f"{method} {path} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\n{BROWSER}Accept: {accept}\r\n"
        head += f"Cookie: {'; '.join(f'{name}={value}' for name, value in self.cookies.items())}\r\n"
        if method == "POST":
            head += f"Origin: http://{self.host}:{self.port}\r\nX-CSRFToken: {self.cookies.get('csrftoken', '')}\r\n"
            head += f"Content-Type: application/x-www-form-urlencoded;charset=UTF-8\r\nContent-Length: {len(body)}\r\n"
        try:
            if self._ends is None:
                self._ends = await asyncio.open_connection(self.host, self.port, limit=2**22)
            reader, writer = self._ends
            writer.write(f"{head}\r\n{body}".encode("latin-1"))
            answer = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = [line.partition(": ") for line in answer[1:]]
            length = next(int(value) for name, _, value in headers if name.lower() == "content-length")
            content = await reader.readexactly(length)
        except (OSError, EOFError, StopIteration) as error:
            self.close()
            raise Unanswered(str(error)) from error
        for name, _, value in headers:
            if name.lower() == "set-cookie":
                cookie, _, rest = value.partition(";")[0].partition("=")
                self.cookies[cookie] = rest
            elif (name.lower(), value.lower()) == ("connection", "close"):
                self.close()
        return int(answer[0].split()[1]), content.decode()

    def close(self) -> None:
        if self._ends is not None:
            self._ends[1].close()
            self._ends = None


@dataclass
class Found:
    latencies: list[float] = field(default_factory=list)
    acknowledged: dict[str, list[str]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    twice: int = 0
    unanswered: int = 0  # and sent again, by a patient person
    without_tasks: int = 0  # people who were told that nothing waits for them
    seconds: float = 0.0
    cpu: float = 0.0


class Person:
    def __init__(self, host: str, port: int, name: str, password: str) -> None:
        self.connection = Connection(host, port)
        self.name, self.password = name, password
        self.random = random.Random()

    async def sign_in(self) -> None:
        _, page = await self.connection.ask("GET", "/sign-in/")
        fields = {"csrfmiddlewaretoken": TOKEN.search(page)[1], "username": self.name, "password": self.password}
        status, _ = await self.connection.ask("POST", "/sign-in/", fields)
        if status != 302:
            raise SystemExit(f"{self.name} could not sign in: {status}")

    async def open_board(self, slug: str) -> "tuple[str, int] | None":
        status, page = await self.connection.ask("GET", f"/rank/{quote(slug)}/")
        if status != 200:
            raise SystemExit(f"The board answered {self.name} with {status}.")
        return turn(page)

    async def work(self, order: dict[str, Any], found: Found, until: float) -> None:
        double = order.get("double", 0)

        async def ask(question: Callable[..., Awaitable], *what: Any) -> Any:
            return await (self._patiently(question, found, *what) if order.get("patient") else question(*what))

        task = await ask(self.open_board, order["slug"])
        for number in range(order.get("count") or sys.maxsize):
            if task is None:
                found.without_tasks += 1
                return
            if time.perf_counter() >= until or (found.unanswered and order.get("until_lost")):
                return
            assignment, items = task
            send = (assignment, self.ranking(items), secrets.token_hex(16))
            tab = Connection(self.connection.host, self.connection.port, self.connection.cookies)
            twice = double and number % double == double - 1
            begun = time.perf_counter()
            second = asyncio.create_task(ask(self.submit, tab, *send)) if twice else None
            status, body = await ask(self.submit, self.connection, *send)
            found.latencies.append(time.perf_counter() - begun)
            if status != 200:
                found.errors.append(f"{status} {body[:300]}")
                task = await ask(self.open_board, order["slug"])
                continue
            found.acknowledged[send[2]] = [assignment, send[1]]
            task = turn(json.loads(body)["html"])
            if second is not None:
                found.twice += 1
                status, body = await second
                tab.close()
                if status != 200 or turn(json.loads(body)["html"]) != task:
                    found.errors.append(f"the second of two submits: {status} {body[:300]}")

    async def submit(self, connection: Connection, assignment: str, notation: str, key: str) -> tuple[int, str]:
        fields = {"ranking": notation, "client_key": key, "seconds": f"{self.random.uniform(5, 90):.1f}"}
        return await connection.ask("POST", f"/rank/turn/{assignment}/submit/", fields, JSON)

    async def _patiently(self, question: Callable[..., Awaitable], found: Found, *what: Any) -> Any:
        give_up = time.perf_counter() + PATIENCE_SECONDS
        while True:
            try:
                return await question(*what)
            except Unanswered:
                if time.perf_counter() > give_up:
                    raise
                found.unanswered += 1
                await asyncio.sleep(0.05)

    def ranking(self, items: int) -> str:
        """A weak order of all letters, drawn at random."""
        letters = self.random.sample("ABCDEFGHI"[:items], items)
        return letters[0] + "".join(self.random.choice((" > ", " > ", " = ")) + letter for letter in letters[1:])


def turn(html: str) -> tuple[str, int] | None:
    """(assignment, number of outputs) of the task that a page shows; None if it shows none."""
    shown = SUBMIT_URL.search(html)
    return (shown[1], int(ITEMS.search(html)[1])) if shown else None


async def carry_out(order: dict[str, Any], people: dict[str, Person], host: str, port: int) -> Found:
    taking_part = []
    for name, password in order["people"].items():
        if name not in people:
            people[name] = Person(host, port, name, password)
            await people[name].sign_in()
        taking_part.append(people[name])
    found = Found()
    begun, cpu = time.perf_counter(), time.process_time()
    until = begun + order.get("seconds", 1e9)
    works: list[Coroutine] = [person.work(order, found, until) for person in taking_part]
    for end in await asyncio.gather(*works, return_exceptions=True):
        if isinstance(end, BaseException):
            found.errors.append(repr(end))
    found.seconds, found.cpu = time.perf_counter() - begun, time.process_time() - cpu
    return found


class Load:
    """The process that plays people, as the one who gives it orders sees it."""

    def __init__(self, host: str, port: int) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-I", __file__, host, str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def begin(self, order: dict[str, Any]) -> None:
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()

    def result(self) -> Found:
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("The process that plays people ended early.")
        return Found(**json.loads(line))

    def __call__(self, **order: Any) -> Found:
        self.begin(order)
        return self.result()

    def __enter__(self) -> "Load":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


async def serve(host: str, port: int) -> None:
    people: dict[str, Person] = {}
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        found = await carry_out(json.loads(line), people, host, port)
        print(json.dumps(vars(found)), flush=True)


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2])))
