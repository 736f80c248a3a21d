"""Tables to take away, streamed: CSV that a spreadsheet opens safely, and JSON lines."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence

from django.http import StreamingHttpResponse


def download(rows: Iterable[dict], columns: Sequence[str], name: str, kind: str = "csv") -> StreamingHttpResponse:
    """`rows` as a file; `kind` is "csv" or "json" (a line each). They are taken as they are sent."""
    lines = _json_lines(rows) if kind == "json" else _csv_lines(rows, columns)
    type_, ending = ("application/x-ndjson", "jsonl") if kind == "json" else ("text/csv; charset=utf-8", "csv")
    headers = {"Content-Disposition": f'attachment; filename="{name}.{ending}"'}
    return StreamingHttpResponse(lines, content_type=type_, headers=headers)


def _json_lines(rows: Iterable[dict]) -> Iterator[str]:
    return (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _csv_lines(rows: Iterable[dict], columns: Sequence[str]) -> Iterator[str]:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(columns)
    for number, row in enumerate(rows, 1):
        writer.writerow([_cell(row[name]) for name in columns])
        if number % 500 == 0:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()


def _cell(value: object) -> object:
    """What is nested as JSON. A text that a spreadsheet would take for a formula gets a ' in front."""
    if isinstance(value, dict | list):
        value = json.dumps(value, ensure_ascii=False)
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
