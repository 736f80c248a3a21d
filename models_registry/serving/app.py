"""The model server's addresses: /v1/models, /v1/completions, /v1/chat/completions, /v1/score, /v1/classify, /health."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import stdev
from typing import Any

import numpy as np
from asgiref.sync import sync_to_async
from django.db import close_old_connections
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from models_registry import queries
from models_registry.lm import leading
from models_registry.lm.chain import Loaded
from models_registry.lm.generate import Output, generate_ids, stream
from models_registry.lm.heads import read_scale
from models_registry.lm.judge import Score, judge, trace
from models_registry.lm.score import class_logprobs
from models_registry.lm.text import encode_prompt
from models_registry.models import Head, Kind, Stage, Version
from people.errors import Refusal

from .engine import Engine, Ticket, Together
from .protocol import (
    ApiError,
    ChatRequest,
    ClassifyRequest,
    CompletionRequest,
    Envelope,
    ScoreRequest,
    read,
)


@dataclass(frozen=True)
class _Found:
    folders: list[Path]
    kinds: list[str]  # of the links, root first
    head: str
    name: str


@sync_to_async
def _find(reference: str) -> _Found:
    close_old_connections()
    try:
        version = queries.find(reference)
        if version.kind == Kind.REMOTE:
            raise ApiError(400, f"{version} runs on another server; ask it there.", param="model", code="remote_model")
        kinds = [link.kind for link in version.chain()]
        return _Found(queries.folders(version), kinds, version.head, str(version))
    except Refusal as refusal:
        code = "model_not_found" if refusal.status == 404 else "model_damaged"
        raise ApiError(404 if refusal.status == 404 else 500, str(refusal), param="model", code=code) from None


@sync_to_async
def _all() -> list[dict[str, Any]]:
    close_old_connections()
    versions = Version.objects.select_related("model", "parent__model").exclude(stage=Stage.ARCHIVED)
    versions = versions.exclude(kind=Kind.REMOTE).order_by("model__name", "number")
    return [
        {
            "id": str(version),
            "object": "model",
            "created": int(version.created_at.timestamp()),
            "owned_by": "peringkat",
            "kind": version.kind,
            "head": version.head,
            "parent": version.parent and str(version.parent),
        }
        for version in versions
    ]


async def models(request: Request) -> Response:
    return JSONResponse({"object": "list", "data": await _all()})


async def health(request: Request) -> Response:
    engine: Engine = request.app.state.engine
    return JSONResponse(
        {
            "status": "ok",
            "device": engine.pool.device,
            "loaded": len(engine.pool),
            "links": engine.pool.links,
            "waiting": engine.waiting,
            "answering": engine.answering,
            "budget_bytes": engine.pool.budget,
        }
    )


async def completions(request: Request) -> Response:
    return await _write(request, read(CompletionRequest, await request.body()))


async def chat(request: Request) -> Response:
    return await _write(request, read(ChatRequest, await request.body()))


async def _write(request: Request, wanted: CompletionRequest | ChatRequest) -> Response:
    found = await _find(wanted.model)
    if found.head != Head.LM:
        raise ApiError(400, f"{found.name} does not write text; it is a model that scores it.", param="model")
    envelope = Envelope(wanted)
    engine: Engine = request.app.state.engine
    if not wanted.stream:
        ticket = engine.submit(found.folders, _whole(found, wanted, envelope))
        return JSONResponse((await _items(request, ticket))[0])
    ticket = engine.submit(found.folders, lambda loaded: _pieces(loaded, wanted, envelope))
    return await _event_stream(ticket.events())


async def _items(request: Request, ticket: Ticket) -> list[Any]:
    """All items of a request that does not stream; a client that hangs up while it waits gives its place up."""

    async def collected() -> list[Any]:
        return [item async for item in ticket.events()]

    answer = asyncio.ensure_future(collected())
    while not (await asyncio.wait([answer], timeout=0.5))[0]:
        if await request.is_disconnected():
            answer.cancel()
            raise ApiError(499, "The client hung up.")
    return answer.result()


@dataclass(frozen=True)
class _Asked:
    wanted: CompletionRequest | ChatRequest
    envelope: Envelope
    seed: int


def _whole(found: _Found, wanted: CompletionRequest | ChatRequest, envelope: Envelope) -> Together:
    """A request that is answered in one piece. Those that differ in their prompts, seeds and one soft prompt alone go into one batch."""
    sampling = wanted.sampling()
    asked = _Asked(wanted, envelope, sampling.pop("seed"))
    soft = [folder for folder, kind in zip(found.folders, found.kinds, strict=True) if kind == Kind.SOFT_PROMPT]
    words = [folder for folder, kind in zip(found.folders, found.kinds, strict=True) if kind == Kind.HARD_PROMPT]
    rest = tuple(folder for folder in found.folders if folder not in {*soft, *words})
    mixed = len(soft) <= 1
    chain = rest if mixed else tuple(found.folders)
    key = (chain, found.head, mixed, wanted.samples, *((name, str(value)) for name, value in sorted(sampling.items())))
    return Together(key, asked, lambda some: _written(some, sampling, wanted.samples, mixed=mixed))


def _written(
    some: list[tuple[Loaded, _Asked]], sampling: dict[str, Any], samples: int, *, mixed: bool
) -> list[dict[str, Any]]:
    """One batch for all; each gets what it gets alone, since its random numbers are its own."""
    prompts, soft, draws = [], [], []
    for loaded, asked in some:
        name = _soft_prompt(loaded) if mixed else None
        for place, prompt in enumerate(asked.wanted.prompts):
            prompts.append(encode_prompt(loaded, prompt))
            soft.append(name)
            draws.append((asked.seed, place))
    outputs = iter(
        generate_ids(
            some[0][0],
            prompts,
            samples=samples,
            draws=draws,
            soft_prompts=soft if mixed and any(soft) else None,
            **sampling,
        )
    )
    answers, counts = [], iter(map(len, prompts))
    for _loaded, asked in some:
        mine = [next(outputs) for _prompt in asked.wanted.prompts for _sample in range(samples)]
        texts = [(output.text, output.finish_reason) for output in mine]
        read = sum(next(counts) for _prompt in asked.wanted.prompts)
        answers.append(asked.envelope.whole(texts, read, sum(len(output.token_ids) for output in mine)))
    return answers


def _soft_prompt(loaded: Loaded) -> str | None:
    state = leading.of(loaded.model)
    return next((name for name in loaded.adapters if state is not None and name in state.prompts), None)


def _pieces(loaded: Loaded, wanted: CompletionRequest | ChatRequest, envelope: Envelope) -> Iterator[dict[str, Any]]:
    """One sample after the other; together the same texts as `_whole` gives for the same seed."""
    written = 0
    sampling = wanted.sampling()
    for place, prompt in enumerate(wanted.prompts):
        for sample in range(wanted.samples):
            index = place * wanted.samples + sample
            if envelope.chat:
                yield envelope.opening(index)
            pieces = stream(loaded, prompt, prompt_index=place, sample_index=sample, **sampling)
            while True:
                try:
                    yield envelope.piece(index, next(pieces))
                except StopIteration as end:
                    output: Output = end.value
                    break
            written += len(output.token_ids)
            yield envelope.piece(index, "", output.finish_reason)
    if wanted.stream_options and wanted.stream_options.include_usage:
        yield envelope.usage_piece(_prompt_tokens(loaded, wanted), written)


def _prompt_tokens(loaded: Loaded, wanted: CompletionRequest | ChatRequest) -> int:
    return sum(len(encode_prompt(loaded, prompt)) for prompt in wanted.prompts)


async def _event_stream(events: AsyncIterator[dict[str, Any]]) -> Response:
    """Server-sent events. The first one is waited for, so that an error before it still has its own status."""
    try:
        first = await anext(events)
    except StopAsyncIteration:
        first = None

    async def lines() -> AsyncIterator[str]:
        try:
            if first is not None:
                yield _data(first)
                async for event in events:
                    yield _data(event)
            yield "data: [DONE]\n\n"
        except ApiError as error:
            yield _data(error.body)
        finally:
            await events.aclose()

    return StreamingResponse(lines(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})


def _data(value: dict[str, Any]) -> str:
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n"


async def score(request: Request) -> Response:
    wanted: ScoreRequest = read(ScoreRequest, await request.body())
    found = await _find(wanted.model)
    if found.head != Head.REWARD:
        raise ApiError(400, f"{found.name} is no reward model.", param="model")
    rows = [row.asked for row in wanted.asked]
    ticket = request.app.state.engine.submit(found.folders, partial(trace if wanted.trace else judge, rows=rows))
    scores = [one for batch in await _items(request, ticket) for one in batch]
    data = [_scored(one) for one in sorted(scores, key=lambda one: (one.row, one.place))]
    scale = asdict(await sync_to_async(read_scale)(found.folders[-1]))
    cut = sum(one.cut for one in scores)
    return JSONResponse({"object": "list", "model": wanted.model, "data": data, "cut": cut, "scale": scale})


def _scored(one: Score) -> dict[str, Any]:
    told: dict[str, Any] = {"row": one.row, "index": one.place, "score": one.value, "cut": one.cut}
    if one.by_head is not None:  # the model is an ensemble
        told |= {"std_between": stdev(one.by_head), "by_head": one.by_head}
    if one.trace is not None:
        told["trace"] = [{"text": point.text, "score": point.score} for point in one.trace]
    return told


async def classify(request: Request) -> Response:
    wanted: ClassifyRequest = read(ClassifyRequest, await request.body())
    found = await _find(wanted.model)
    if found.head != Head.CLASSES:
        raise ApiError(400, f"{found.name} is no classifier.", param="model")

    def work(loaded: Loaded) -> Iterator[list[dict[str, float]]]:
        rows = np.exp(class_logprobs(loaded, wanted.texts))
        yield [dict(zip(loaded.labels, map(float, row), strict=True)) for row in rows]

    ticket = request.app.state.engine.submit(found.folders, work)
    [rows] = await _items(request, ticket)
    data = [
        {"index": index, "label": max(labels, key=lambda label: labels[label]), "labels": labels}
        for index, labels in enumerate(rows)
    ]
    return JSONResponse({"object": "list", "model": wanted.model, "data": data})


def _error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return JSONResponse(error.body, status_code=error.status)


def _plain_error(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 500)
    message = {404: "There is no such address here.", 405: "This address is asked in another way."}.get(
        status, "The server failed."
    )
    return JSONResponse(ApiError(status, message).body, status_code=status)


def make_app(engine: Engine) -> Starlette:
    app = Starlette(
        routes=[
            Route("/v1/models", models),
            Route("/v1/completions", completions, methods=["POST"]),
            Route("/v1/chat/completions", chat, methods=["POST"]),
            Route("/v1/score", score, methods=["POST"]),
            Route("/v1/classify", classify, methods=["POST"]),
            Route("/health", health),
        ],
        # It listens on loopback alone; this keeps pages of other sites from reaching it through a visitor's browser.
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])],
        exception_handlers={ApiError: _error, 404: _plain_error, 405: _plain_error, 500: _plain_error},
    )
    app.state.engine = engine
    return app
