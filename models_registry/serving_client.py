"""Asking for text, scores and labels: from our model server, or from the server of a remote version. What pages and jobs call.

Light: the web process never loads a model itself. Whom to ask is decided in endpoints.py.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import httpx
from django.utils.translation import gettext as _

from people import terminal
from people.errors import Refusal

from . import endpoints
from .endpoints import Endpoint
from .models import Version

MOST_ROWS = 256  # prompts of one request for scores,
MOST_TEXTS = 256  # and completions of one of them

Prompt = str | Sequence[Mapping[str, str]]

# A request to our own server may wait for others, and for a large model to load.
_PATIENCE = {False: httpx.Timeout(600, connect=2), True: httpx.Timeout(120, connect=5)}


class NotRunning(Refusal):
    """No model server answers."""

    def __init__(self) -> None:
        super().__init__(
            _("The model server is not running. “make run” starts it with the site; alone it is: %(command)s")
            % {"command": terminal.manage("serve_models")},
            status=503,
        )


@dataclass(frozen=True)
class Piece:
    """A piece of a streamed text. The last one of a sample has `finish`: "stop" or "length"."""

    sample: int
    text: str
    finish: str | None = None


def health() -> dict | None:
    """What our model server says of itself, or None when none answers."""
    try:
        return httpx.get(f"{endpoints.own().base.removesuffix('/v1')}/health", timeout=2).json()
    except httpx.ReadTimeout:
        return {"status": "busy"}  # it runs; a page does not wait for what it would say
    except (httpx.HTTPError, ValueError):
        return None


def stream(
    version: Version,
    prompt: Prompt,
    *,
    max_tokens: int,
    temperature: float = 1.0,
    top_p: float = 1.0,
    seed: int | None = None,
    samples: int = 1,
    stop: Sequence[str] = (),
) -> Iterator[Piece]:
    """Texts of a version as they are written, sample after sample. Closing the iterator stops the writing.

    A prompt in messages is asked as a chat. Raises NotRunning, or a Refusal with the server's reason.
    """
    endpoint = endpoints.of(version)
    sampling = {"max_tokens": max_tokens, "temperature": temperature, "top_p": top_p}
    sampling |= {"stop": list(stop)} if stop else {}
    if not endpoint.remote:
        yield from stream_from(endpoint, prompt, {**sampling, "n": samples, "seed": seed})
        return
    # Few servers know n; a seed of its own for each sample does the same everywhere.
    for sample in range(samples):
        own_seed = {} if seed is None else {"seed": (seed + sample) % 2**31}
        finish = None
        for piece in stream_from(endpoint, prompt, {**sampling, **own_seed}):
            finish = piece.finish or finish
            if piece.text:
                yield Piece(sample, piece.text)
        yield Piece(sample, "", "length" if finish == "length" else "stop")


def stream_from(endpoint: Endpoint, prompt: Prompt, sampling: Mapping[str, object]) -> Iterator[Piece]:
    """The pieces of one request to one server."""
    if endpoint.chat_only and isinstance(prompt, str):
        prompt = [{"role": "user", "content": prompt}]
    chat = not isinstance(prompt, str)
    body = {"model": endpoint.model, "messages" if chat else "prompt": prompt, **sampling, "stream": True}
    address = f"{endpoint.base}/{'chat/' if chat else ''}completions"
    try:
        with httpx.stream(
            "POST", address, json=body, headers=endpoint.headers, timeout=_PATIENCE[endpoint.remote]
        ) as response:
            if response.status_code != 200:
                response.read()
                raise _refusal(endpoint, response)
            for line in response.iter_lines():
                said = line.removeprefix("data:").strip() if line.startswith("data:") else ""
                if said == "[DONE]":
                    return
                if said:
                    yield from _pieces(endpoint, said, chat)
    except httpx.HTTPError as error:
        raise _broken_off(endpoint, error) from None


def _pieces(endpoint: Endpoint, said: str, chat: bool) -> Iterator[Piece]:
    try:
        event = json.loads(said)
        if "error" in event:
            raise Refusal(endpoint.without_key(_said(event)), status=502)
        for choice in event["choices"]:
            text = choice["delta"].get("content") if chat else choice["text"]
            yield Piece(choice.get("index") or 0, text or "", choice.get("finish_reason"))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise _no_openai(endpoint) from None


@dataclass(frozen=True)
class Point:
    """A token of a text: what it adds to it (nothing: a special token, or a part of a character), and the score of all up to it."""

    text: str
    score: float


@dataclass(frozen=True)
class Judged:
    """A completion's score, on the scale that was recorded with the model. `cut`: the model's context did not hold all of it and its prompt.

    Of an ensemble, `by_head` is what each head says, and `std_between` the standard deviation between them: how unsure the model is.
    """

    score: float
    cut: bool
    trace: tuple[Point, ...] | None = None
    std_between: float | None = None
    by_head: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Judgement:
    """Of each row, what the model says of its completions, in their order. `std` makes differences of scores the model's own again."""

    rows: list[list[Judged]]
    std: float

    @property
    def cut(self) -> int:
        return sum(each.cut for row in self.rows for each in row)


