"""Reads the files that people bring: JSONL, JSON arrays, CSV, TSV, Parquet. One row at a time, with where it stood.

A row that cannot be read comes as a Problem in its place, so that nothing is dropped in silence and all problems are found in
one pass. A file that cannot be read at all raises a Refusal.
"""

import csv
import json
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from django.utils.translation import gettext as _

from labeling.identity import HELDOUT, TRAIN
from people import texts
from people.errors import Refusal

_SUFFIXES = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
}
MOST_SHOWN = 50


@dataclass(frozen=True)
class Problem:
    """What is wrong with one row: `line` counts from 1 (rows, where the format has no lines). `file` is named where there are several."""

    line: int
    reason: str
    file: str = ""

    def __str__(self) -> str:
        if self.file:
            told = {"file": self.file, "line": self.line, "reason": self.reason}
            return _("%(file)s, line %(line)d: %(reason)s") % told
        return _("Line %(line)d: %(reason)s") % {"line": self.line, "reason": self.reason}


class BadRow(Exception):
    """Raised by whoever reads a row's meaning; the text is for people."""


def refuse(problems: list[Problem]) -> Refusal:
    """All problems of a file as one Refusal: the first MOST_SHOWN in words, the rest as a number."""
    shown = [str(problem) for problem in problems[:MOST_SHOWN]]
    if len(problems) > MOST_SHOWN:
        shown.append(_("… and %(count)d more lines with problems.") % {"count": len(problems) - MOST_SHOWN})
    return Refusal(shown)


def where_json_ends(error: json.JSONDecodeError | RecursionError) -> str:
    """What is wrong with the JSON of one row, and where in it: lines are those of the file."""
    if isinstance(error, json.JSONDecodeError):
        return _("%(problem)s (character %(n)d)") % {"problem": error.msg, "n": error.pos + 1}
    return str(error)


def format_of(name: str) -> str:
    """By the name's ending. Raises a Refusal that lists the endings that can be read."""
    suffix = Path(name).suffix.lower()
    if suffix not in _SUFFIXES:
        raise Refusal(
            _("“%(name)s” has no ending that can be read here; expected one of %(endings)s.")
            % {"name": name, "endings": ", ".join(_SUFFIXES)}
        )
    return _SUFFIXES[suffix]


def rows(path: Path, name: str | None = None, *, columns: Sequence[str] = ()) -> Iterator[tuple[int, dict | Problem]]:
    """(line, row or Problem) of a file; `name` is what the person called it, if it is stored under another name.

    `columns` names the columns of a CSV or TSV file whose first line is data already.
    """
    name = name or path.name
    format = format_of(name)
    if format in ("csv", "tsv"):
        yield from _csv(path, name, columns)
    else:
        yield from {"jsonl": _jsonl, "json": _json, "parquet": _parquet}[format](path, name)


def _jsonl(path: Path, name: str) -> Iterator[tuple[int, dict | Problem]]:
    with path.open("rb") as file:
        for line, raw in enumerate(file, 1):
            if line == 1:
                raw = raw.removeprefix(b"\xef\xbb\xbf")
            if not raw.strip():
                continue
            try:
                row = json.loads(raw.decode())
            except UnicodeDecodeError as error:
                yield line, Problem(line, _not_utf8(error))
            except (json.JSONDecodeError, RecursionError) as error:
                yield line, Problem(line, _("this is no JSON: %(error)s") % {"error": where_json_ends(error)})
            else:
                yield line, row if isinstance(row, dict) else Problem(line, _("expected a JSON object {…}"))


