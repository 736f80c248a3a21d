"""Pages of data sets: upload with a look at how the file is read, the list, one data set."""

import json

import pytest
from django.urls import reverse

from jobs.worker import run_all_waiting
from labeling.datasets import store
from labeling.models import Dataset
from tests import factories
from tests.labeling_pages.conftest import a_file, signed_in

pytestmark = pytest.mark.django_db(transaction=True)

CORPUS = "First line.\nSecond line.\n\nAnother document.\n\nA third one.\n"


def look(page, file: str, content: str, **reading):
    """The page that shows how a file is read."""
    address = page.post("/data/new/", {"file": a_file(file, content)})["Location"]
    return address, page.get(address, reading)


def store_it(page, address: str, **sent):
    return page.post(address, {"heldout_percent": 0, **sent}, follow=True)


def rows(dataset: Dataset) -> list[dict]:
    return [{key: value for key, value in row.items() if key != "split"} for row in store.rows_of(dataset.folder)]


def test_an_empty_list_says_what_to_do(page, said):
    text = said(page.get("/data/"))
    assert "No data set yet" in text
    assert "Upload a data set" in text


def test_a_text_corpus_is_cut_into_documents_as_chosen(page, said):
    address, guessed = look(page, "stories.txt", CORPUS)
    assert "Store 3 rows" in said(guessed)  # blank lines stand between
    assert "Store 4 rows" in said(page.get(address, {"separator": "line"}))
    assert "Store 1 row" in said(page.get(address, {"separator": "whole"}))
    assert "Store 2 rows" in said(page.get(address, {"separator": "other", "separator_text": "Another"}))
    assert not Dataset.objects.exists()
    response = store_it(page, address, name="Stories", kind="text", separator="blank")
    dataset = Dataset.objects.get()
    assert response.request["PATH_INFO"] == dataset.get_absolute_url()
    assert (dataset.kind, dataset.splits) == ("text", {"train": 3})
    assert [row["text"] for row in rows(dataset)] == ["First line.\nSecond line.", "Another document.", "A third one."]
    assert page.get(address).status_code == 404  # the upload was taken in


def test_several_files_become_one_corpus(page, said):
    """Of different types, with columns by other names; the files are read in the order of their names."""
    chosen = [
        a_file("b.txt", "From b.\n\nAlso from b."),
        a_file("a.jsonl", '{"story": "From a."}\n'),
        a_file("c.csv", "story\nFrom c.\n"),
    ]
    address = page.post("/data/new/", {"file": chosen})["Location"]
    shown = said(page.get(address))
    assert "a.jsonl and 2 more files" in shown
    assert "3 files, one after the other" in shown
    assert "Store 4 rows" in shown
    response = store_it(page, address, name="Corpus", kind="text", separator="blank", column_text="story")
    assert [row["text"] for row in rows(Dataset.objects.get())] == ["From a.", "From b.", "Also from b.", "From c."]
    assert "a.jsonl, b.txt, c.csv" in said(response)


def test_files_of_one_name_from_two_folders_are_both_taken(page):
    address = page.post("/data/new/", {"file": [a_file("x.txt", "One."), a_file("x.txt", "Two.")]})["Location"]
    store_it(page, address, name="Corpus", kind="text", separator="whole")
    assert {row["text"] for row in rows(Dataset.objects.get())} == {"One.", "Two."}


def test_bad_rows_of_several_files_name_their_file(page, said):
    chosen = [a_file("a.jsonl", '{"text": "good"}\n{'), a_file("b.jsonl", '{"text": ""}')]
    text = said(page.get(page.post("/data/new/", {"file": chosen})["Location"]))
    assert "2 rows cannot be read" in text
    assert "a.jsonl:2" in text
    assert "b.jsonl:1" in text


def test_tunes_are_cut_at_their_numbers(page, said):
    tunes = "X: 1\nT:One\nK:C\nabc|\n\ndef|\n\nX: 2\nT:Two\nK:G\ngab|\n"
    _address, guessed = look(page, "jigs.abc", tunes)
    assert "Store 2 rows" in said(guessed)