def judge(version: Version, rows: Sequence[tuple[Prompt, Sequence[str]]], *, trace: bool = False) -> Judgement:
    """What a reward model says of each completion of each (prompt, completions); MOST_ROWS at most. Raises as stream() does."""
    asked = [{"prompt": prompt, "completions": list(texts)} for prompt, texts in rows]
    told = _post(endpoints.own(), "score", {"model": str(version), "rows": asked, "trace": trace})
    found: list[list[Judged]] = [[] for _row in rows]
    for each in told["data"]:
        points = tuple(Point(**point) for point in each["trace"]) if trace else None
        by_head = tuple(each["by_head"]) if "by_head" in each else None
        found[each["row"]].append(Judged(each["score"], each["cut"], points, each.get("std_between"), by_head))
    return Judgement(found, told["scale"]["std"])


def classify(version: Version, texts: Sequence[str]) -> list[dict[str, float]]:
    """The probability of each label, for each text. Raises as stream() does."""
    return [
        each["labels"]
        for each in _post(endpoints.own(), "classify", {"model": str(version), "input": list(texts)})["data"]
    ]


def _post(endpoint: Endpoint, what: str, body: dict) -> dict:
    try:
        response = httpx.post(
            f"{endpoint.base}/{what}", json=body, headers=endpoint.headers, timeout=_PATIENCE[endpoint.remote]
        )
    except httpx.HTTPError as error:
        raise _broken_off(endpoint, error) from None
    if response.status_code != 200:
        raise _refusal(endpoint, response)
    return response.json()


def probe(endpoint: Endpoint) -> str:
    """Ask a remote server for a few tokens; what it wrote. Raises as stream() does."""
    pieces = stream_from(endpoint, "Hello", {"max_tokens": 8, "temperature": 0})
    return "".join(piece.text for piece in pieces)


def _refusal(endpoint: Endpoint, response: httpx.Response) -> Refusal:
    """The server's own reason, and what to do about the usual ones."""
    status = response.status_code
    try:
        said = endpoint.without_key(_said(response.json()))
    except (ValueError, AttributeError):
        said = ""
    if not endpoint.remote:
        said = said or _("The model server answered with an error (%(status)d).") % {"status": status}
        return Refusal(said, status=status)
    words = {"address": endpoint.base, "model": endpoint.model, "status": status}
    if status in (401, 403):
        what = (
            _("The server at %(address)s refuses the key. Check the environment variable that holds it.")
            if endpoint.key
            else _(
                "The server at %(address)s asks for a key. Register it with the environment variable that holds one."
            )
        )
    elif status == 404:
        what = _("The server at %(address)s knows no model “%(model)s”, or has nothing at this address.")
    elif status == 429:
        what = _("The server at %(address)s says that it was asked too often, or that the account is used up.")
    elif 300 <= status < 400:
        what = _("The server at %(address)s sends on to another address; register that one instead.")
    else:
        what = _("The server at %(address)s answered with an error (%(status)d).")
    return Refusal([what % words, *([_("It said: %(said)s") % {"said": said[:500]}] if said else [])], status=502)


def _said(body: object) -> str:
    """The reason in an error body: OpenAI's {"error": {"message"}}, or FastAPI's {"detail"}."""
    if isinstance(body, dict):
        error = body.get("error", body.get("detail", body.get("message", "")))
        return str(error.get("message", error) if isinstance(error, dict) else error)
    return str(body)


def _broken_off(endpoint: Endpoint, error: httpx.HTTPError) -> Refusal:
    if not endpoint.remote:
        if isinstance(error, httpx.ConnectError):
            return NotRunning()
        return Refusal(_("The model server broke off: %(reason)s.") % {"reason": error}, status=502)
    if isinstance(error, httpx.TimeoutException):
        what = _(
            "The server at %(address)s did not answer in time. It may be loading the model; try again in a moment."
        )
    elif isinstance(error, httpx.ConnectError):
        what = _("The server at %(address)s cannot be reached. Check that it runs, and that its address is right.")
    else:
        what = _("The server at %(address)s broke off: %(reason)s.")
    said = what % {"address": endpoint.base, "reason": endpoint.without_key(str(error))}
    return Refusal(said, status=502)


def _no_openai(endpoint: Endpoint) -> Refusal:
    return Refusal(
        _("What answers at %(address)s does not speak the OpenAI protocol.") % {"address": endpoint.base}, status=502
    )
