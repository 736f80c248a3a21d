"""Asking the model server: what pages and jobs call. Light: the web process never loads a model itself."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import httpx
from django.conf import settings
from django.utils.translation import gettext as _

from people.errors import Refusal

Prompt = str | list[dict[str, str]]

_PATIENCE = httpx.Timeout(600, connect=2)  # a request may wait for others, and for a large model to load


class NotRunning(Refusal):
    """No model server answers."""

    def __init__(self) -> None:
        super().__init__(
            _(
                "The model server is not running. “make run” starts it with the site; alone it is: manage.py serve_models."
            ),
            status=503,
        )


@dataclass(frozen=True)
class Piece:
    """A piece of a streamed text. The last one of a sample has `finish`: "stop" or "length"."""

    sample: int
    text: str
    finish: str | None = None


def health() -> dict | None:
    """What the model server says of itself, or None when none answers."""
    try:
        return httpx.get(f"{_address()}/health", timeout=2).json()
    except (httpx.HTTPError, ValueError):
        return None


def stream(
    version: str,
    prompt: Prompt,
    *,
    max_tokens: int,
    temperature: float = 1.0,
    top_p: float = 1.0,
    seed: int | None = None,
    samples: int = 1,
    stop: Sequence[str] = (),
) -> Iterator[Piece]:
    """Texts of version "name:v3" as they are written, sample after sample. Closing the iterator stops the writing.

    A prompt in messages is asked as a chat. Raises NotRunning, or a Refusal with the server's reason.
    """
    chat = not isinstance(prompt, str)
    body = {
        "model": version,
        "messages" if chat else "prompt": prompt,
        "max_tokens": max_tokens,
        "temperature": temperature,
        "top_p": top_p,
        "n": samples,
        "seed": seed,
        "stop": list(stop),
        "stream": True,
    }
    address = f"{_address()}/v1/{'chat/' if chat else ''}completions"
    try:
        with httpx.stream("POST", address, json=body, timeout=_PATIENCE) as response:
            if response.status_code != 200:
                response.read()
                raise _refusal(response)
            for line in response.iter_lines():
                if line == "data: [DONE]":
                    return
                if line.startswith("data: "):
                    yield from _pieces(json.loads(line.removeprefix("data: ")), chat)
    except httpx.ConnectError:
        raise NotRunning from None
    except httpx.HTTPError as error:
        raise Refusal(_("The model server broke off: %(reason)s.") % {"reason": error}, status=502) from None


def _pieces(event: dict, chat: bool) -> Iterator[Piece]:
    if "error" in event:
        raise Refusal(event["error"]["message"], status=502)
    for choice in event["choices"]:
        text = choice["delta"].get("content", "") if chat else choice["text"]
        yield Piece(choice["index"], text, choice["finish_reason"])


def score(version: str, prompt: Prompt, completions: Sequence[str]) -> list[float]:
    """What reward model `version` says of each completion. Raises as stream() does."""
    body = {"model": version, "prompt": prompt, "completions": list(completions)}
    try:
        response = httpx.post(f"{_address()}/v1/score", json=body, timeout=_PATIENCE)
    except httpx.ConnectError:
        raise NotRunning from None
    except httpx.HTTPError as error:
        raise Refusal(_("The model server broke off: %(reason)s.") % {"reason": error}, status=502) from None
    if response.status_code != 200:
        raise _refusal(response)
    return [each["score"] for each in response.json()["data"]]


def _refusal(response: httpx.Response) -> Refusal:
    try:
        message = response.json()["error"]["message"]
    except (ValueError, KeyError):
        message = _("The model server answered with an error (%(status)d).") % {"status": response.status_code}
    return Refusal(message, status=response.status_code)


def _address() -> str:
    return f"http://127.0.0.1:{settings.MODELS_PORT}"
