"""Rows of the data sets, JSONL or Parquet, streamed. A bad row is named by its file and line; all bad rows are told together. Light."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from labeling.ranking import WeakOrder

from .contract import dataset_file
from .messages import Message, Refused, _

Split = Literal["train", "heldout"]

TOLD_PROBLEMS = 20  # beyond this many bad rows only their number is told


class _Row(BaseModel):
    """Keys beyond those of the kind are allowed and left alone: a data set may carry its sources along."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    split: Split = "train"


class ChatMessage(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    role: str
    content: str


Messages = Annotated[list[ChatMessage], Field(min_length=1)]


class TextRow(_Row):
    text: str


class SftRow(_Row):
    prompt: str | Messages
    completion: str | Messages


class LabelledRow(_Row):
    text: str
    label: str


class PromptRow(_Row):
    prompt: str | Messages


class RankingRow(_Row):
    """Letters of `ranking` index `completions`: A is the first."""

    prompt: str | Messages
    completions: Annotated[list[str], Field(min_length=2)]
    ranking: str
    task: str | int | None = None
    annotator: str | int | None = None
    weight: float = Field(1.0, ge=0, allow_inf_nan=False)

    @property
    def order(self) -> WeakOrder:
        return WeakOrder.parse(self.ranking, items=len(self.completions))

    @field_validator("ranking")
    @classmethod
    def _fits(cls, text: str, others: ValidationInfo) -> str:
        if "completions" in others.data:
            WeakOrder.parse(text, items=len(others.data["completions"]))  # raises, and says which character is wrong
        return text


KINDS: dict[str, type[_Row]] = {
    "rankings": RankingRow,
    "labelled": LabelledRow,
    "sft": SftRow,
    "prompts": PromptRow,
    "text": TextRow,
}


def kind_of(row: dict[str, Any]) -> str | None:
    """The kind of a row by the keys it has: the first kind whose required keys are all there."""
    for kind, model in KINDS.items():
        if all(name in row for name, field in model.model_fields.items() if field.is_required()):
            return kind
    return None


def rows(
    path: Path,
    accepts: tuple[str, ...],
    *,
    split: Split | None = None,
    watch: Callable[[float], None] | None = None,
) -> Iterator[Any]:
    """Stream the rows of a data set, of one split or of both. The first row decides of which kind they are.

    `accepts`: kinds that the caller can use; a row with more keys than a kind needs still is of it (an SFT row is also a prompt).
    `watch` is told now and then which share of the file has been read.
    Raises Refused, at the end, with every bad row and its line.
    """
    file = dataset_file(path)
    if file is None:
        raise Refused(Message("no-dataset", _("There is no data set at %(path)s."), {"path": str(path)}))
    model: type[_Row] | None = None
    problems: list[Message] = []
    bad = number = 0
    for number, raw in _raw_rows(file, watch or (lambda _share: None)):
        if model is None and isinstance(raw, dict):
            model = _model_for(raw, accepts)
            if model is None:
                raise Refused(_wrong_kind(file, number, raw, accepts))
        try:
            if isinstance(raw, Exception):
                raise raw
            row = (model or _Row).model_validate(raw)
        except (ValidationError, ValueError) as error:
            bad += 1
            if len(problems) < TOLD_PROBLEMS:
                problems.append(_bad_row(file, number, error))
            continue
        if not problems and (split is None or row.split == split):
            yield row
    if bad > len(problems):
        problems.append(
            Message(
                "more-bad-rows",
                _("%(file)s has %(number)s more bad rows."),
                {"file": file.name, "number": bad - len(problems)},
            )
        )
    if not number:
        problems.append(Message("no-rows", _("%(file)s has no rows."), {"file": file.name}))
    if problems:
        raise Refused(problems)


def _model_for(raw: dict[str, Any], accepts: tuple[str, ...]) -> type[_Row] | None:
    kind = kind_of(raw)
    if kind in accepts:
        return KINDS[kind]
    for name in accepts:
        if all(key in raw for key, field in KINDS[name].model_fields.items() if field.is_required()):
            return KINDS[name]
    return None


def _raw_rows(file: Path, watch: Callable[[float], None]) -> Iterator[tuple[int, Any]]:
    """(line or row number from 1, the row's object or the error that it gave)."""
    if file.suffix == ".parquet":
        import pyarrow.parquet

        number = 0
        table = pyarrow.parquet.ParquetFile(file)
        for batch in table.iter_batches(1024):
            watch(number / table.metadata.num_rows)
            for row in batch.to_pylist():
                number += 1
                yield number, {key: value for key, value in row.items() if value is not None}
        return
    size, read = file.stat().st_size, 0
    with open(file, "rb") as lines:
        for number, line in enumerate(lines, 1):
            if number % 1024 == 1:
                watch(read / size)
            read += len(line)
            if line.strip():
                try:
                    yield number, json.loads(line)
                except ValueError as error:
                    yield number, error


def _bad_row(file: Path, number: int, error: Exception) -> Message:
    params: dict[str, Any] = {"file": file.name, "line": number}
    if not isinstance(error, ValidationError):
        text = _("%(file)s, line %(line)s is no JSON: %(reason)s.")
        return Message("bad-row", text, params | {"reason": str(error)})
    # A value that fits no member of a union gives an error for each; the first says enough.
    first = error.errors(include_url=False)[0]
    if not first["loc"]:
        return Message("bad-row", _("%(file)s, line %(line)s is no JSON object."), params)
    params["field"] = first["loc"][0]
    if first["type"] == "missing" and len(first["loc"]) == 1:
        return Message("bad-row", _("%(file)s, line %(line)s: “%(field)s” is missing."), params)
    text = _("%(file)s, line %(line)s: “%(field)s” cannot be used (%(reason)s).")
    return Message("bad-row", text, params | {"reason": first["msg"]})


def _wrong_kind(file: Path, number: int, raw: dict[str, Any], accepts: tuple[str, ...]) -> Message:
    needs = " / ".join(
        "{" + ", ".join(name for name, field in KINDS[kind].model_fields.items() if field.is_required()) + "}"
        for kind in accepts
    )
    return Message(
        "wrong-kind",
        _("%(file)s, line %(line)s: this method needs rows with %(needs)s, and the row has {%(has)s}."),
        {"file": file.name, "line": number, "needs": needs, "has": ", ".join(map(str, raw))[:200]},
    )


def as_prompt(value: str | list[ChatMessage]) -> Any:
    """A prompt or completion of a row as models_registry.lm takes it: a text, or messages as plain dicts."""
    return value if isinstance(value, str) else [message.model_dump() for message in value]
