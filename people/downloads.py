"""Tables to take away, streamed: CSV that a spreadsheet opens safely, and JSON lines."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from django.http import StreamingHttpResponse
from django.utils.http import content_disposition_header


def download(rows: Iterable[dict], columns: Sequence[str], name: str, kind: str = "csv") -> StreamingHttpResponse:
    """`rows` as a file; `kind` is "csv" or "json" (a line each). They are taken as they are sent."""
    if kind == "json":
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        return json_lines_file(lines, name)
    return csv_file(chain([columns], ([row[column] for column in columns] for row in rows)), name)


def json_lines_file(lines: Iterable[str], name: str) -> StreamingHttpResponse:
    return _file(lines, f"{name}.jsonl", "application/x-ndjson")


def csv_file(rows: Iterable[Sequence[object]], name: str) -> StreamingHttpResponse:
    """`rows` of cells; the first names the columns."""
    return _file(_csv_lines(rows), f"{name}.csv", "text/csv; charset=utf-8")


def _file(lines: Iterable[str], name: str, type_: str) -> StreamingHttpResponse:
    headers = {"Content-Disposition": str(content_disposition_header(True, name))}  # people's own names, in any script
    return StreamingHttpResponse(lines, content_type=type_, headers=headers)


def _csv_lines(rows: Iterable[Sequence[object]]) -> Iterator[str]:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    for number, row in enumerate(rows):
        writer.writerow(map(safe_cell, row))
        if number % 500 == 0:  # the names of the columns go first, for the rows may take a while
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()


def safe_cell(value: object) -> object:
    """What is nested as JSON. A text that a spreadsheet would take for a formula gets a ' in front."""
    if isinstance(value, dict | list):
        value = json.dumps(value, ensure_ascii=False)
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
