"""Rows of data sets: which kind they are, what is wrong with them and where."""

import json
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from training.engine import data
from training.engine.messages import Refused

from . import runs


def test_rows_stream_by_split(tmp_path):
    path = runs.write_rows(tmp_path / "rows.jsonl", runs.stories(20))
    assert len(list(data.rows(path, ("text",)))) == 20
    assert len(list(data.rows(path, ("text",), split="heldout"))) == 2
    assert len(list(data.rows(path, ("text",), split="train"))) == 18


def test_parquet_and_jsonl_give_the_same_rows(tmp_path):
    rows = [
        {"prompt": [{"role": "user", "content": "Hi"}], "completion": "Yes", "split": "train"},
        {"prompt": [{"role": "user", "content": "Ho"}], "completion": "No", "split": "heldout"},
    ]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "rows.parquet")
    runs.write_rows(tmp_path / "rows.jsonl", rows)
    parquet = list(data.rows(tmp_path / "rows.parquet", ("sft",)))
    assert parquet == list(data.rows(tmp_path / "rows.jsonl", ("sft",)))
    assert [row.split for row in parquet] == ["train", "heldout"]


def test_a_folder_holds_its_rows_in_data_jsonl(tmp_path):
    runs.write_rows(tmp_path / "data.jsonl", runs.stories(4))
    assert len(list(data.rows(tmp_path, ("text",)))) == 4


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        ({"text": "a"}, "text"),
        ({"text": "a", "label": "b"}, "labelled"),
        ({"prompt": "a", "completion": "b"}, "sft"),
        ({"prompt": "a"}, "prompts"),
        ({"prompt": "a", "completions": ["b", "c"], "ranking": "A > B"}, "rankings"),
        ({"words": "a"}, None),
    ],
)
def test_the_keys_tell_the_kind(row, kind):
    assert data.kind_of(row) == kind


def test_rows_with_more_than_a_kind_needs_are_of_it_too(tmp_path):
    path = runs.write_rows(tmp_path / "rows.jsonl", runs.questions(3))
    assert next(data.rows(path, ("prompts",))).prompt.startswith("The ")


def test_rows_of_another_kind_are_refused_with_what_is_needed(tmp_path):
    path = runs.write_rows(tmp_path / "rows.jsonl", [{"words": "a"}])
    with pytest.raises(Refused, match=r"needs rows with \{prompt, completion\} / \{text\}, and the row has \{words\}"):
        list(data.rows(path, ("sft", "text")))


def test_all_bad_rows_are_told_with_their_lines(tmp_path: Path):
    lines = [{"text": "good"}, {"text": None}, {"txt": 1}, [1], {"text": "x", "split": "test"}]
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)) + '\n{"text": \n{"text": "good"}\n')
    with pytest.raises(Refused) as refused:
        list(data.rows(path, ("text",)))
    told = list(map(str, refused.value.problems))
    assert [problem.params["line"] for problem in refused.value.problems] == [2, 3, 4, 5, 6]
    assert "“text” is missing" in told[1]
    assert "“split”" in told[3]
    assert "no JSON" in told[4]


def test_of_many_bad_rows_the_number_is_told(tmp_path):
    path = runs.write_rows(tmp_path / "rows.jsonl", [{"text": "good"}, *({"text": 1} for _ in range(50))])
    with pytest.raises(Refused) as refused:
        list(data.rows(path, ("text",)))
    assert len(refused.value.problems) == data.TOLD_PROBLEMS + 1
    assert "30 more bad rows" in str(refused.value.problems[-1])


def test_a_file_without_rows_is_refused(tmp_path):
    (tmp_path / "rows.jsonl").write_text("\n\n")
    with pytest.raises(Refused, match="no rows"):
        list(data.rows(tmp_path / "rows.jsonl", ("text",)))
