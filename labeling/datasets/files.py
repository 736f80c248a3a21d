"""Files that a person brings, read as rows of a kind: tables and JSON by their columns, plain text by its separator."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from labeling import files
from labeling.datasets import kinds
from labeling.files import BadRow, Problem
from labeling.identity import split_of
from labeling.models import Dataset
from people.errors import Refusal

TABLES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")
SEPARATORS = {
    "<|endoftext|>": gettext_lazy("a line <|endoftext|> stands between documents"),
    "blank": gettext_lazy("blank lines stand between documents"),
    "line": gettext_lazy("each line is a document"),
    "whole": gettext_lazy("the whole file is one document"),
    "tunes": gettext_lazy("each tune is a document: ABC notation, from X: to X:"),
}


@dataclass(frozen=True)
class Reading:
    """How to read a file.

    `separator`: a key of SEPARATORS, or any text that stands between documents; for plain text alone. `columns`: the names of the columns
    of a CSV or TSV file whose first line is data already. `rename`: {the kind's column: what the file calls it}.
    `heldout_percent` is used for rows that bring no `split` of their own.
    """

    kind: str
    separator: str = "blank"
    columns: tuple[str, ...] = ()
    rename: dict[str, str] = field(default_factory=dict)
    heldout_percent: int = 10

    def problems(self) -> list[str]:
        found = []
        if self.kind not in Dataset.Kind.values:
            found.append(_("There is no kind of data set called “%(kind)s”.") % {"kind": self.kind})
        if not 0 <= self.heldout_percent <= 90:
            found.append(_("Hold out 0 to 90 percent."))
        if not self.separator:
            found.append(_("Say what stands between two documents."))
        return found


@dataclass
class Preview:
    """What a file looks like when read so: the first rows with their split, how many there are, and what cannot be read.

    `complete` is False if the file is longer than what was looked at.
    """

    rows: list[dict]
    count: int
    splits: dict[str, int]
    problems: list[Problem]
    complete: bool


def read(path: Path, reading: Reading, name: str | None = None) -> Iterator[tuple[int, dict | Problem]]:
    """(line, row with its split, or Problem) of a file. Raises Refusal if it cannot be read as asked at all."""
    if problems := reading.problems():
        raise Refusal(problems)
    name = name or path.name
    for line, row in _raw(path, reading, name):
        if isinstance(row, Problem):
            yield line, row
            continue
        row = row | {own: row[theirs] for own, theirs in reading.rename.items() if theirs in row}
        try:
            read_row, split = kinds.read(reading.kind, row)
        except BadRow as error:
            yield line, Problem(line, str(error))
            continue
        split = split or split_of(kinds.group_of(reading.kind, read_row), reading.heldout_percent)
        yield line, read_row | {"split": split}


def read_all(paths: Sequence[Path], reading: Reading) -> Iterator[tuple[Path, dict | Problem]]:
    """(file, row with its split, or Problem) of several files, one after the other. Of several, a Problem names its file."""
    for path in paths:
        for _line, row in read(path, reading):
            if isinstance(row, Problem) and len(paths) > 1:
                row = replace(row, file=path.name)
            yield path, row


def preview(paths: Sequence[Path], reading: Reading, *, show: int = 5, most: int = 20_000) -> Preview:
    """Look at up to `most` rows of one or several files; of several, the rows that are shown come from different ones."""
    seen = Preview([], 0, {}, [], complete=True)
    splits: Counter[str] = Counter()
    shown: Counter[Path] = Counter()
    for number, (path, row) in enumerate(islice(read_all(paths, reading), most + 1)):
        if number == most:
            seen.complete = False
        elif isinstance(row, Problem):
            seen.problems.append(row)
        else:
            seen.count += 1
            splits[row["split"]] += 1
            if len(seen.rows) < show and shown[path] < max(1, -(-show // len(paths))):
                seen.rows.append(row)
                shown[path] += 1
    seen.splits = dict(sorted(splits.items()))
    return seen


def _raw(path: Path, reading: Reading, name: str) -> Iterator[tuple[int, dict | Problem]]:
    if Path(name).suffix.lower() in TABLES:
        yield from files.rows(path, name, columns=reading.columns)
    elif reading.kind == Dataset.Kind.TEXT:
        yield from _documents(path, reading.separator, name)
    else:
        raise Refusal(
            _(
                "“%(name)s” is read as plain text, and that makes a data set of texts only; for this kind bring one of %(endings)s."
            )
            % {"name": name, "endings": ", ".join(TABLES)}
        )


def _documents(path: Path, separator: str, name: str) -> Iterator[tuple[int, dict | Problem]]:
    """The documents of a plain text file, with the line on which each begins."""
    try:
        text = path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise Refusal(
            _("“%(name)s” is not UTF-8 text (byte %(position)d).") % {"name": name, "position": error.start + 1}
        ) from None
    line = 1
    for part in _parts(text, separator):
        document = part.strip("\n")
        if document.strip():
            yield line + part[: len(part) - len(part.lstrip("\n"))].count("\n"), {"text": document}
        line += part.count("\n")


def _parts(text: str, separator: str) -> Iterator[str]:
    """The text in pieces; each ends with its separator's line breaks, so that lines can be counted."""
    if separator == "whole":
        yield text
    elif separator == "line":
        yield from text.splitlines(keepends=True)
    elif separator == "blank":
        piece: list[str] = []
        for line in text.splitlines(keepends=True):
            piece.append(line)
            if not line.strip() and any(one.strip() for one in piece):
                yield "".join(piece)
                piece = []
        yield "".join(piece)
    elif separator == "tunes":
        yield from re.split(r"(?m)^(?=X:)", text)
    else:
        yield from text.split(separator)