def _json(path: Path, name: str) -> Iterator[tuple[int, dict | Problem]]:
    """An array of objects; the "line" is the number of the object."""
    try:
        content = json.loads(path.read_bytes().decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise Refusal(_("“%(name)s”: %(problem)s.") % {"name": name, "problem": _not_utf8(error)}) from None
    except (json.JSONDecodeError, RecursionError) as error:
        raise Refusal(_("“%(name)s” is no JSON: %(error)s.") % {"name": name, "error": error}) from None
    if not isinstance(content, list):
        raise Refusal(_("“%(name)s” must hold a JSON array […], or be JSONL with one object a line.") % {"name": name})
    for number, row in enumerate(content, 1):
        yield number, row if isinstance(row, dict) else Problem(number, _("expected a JSON object {…}"))


def _csv(path: Path, name: str, columns: Sequence[str]) -> Iterator[tuple[int, dict | Problem]]:
    """The first line names the columns, unless `columns` does. Empty cells are left out of the row."""
    csv.field_size_limit(sys.maxsize)
    # In TSV a quotation mark is a character like any other (IANA text/tab-separated-values): one that opens a text would else
    # swallow all lines up to the next one.
    tsv = format_of(name) == "tsv"
    dialect = {"delimiter": "\t", "quoting": csv.QUOTE_NONE} if tsv else {"delimiter": ","}
    with path.open(encoding="utf-8-sig", newline="", errors="surrogateescape") as file:
        reader = csv.DictReader(file, columns or None, strict=True, **dialect)
        try:
            header = reader.fieldnames or []
        except csv.Error as error:
            raise Refusal(_("“%(name)s” is no CSV: %(error)s.") % {"name": name, "error": error}) from None
        if len(set(header)) < len(header):
            raise Refusal(_("“%(name)s” names a column twice in its first line.") % {"name": name})
        while True:
            line = reader.line_num + 1
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield line, Problem(line, str(error))
                continue
            extra = row.pop(None, None)
            if extra:
                yield line, Problem(line, _("more cells than the first line has columns"))
            elif any(_has_stray_bytes(value) for value in row.values() if value):
                yield line, Problem(line, _("this is not UTF-8 text"))
            else:
                yield line, {column: value for column, value in row.items() if value not in (None, "")}


def _parquet(path: Path, name: str) -> Iterator[tuple[int, dict | Problem]]:
    import pyarrow
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(path)
        number = 0
        for batch in file.iter_batches(batch_size=1000):
            for row in batch.to_pylist():
                number += 1
                yield number, {column: value for column, value in row.items() if value is not None}
    except pyarrow.ArrowException as error:
        raise Refusal(_("“%(name)s” is no Parquet file: %(error)s.") % {"name": name, "error": error}) from None


def _not_utf8(error: UnicodeDecodeError) -> str:
    return _("this is not UTF-8 text (byte %(position)d)") % {"position": error.start + 1}


def _has_stray_bytes(text: str) -> bool:
    """Bytes that were no UTF-8, as errors="surrogateescape" leaves them."""
    return bool(re.search("[\udc80-\udcff]", text))


# What rows are made of


def text_of(row: dict, key: str, *, required: bool = True) -> str:
    """The text under `key`, which every database can store. Raises BadRow."""
    value = row.get(key)
    if value is None and not required:
        return ""
    if not isinstance(value, str):
        raise BadRow(_("“%(key)s” must be a text.") % {"key": key})
    if required and not value.strip():
        raise BadRow(_("“%(key)s” is empty.") % {"key": key})
    check_storable(value, key)
    return value


def check_storable(text: str, key: str) -> None:
    if not texts.is_storable(text):
        raise BadRow(_("“%(key)s” holds characters that are no text (NUL or half a surrogate pair).") % {"key": key})


def messages_of(value: object, key: str) -> str | list[dict[str, str]]:
    """A prompt or a completion: a text, or chat messages [{"role", "content"}, …]. Raises BadRow."""
    if isinstance(value, str):
        return text_of({key: value}, key)
    if not isinstance(value, list) or not value:
        raise BadRow(_("“%(key)s” must be a text or a list of messages.") % {"key": key})
    for message in value:
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            raise BadRow(_("each message of “%(key)s” needs a “role” and a “content”.") % {"key": key})
        if not isinstance(message.get("content"), str):
            raise BadRow(_("the “content” of each message of “%(key)s” must be a text.") % {"key": key})
        check_storable(message["role"] + message["content"], key)
    return value


def split_given(row: dict) -> str | None:
    """The row's own split, by whatever name it is known; None if it has none. Raises BadRow."""
    given = row.get("split")
    if given is None:
        return None
    if str(given).strip().lower() in {"train", "training"}:
        return TRAIN
    if str(given).strip().lower() in {
        "heldout",
        "held-out",
        "held_out",
        "test",
        "valid",
        "validation",
        "val",
        "dev",
        "eval",
    }:
        return HELDOUT
    raise BadRow(_("the split “%(split)s” is neither train nor held-out.") % {"split": given})