def test_a_separator_that_stands_in_the_text_is_found(page, said):
    _address, guessed = look(page, "stories.txt", "One.\n\nStill one.\n<|endoftext|>\nTwo.\n")
    assert "Store 2 rows" in said(guessed)


def test_the_split_is_shown_before_and_kept(page, said):
    prompts = "\n".join(json.dumps({"prompt": f"Prompt {number}"}) for number in range(200))
    address, preview = look(page, "prompts.jsonl", prompts, heldout_percent=25, kind="prompts", name="Prompts")
    shown = said(preview)
    store_it(page, address, heldout_percent=25, kind="prompts", name="Prompts")
    splits = Dataset.objects.get().splits
    assert f"200 rows : {splits['train']} train, {splits['heldout']} held-out" in shown.replace("rows:", "rows :")
    assert 30 < splits["heldout"] < 70


def test_the_kind_is_guessed_from_the_columns(page):
    for columns, kind in [
        ({"text": "a", "label": "b"}, "labelled"),
        ({"prompt": "a", "completion": "b"}, "sft"),
        ({"instruction": "a", "output": "b"}, "sft"),
        ({"prompt": "a", "completions": ["b", "c"], "ranking": "A = B"}, "rankings"),
        ({"text": "a"}, "text"),
    ]:
        _address, preview = look(page, "some.jsonl", json.dumps(columns))
        assert f'<option value="{kind}" selected>' in preview.content.decode()


def test_columns_with_other_names_are_chosen(page):
    table = "judul,isi,kelas\nx,Enak sekali,positif\ny,Biasa saja,netral\n"
    address, _preview = look(page, "ulasan.csv", table, kind="labelled")
    store_it(page, address, name="Ulasan", kind="labelled", column_text="isi", column_label="kelas")
    dataset = Dataset.objects.get()
    assert rows(dataset) == [{"text": "Enak sekali", "label": "positif"}, {"text": "Biasa saja", "label": "netral"}]


def test_a_table_without_a_first_line_of_names_is_given_some(page):
    address, _preview = look(page, "smsa.tsv", "enak\tpositive\nkurang\tnegative\n")
    store_it(page, address, name="SmSA", kind="labelled", header="text, label")
    assert rows(Dataset.objects.get()) == [
        {"text": "enak", "label": "positive"},
        {"text": "kurang", "label": "negative"},
    ]


def test_bad_rows_are_named_and_left_out_only_when_asked(page, said):
    content = "\n".join(
        ['{"prompt": "a", "completion": "b"}', '{"prompt": "a"}', "{", '{"prompt": "c", "completion": "d"}']
    )
    address, preview = look(page, "sft.jsonl", content)
    text = said(preview)
    assert "2 rows cannot be read" in text
    assert "Line 3: this is no JSON" in text
    refused = page.post(address, {"name": "SFT", "kind": "sft", "heldout_percent": 0})
    assert refused.status_code == 400
    assert "Line 2:" in said(refused)
    assert not Dataset.objects.exists()
    response = store_it(page, address, name="SFT", kind="sft", skip_bad="1")
    assert Dataset.objects.get().rows == 2
    assert "2 rows that could not be read" in said(response)


def test_the_same_rows_again_are_the_data_set_that_is_there(page, said):
    for name in ("One", "Two"):
        address, _preview = look(page, "stories.txt", CORPUS)
        response = store_it(page, address, name=name, kind="text", separator="blank")
    assert "were stored before" in said(response)
    assert Dataset.objects.get().name == "One"
    assert response.request["PATH_INFO"] == Dataset.objects.get().get_absolute_url()


def test_a_large_file_is_stored_by_a_job(page, said, monkeypatch):
    monkeypatch.setattr("labeling.views.datasets.STORED_AT_ONCE", 10)
    address, _preview = look(page, "stories.txt", CORPUS)
    response = store_it(page, address, name="Stories", kind="text", separator="blank")
    assert not Dataset.objects.exists()
    run_all_waiting()
    dataset = Dataset.objects.get()
    assert dataset.rows == 3
    job = page.get(response.request["PATH_INFO"])
    assert "The data set is stored." in said(job)
    assert dataset.get_absolute_url() in job.content.decode()


