"""What a request may say and what an answer looks like: the OpenAI protocol's completions and chat completions.

Reference: the OpenAI API's "Completions" and "Chat". What would change the answer and is not done here is refused, not ignored.
"""

import random
import time
import uuid
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from models_registry.serving_client import MOST_ROWS, MOST_TEXTS

MOST_TOKENS = 16_384
MOST_SAMPLES = 16


class ApiError(Exception):
    """Becomes an OpenAI error object: {"error": {"message", "type", "param", "code"}}."""

    def __init__(self, status: int, message: str, *, param: str | None = None, code: str | None = None) -> None:
        self.status = status
        kind = "invalid_request_error" if status < 500 else "server_error"
        self.body = {"error": {"message": message, "type": kind, "param": param, "code": code}}
        super().__init__(message)


class StreamOptions(BaseModel):
    include_usage: bool = False


class _Sampling(BaseModel):
    """What both endpoints share. `extra="allow"`: unknown parameters are looked at below."""

    model_config = ConfigDict(extra="allow")

    model: str
    max_tokens: Annotated[int, Field(ge=1, le=MOST_TOKENS)] | None = None
    temperature: Annotated[float, Field(ge=0, le=10)] | None = 1.0
    top_p: Annotated[float, Field(gt=0, le=1)] | None = 1.0
    n: Annotated[int, Field(ge=1, le=MOST_SAMPLES)] | None = 1
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    stop: str | list[str] | None = None
    stream: bool | None = False
    stream_options: StreamOptions | None = None

    # Said by many clients, without effect on the text.
    _HARMLESS = frozenset({"user", "metadata", "store", "service_tier", "parallel_tool_calls", "safety_identifier"})
    # Allowed only with the value that changes nothing.
    _NEUTRAL = {
        "frequency_penalty": 0, "presence_penalty": 0, "logit_bias": {}, "best_of": 1, "echo": False, "suffix": "",
        "logprobs": False, "top_logprobs": 0, "tools": [], "tool_choice": "none", "response_format": {"type": "text"},
    }  # fmt: skip

    @model_validator(mode="after")
    def _refuse_what_is_not_done(self) -> "_Sampling":
        for name, value in (self.model_extra or {}).items():
            if name in self._HARMLESS or value is None or (name in self._NEUTRAL and value == self._NEUTRAL[name]):
                continue
            known = name in self._NEUTRAL
            raise ApiError(
                400,
                f"'{name}' is not supported by this server." if known else f"Unknown parameter: '{name}'.",
                param=name,
                code="unsupported_parameter" if known else "unknown_parameter",
            )
        return self

    @property
    def samples(self) -> int:
        return self.n or 1

    def sampling(self) -> dict[str, Any]:
        """As lm.generate takes it. Without a seed, one is drawn: two requests then differ."""
        stop = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return {
            "max_tokens": self.token_limit,
            "temperature": 1.0 if self.temperature is None else self.temperature,
            "top_p": 1.0 if self.top_p is None else self.top_p,
            "seed": random.getrandbits(62) if self.seed is None else self.seed,
            "stop": [word for word in stop if word],
        }


class CompletionRequest(_Sampling):
    prompt: str | list[str] = ""

    @property
    def prompts(self) -> list[str]:
        return [self.prompt] if isinstance(self.prompt, str) else self.prompt

    @property
    def token_limit(self) -> int:
        return self.max_tokens or 16  # the protocol's default


class Message(BaseModel):
    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[dict[str, Any]]

    def plain(self) -> dict[str, str]:
        """Content in parts, joined; only text parts can be read."""
        if isinstance(self.content, str):
            return {"role": self.role, "content": self.content}
        if any(part.get("type") != "text" for part in self.content):
            raise ApiError(400, "Only text can be read here, no images, sounds or files.", param="messages")
        return {"role": self.role, "content": "".join(str(part.get("text", "")) for part in self.content)}


class ChatRequest(_Sampling):
    messages: Annotated[list[Message], Field(min_length=1)]
    max_completion_tokens: Annotated[int, Field(ge=1, le=MOST_TOKENS)] | None = None

    @property
    def prompts(self) -> list[list[dict[str, str]]]:
        return [[message.plain() for message in self.messages]]

    @property
    def token_limit(self) -> int:
        return self.max_completion_tokens or self.max_tokens or 512


