"""The import page: nothing changes before it is confirmed, bad rows are named by line and reason, and twice adds nothing."""

import json

import pytest
from django.urls import reverse

from jobs.worker import run_all_waiting
from labeling.models import Assignment, Prompt, Task
from tests import factories
from tests.labeling_pages.conftest import a_file, signed_in

pytestmark = pytest.mark.django_db(transaction=True)

GOOD = [
    {"prompt": "What is rain?", "completions": ["Water.", "Wet.", "Water."], "rankings": [{"annotator": "x", "ranking": "A = C > B"}]},
    {"prompt": [{"role": "user", "content": "Hello?"}]},
]  # fmt: skip
BAD = [
    {"prompt": " "},
    "no json",
    {"prompt": "Two", "completions": ["one"]},
    {"prompt": "T", "completions": ["a", "b"], "ranking": "A > Q"},
]


def lines(rows: list) -> str:
    return "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows)


@pytest.fixture
def project():
    return factories.project(heldout_percent=0)


@pytest.fixture
def start(project):
    return reverse("project-import", args=[project.slug])


def test_a_good_file_is_shown_and_then_imported(page, project, start, said):
    preview = page.post(start, {"file": a_file("mine.jsonl", lines(GOOD))}, follow=True)
    text = said(preview)
    for sentence in [
        "2 prompts are new.",
        "1 ranking has ties.",
        "A = C > B",
        "the copies are marked",
        "Hello?",
        "mine.jsonl",
    ]:
        assert sentence in text
    assert not Prompt.objects.exists()  # nothing is changed by looking

    address = preview.request["PATH_INFO"]
    page.post(f"{address}confirm/")
    run_all_waiting()
    assert "mine.jsonl is imported." in said(page.get(start))
    assert (project.prompts.count(), project.tasks.count(), Assignment.objects.get().imported) == (2, 1, True)
    assert page.get(address).status_code == 404  # the upload was taken in

    again = page.post(start, {"file": a_file("mine.jsonl", lines(GOOD))}, follow=True)
    assert "there is nothing to import" in said(again)


def test_bad_rows_are_named_and_left_out_only_when_asked(page, project, start, said):
    preview = page.post(start, {"text": lines(GOOD + BAD)}, follow=True)
    text = said(preview)
    for sentence in ["4 rows cannot be read", "Line 3: “prompt” is empty.", "Line 4: this is no JSON", "Line 5: a task needs 2 to 9",
                     "Line 6: ranking “A > Q”: Character 5: there is no output Q; expected a letter from A to B.", "Import 2 good rows"]:  # fmt: skip
        assert sentence in text
    confirm = f"{preview.request['PATH_INFO']}confirm/"
    page.post(confirm)
    run_all_waiting()
    text = said(page.get(start))
    assert "failed" in text
    assert "Line 4: this is no JSON" in text
    assert not Prompt.objects.exists()
    page.post(confirm, {"skip_bad": "1"})
    run_all_waiting()
    assert project.prompts.count() == 2


def test_csv_can_be_pasted(page, project, start, said):
    pasted = 'prompt,completion_1,completion_2,ranking,annotator\r\nWhy?,Because.,"So, there.",B > A,ani\r\n'
    preview = page.post(start, {"text": pasted}, follow=True)
    assert "Import 1 row" in said(preview)
    page.post(f"{preview.request['PATH_INFO']}confirm/")
    run_all_waiting()
    assert list(Task.objects.get().items.values_list("completion__text", flat=True)) == ["Because.", "So, there."]


@pytest.mark.parametrize(
    ("sent", "problem"),
    [
        ({}, "Choose a file, or paste rows"),
        ({"text": '{"prompt": "a"}', "file": a_file("b.jsonl", '{"prompt": "b"}')}, "one of the two"),
    ],
)
def test_neither_or_both_is_refused(page, start, said, sent, problem):
    response = page.post(start, sent)
    assert response.status_code == 400
    assert problem in said(response)


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("notes.docx", "hello", "has no ending that can be read here"),
        ("rows.json", '{"prompt": "x"}', "must hold a JSON array"),
        ("rows.csv", "a,b\n1,2\n", "The first row has the columns a, b."),
        ("rows.parquet", "not parquet", "is no Parquet file"),
    ],
)
def test_a_file_that_cannot_be_read_at_all_is_refused(page, start, said, name, content, problem):
    response = page.post(start, {"file": a_file(name, content)}, follow=True)
    assert response.status_code == 400
    assert problem in said(response)
    assert "Choose another file" in said(response)


def test_an_upload_is_its_owners_alone(page, start):
    address = page.post(start, {"text": lines(GOOD)})["Location"]
    assert signed_in(factories.admin()).get(address).status_code == 404
    assert page.get(address).status_code == 200


def test_a_long_file_is_looked_at_in_part_and_imported_whole(page, project, start, said, monkeypatch):
    monkeypatch.setattr("labeling.views.imports.LOOK_AT_ROWS", 3)
    preview = page.post(start, {"text": lines([{"prompt": f"Prompt {n}"} for n in range(5)])}, follow=True)
    assert "What the first 3 rows hold" in said(preview)
    page.post(f"{preview.request['PATH_INFO']}confirm/")
    run_all_waiting()
    assert project.prompts.count() == 5


def test_the_examples_can_be_downloaded_and_imported_as_they_are(page, start, said):
    from labeling.views.imports import EXAMPLES

    text = said(page.get(start))
    for name in EXAMPLES:
        assert name in text
        example = page.get(reverse("import-example", args=[name]))
        assert name in example["Content-Disposition"]
        preview = said(page.post(start, {"file": a_file(name, example.content.decode())}, follow=True))
        assert "cannot be read" not in preview
        assert "new" in preview
    assert page.get(reverse("import-example", args=["other"])).status_code == 404


def test_annotators_and_researchers_cannot_import(start, researcher):
    for user in (researcher, factories.user()):
        assert signed_in(user).post(start, {"text": lines(GOOD)}).status_code == 403
