"""Tables that are taken away: what a spreadsheet would run stays a text, and the rows come as they are read."""

import csv
import io

import pytest

from people.downloads import csv_file, download


def rows_of(response) -> list[list[str]]:
    return list(csv.reader(io.StringIO(b"".join(response).decode(), newline="")))


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_formula_stays_a_text(text):
    assert rows_of(csv_file([["name"], [text]], "names")) == [["name"], [f"'{text}"]]
    assert rows_of(download([{"name": text}], ["name"], "names")) == [["name"], [f"'{text}"]]


def test_other_cells_stay_what_they_are():
    cells = ["a = b", "3 - 2", -1, -0.5, True, None, {"é": ["=1"]}, 'with "quotes", commas\nand lines']
    _head, row = rows_of(csv_file([["cell"] * len(cells), cells], "cells"))
    assert row == ["a = b", "3 - 2", "-1", "-0.5", "True", "", '{"é": ["=1"]}', 'with "quotes", commas\nand lines']


def test_a_name_in_any_script_stays_the_name_of_the_file():
    assert download([], ["n"], "réponses 2")["Content-Disposition"].startswith(
        "attachment; filename*=utf-8''r%C3%A9ponses"
    )
    assert download([], ["n"], "日本")["Content-Disposition"] == "attachment; filename*=utf-8''%E6%97%A5%E6%9C%AC.csv"
    assert download([], ["n"], "plain", "json")["Content-Disposition"] == 'attachment; filename="plain.jsonl"'


def test_rows_are_sent_as_they_are_read():
    taken = []

    def rows():
        for number in range(2000):
            taken.append(number)
            yield {"n": number}

    pieces = iter(download(rows(), ["n"], "numbers"))
    assert next(pieces) == b"n\r\n"
    assert not taken
    next(pieces)
    assert len(taken) < 1000
    assert b"".join(pieces).endswith(b"1999\r\n")