Completions = Annotated[list[str], Field(min_length=1, max_length=MOST_TEXTS)]


class ScoreRow(BaseModel):
    """A prompt and the completions of it that are scored."""

    model_config = ConfigDict(extra="forbid")

    prompt: str | list[Message]
    completions: Completions

    @property
    def asked(self) -> tuple[str | list[dict[str, str]], list[str]]:
        prompt = self.prompt if isinstance(self.prompt, str) else [message.plain() for message in self.prompt]
        return prompt, self.completions


class ScoreRequest(BaseModel):
    """Not OpenAI's: what a reward model says of completions of one prompt, or of several prompts at once (`rows`)."""

    model_config = ConfigDict(extra="forbid")

    model: str
    prompt: str | list[Message] | None = None
    completions: Completions | None = None
    rows: Annotated[list[ScoreRow], Field(min_length=1, max_length=MOST_ROWS)] | None = None
    trace: bool = False

    @property
    def asked(self) -> list[ScoreRow]:
        if self.rows is not None and self.prompt is None and self.completions is None:
            return self.rows
        if self.rows is None and self.prompt is not None and self.completions is not None:
            return [ScoreRow(prompt=self.prompt, completions=self.completions)]
        raise ApiError(400, "Give a 'prompt' and its 'completions', or 'rows' of both.", param="rows")


class ClassifyRequest(BaseModel):
    """Not OpenAI's: the probability of each label for one text or several."""

    model_config = ConfigDict(extra="forbid")

    model: str
    input: str | Annotated[list[str], Field(min_length=1, max_length=256)]

    @property
    def texts(self) -> list[str]:
        return [self.input] if isinstance(self.input, str) else self.input


def read(kind: type[BaseModel], body: bytes) -> Any:
    """The request, or an ApiError that names the first thing that is wrong as OpenAI does."""
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        param = ".".join(str(part) for part in first["loc"] if isinstance(part, str) and part.isidentifier()) or None
        where = f"{param}: " if param else ""
        raise ApiError(400, f"{where}{first['msg']}.", param=param) from None


FINISH = {"eos": "stop", "stop": "stop", "length": "length"}


class Envelope:
    """The frame around the answers to one request."""

    def __init__(self, request: CompletionRequest | ChatRequest) -> None:
        self.chat = isinstance(request, ChatRequest)
        self.id = ("chatcmpl-" if self.chat else "cmpl-") + uuid.uuid4().hex
        self.created = int(time.time())
        self.model = request.model

    def _frame(self, kind: str, choices: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.model,
            "choices": choices,
            **more,
        }

    def whole(self, texts: list[tuple[str, str]], prompt_tokens: int, completion_tokens: int) -> dict[str, Any]:
        """`texts`: (text, finish reason) of every choice."""
        choices = [
            {"index": index, "logprobs": None, "finish_reason": FINISH[finish], **self._text(text)}
            for index, (text, finish) in enumerate(texts)
        ]
        kind = "chat.completion" if self.chat else "text_completion"
        return self._frame(kind, choices, usage=usage(prompt_tokens, completion_tokens))

    def _text(self, text: str) -> dict[str, Any]:
        return {"message": {"role": "assistant", "content": text}} if self.chat else {"text": text}

    def opening(self, index: int) -> dict[str, Any]:
        """The first chunk of a chat's answer says who speaks."""
        choice = {
            "index": index,
            "logprobs": None,
            "finish_reason": None,
            "delta": {"role": "assistant", "content": ""},
        }
        return self._frame(self._chunk, [choice])

    def piece(self, index: int, text: str, finish: str | None = None) -> dict[str, Any]:
        body = {"delta": {"content": text} if text else {}} if self.chat else {"text": text}
        choice = {"index": index, "logprobs": None, "finish_reason": finish and FINISH[finish], **body}
        return self._frame(self._chunk, [choice])

    def usage_piece(self, prompt_tokens: int, completion_tokens: int) -> dict[str, Any]:
        return self._frame(self._chunk, [], usage=usage(prompt_tokens, completion_tokens))

    @property
    def _chunk(self) -> str:
        return "chat.completion.chunk" if self.chat else "text_completion"


def usage(prompt_tokens: int, completion_tokens: int) -> dict[str, int]:
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
    }