@pytest.mark.parametrize(
    ("name", "content", "kind", "problem"),
    [
        ("data.jsonl", "", "text", "holds no rows"),
        ("data.parquet", "nonsense", "text", "is no Parquet file"),
        ("data.csv", "a,a\n1,2\n", "text", "names a column twice"),
    ],
)
def test_a_file_that_cannot_be_read_is_explained(page, said, name, content, kind, problem):
    if not content:
        response = page.post("/data/new/", {"file": a_file(name, content)})
        assert response.status_code == 400
        assert "empty" in said(response)
        return
    _address, preview = look(page, name, content, kind=kind)
    assert preview.status_code == 400
    assert problem in said(preview)


def test_a_name_and_a_split_out_of_range_are_refused_together(page):
    address, _preview = look(page, "stories.txt", CORPUS)
    response = page.post(address, {"name": "", "kind": "text", "separator": "blank", "heldout_percent": 95})
    assert response.status_code == 400
    assert response.content.decode().count('class="error"') == 2
    assert not Dataset.objects.exists()


@pytest.fixture
def two(page):
    for name, content, kind in [("stories.txt", CORPUS, "text"), ("p.jsonl", '{"prompt": "Why?"}', "prompts")]:
        address, _preview = look(page, name, content)
        store_it(page, address, name=f"Set of {kind}", kind=kind, **({"separator": "blank"} if kind == "text" else {}))
    return Dataset.objects.order_by("pk")


def test_the_list_is_searched_and_filtered(page, two, said):
    assert "Set of text" in said(page.get("/data/"))
    assert "Set of text" not in said(page.get("/data/", {"kind": "prompts"}))
    assert "Set of text" not in said(page.get("/data/", {"q": two[1].digest[:10]}))
    assert "No data set fits" in said(page.get("/data/", {"from": "project"}))


def test_a_data_set_shows_its_rows_and_gives_its_files(page, two, said):
    dataset = two[0]
    text = said(page.get(dataset.get_absolute_url()))
    for shown in ["Another document.", "stories.txt", "3 train, 0 held-out", "What to do next"]:
        assert shown in text
    assert "There are no rows in this split." in said(page.get(dataset.get_absolute_url(), {"split": "heldout"}))
    data = b"".join(page.get(reverse("dataset-file", args=[dataset.pk, "data.jsonl"])).streaming_content)
    assert len(data.splitlines()) == 3
    manifest = b"".join(page.get(reverse("dataset-file", args=[dataset.pk, "manifest.json"])).streaming_content)
    assert json.loads(manifest) == dataset.manifest
    assert page.get(reverse("dataset-file", args=[dataset.pk, "secret_key"])).status_code == 404


def test_rows_have_pages(page, said):
    address, _preview = look(page, "many.txt", "\n".join(f"Line {number}." for number in range(12)))
    store_it(page, address, name="Many", kind="text", separator="line")
    dataset = Dataset.objects.get()
    assert "Line 4." in said(page.get(dataset.get_absolute_url()))
    last = said(page.get(dataset.get_absolute_url(), {"page": 3}))
    assert "Line 11." in last
    assert "Line 9." not in last


def test_a_data_set_whose_files_are_gone_says_so_and_the_same_upload_mends_it(page, two, said):
    (two[0].folder / store.DATA).unlink()
    assert "are not in the data folder" in said(page.get(two[0].get_absolute_url()))
    address, _preview = look(page, "stories.txt", CORPUS)
    store_it(page, address, name="Set of text", kind="text", separator="blank")
    assert "Another document." in said(page.get(two[0].get_absolute_url()))


def test_researchers_upload_and_annotators_see_nothing(researcher, two):
    assert signed_in(researcher).post("/data/new/", {"file": a_file("a.txt", "text")}).status_code == 302
    for address in ["/data/", "/data/new/", two[0].get_absolute_url()]:
        assert signed_in(factories.user()).get(address).status_code == 403
