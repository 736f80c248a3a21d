"""Importing prompts, completions and rankings: formats, bad rows, repeats, and nothing lost in silence."""

import json
import os
from collections import Counter
from io import StringIO
from itertools import combinations
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from jobs.models import Job
from jobs.worker import run_all_waiting
from labeling import actions, export, queries, uploads
from labeling.importing import load
from labeling.importing.load import import_prompts, look
from labeling.models import Assignment, Completion, Prompt, Ranking, Task
from people.errors import Refusal
from people.models import AuditEntry, User
from tests import factories

pytestmark = pytest.mark.django_db
REAL = Path(os.environ.get("PERINGKAT_REAL_DATA", "/nowhere"))


@pytest.fixture
def project(admin):
    return factories.project(actor=admin)


@pytest.fixture
def bring(admin, project):
    """Look first, then import; both must say the same."""

    def bring(path, **options):
        seen = look(project, path)
        report = import_prompts(actor=admin, project=project, path=path, **options)
        assert report == seen
        project.refresh_from_db()
        return report

    return bring


def everything(project):
    """All that an import can add, as numbers."""
    return [model.objects.count() for model in (Prompt, Completion, Task, Assignment, Ranking, User)]


RANKED = {
    "prompt": "What is the capital of France?",
    "completions": ["Paris.", {"text": "Lyon.", "source": "model b"}, "It is Paris."],
    "rankings": [{"annotator": "ani", "ranking": "C > A > B"}, {"annotator": "budi", "ranking": "a = c > b"}],
    "id": "capital",
}


def test_prompts_alone_become_prompts(bring, jsonl, project):
    chat = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hello?"}]
    report = bring(jsonl([{"prompt": "One"}, {"prompt": chat, "split": "test"}, {"prompt": "One"}]))
    assert (report.rows, report.prompts_new, report.prompts_known, report.tasks_new) == (3, 2, 1, 0)
    assert project.prompts.get(split="heldout").content == chat


def test_completions_become_tasks_and_rankings_become_rankings(bring, jsonl, project):
    report = bring(jsonl([RANKED]))
    assert (report.tasks_new, report.rankings_new, report.with_ties, report.annotators) == (1, 2, 1, 2)
    task = project.tasks.get()
    assert [item.completion.text for item in task.items.all()] == ["Paris.", "Lyon.", "It is Paris."]
    assert task.items.get(position=1).completion.source == "model b"
    assert (task.state, task.overlap, task.submitted, task.position) == ("complete", 2, 2, None)
    assert task.prompt.external_id == "capital"
    assert set(Ranking.objects.values_list("notation", flat=True)) == {"C > A > B", "A = C > B"}


def test_who_made_imported_rankings_cannot_sign_in_and_is_named_by_project_and_file(bring, jsonl, project):
    bring(jsonl([RANKED]))
    annotators = User.objects.filter(assignments__imported=True)
    assert {user.username for user in annotators} == {f"{project.slug}/ani", f"{project.slug}/budi"}
    assert not any(user.is_active or user.has_usable_password() for user in annotators)


def test_a_task_with_fewer_rankings_than_its_overlap_waits_for_people(bring, jsonl, admin, project):
    actions.change_project(actor=admin, project=project, overlap=4)
    project.refresh_from_db()
    bring(jsonl([RANKED]))
    task = project.tasks.get()
    assert (task.state, task.free_slots) == ("open", 2)
    assert sorted(Assignment.objects.values_list("slot", flat=True)) == [1, 2]
    outcome = factories.submit(admin, factories.claim(admin, project), "A > B > C")
    assert outcome.assignment.slot == 3


def test_importing_twice_adds_nothing(bring, jsonl, project):
    path = jsonl([RANKED, {"prompt": "Two"}, RANKED | {"rankings": [{"annotator": "ani", "ranking": "C > A > B"}]}])
    report = bring(path)
    assert report.rankings_new == 3  # ani said the same twice: a repeat
    assert report.repeats == 1
    before = everything(project)
    again = bring(path)
    assert again.changes_nothing
    assert again.rankings_known == 3
    assert everything(project) == before
    assert sorted(Assignment.objects.values_list("annotator__username", "repeat")) == [
        (f"{project.slug}/ani", 0),
        (f"{project.slug}/ani", 1),
        (f"{project.slug}/budi", 0),
    ]


def test_the_same_outputs_in_another_order_are_the_same_task(bring, jsonl, project):
    turned = {
        "prompt": RANKED["prompt"],
        "completions": ["It is Paris.", "Paris.", {"text": "Lyon.", "source": "model b"}],
        "rankings": [{"annotator": "cici", "ranking": "A > B > C"}],
    }
    bring(jsonl([RANKED]))
    report = bring(jsonl([turned], "turned.jsonl"))
    assert (report.tasks_new, report.tasks_known, report.rankings_new) == (0, 1, 1)
    assert Ranking.objects.get(assignment__annotator__username__endswith="cici").notation == "C > A > B"
    assert project.tasks.get().overlap == 3


def test_rows_that_cannot_be_read_are_all_named_and_nothing_is_imported(jsonl, admin, project):
    path = jsonl(
        [
            {"prompt": "fine"},
            "{not json",
            {"prompt": ""},
            {"prompt": "one completion", "completions": ["x"]},
            {"prompt": "ten", "completions": [str(n) for n in range(10)]},
            {"prompt": "bad ranking", "completions": ["x", "y"], "rankings": [{"annotator": "a", "ranking": "A > C"}]},
            {"prompt": [{"role": "user"}]},
            {"no": "prompt"},
            {"prompt": "which split?", "split": "maybe"},
            "[1, 2]",
            '{"prompt": "half a surrogate pair \\ud800"}',
            '{"prompt": "a NUL \\u0000"}',
            {"prompt": 5},
        ]
    )
    before = everything(project)
    with pytest.raises(Refusal) as caught:
        import_prompts(actor=admin, project=project, path=path)
    lines = [int(problem.split()[1].rstrip(":")) for problem in caught.value.problems]
    assert lines == [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]
    assert "there is no output C" in caught.value.problems[4]
    assert everything(project) == before


def test_bad_rows_can_be_left_out_and_are_still_told(bring, jsonl, project):
    report = bring(jsonl([{"prompt": "fine"}, "{not json", {"prompt": "fine too"}]), skip_bad=True)
    assert (report.prompts_new, [problem.line for problem in report.problems]) == (2, [2])
    assert "1 row cannot be read." in report.sentences()


def test_many_bad_rows_are_counted_after_the_first_fifty(jsonl, admin, project):
    with pytest.raises(Refusal) as caught:
        import_prompts(actor=admin, project=project, path=jsonl([{"prompt": "fine"}, *["{"] * 80]))
    assert len(caught.value.problems) == 51
    assert "30 more" in caught.value.problems[-1]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("rows.xlsx", b"PK", "no ending that can be read"),
        ("rows.jsonl", b"", "holds no rows"),
        ("rows.jsonl", b'{"text": "x"}\n', "has the columns text"),
        ("rows.json", b'{"prompt": "x"}', "JSON array"),
        ("rows.json", b"{", "is no JSON"),
        ("rows.csv", b"prompt,prompt\nx,y\n", "names a column twice"),
        ("rows.parquet", b"PAR1", "is no Parquet"),
    ],
)
def test_a_file_that_cannot_be_read_at_all_is_refused_in_words(tmp_path, admin, project, name, content, said):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(Refusal, match=said):
        import_prompts(actor=admin, project=project, path=path)


def test_text_in_another_encoding_is_a_problem_of_its_line(tmp_path, project):
    path = tmp_path / "latin.jsonl"
    path.write_bytes(b'{"prompt": "fine"}\n{"prompt": "caf\xe9"}\n')
    report = look(project, path)
    assert [str(problem) for problem in report.problems] == ["Line 2: this is not UTF-8 text (byte 16)"]


def test_csv_brings_completions_sources_and_rankings(tmp_path, bring, project):
    path = tmp_path / "rows.csv"
    path.write_text(
        "prompt,completion_1,completion_2,completion_3,source_2,ranking,annotator,id\n"
        '"Two lines,\nand a comma",a,b,c,model b,B > A = C,ani,7\n'
        "Just two,a,b,,,A=B,,\n"
        "A gap,a,,c,,,,\n",
        encoding="utf-8-sig",
    )
    report = bring(path, skip_bad=True)
    assert [problem.line for problem in report.problems] == [5]
    first, second = project.tasks.order_by("pk")
    assert first.prompt.content == "Two lines,\nand a comma"
    assert (first.size, second.size) == (3, 2)
    assert first.items.get(position=1).completion.source == "model b"
    assert {user.username for user in User.objects.filter(assignments__imported=True)} == {
        f"{project.slug}/ani",
        f"{project.slug}/anonymous",
    }


def test_parquet_brings_the_same_rows_as_jsonl(tmp_path, bring, project):
    import pyarrow
    import pyarrow.parquet

    path = tmp_path / "rows.parquet"
    row = {"prompt": "P", "completions": ["x", "y"], "rankings": [{"annotator": "a", "ranking": "B > A"}]}
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([row]), path)
    report = bring(path)
    assert (report.tasks_new, report.rankings_new) == (1, 1)


def test_an_export_can_be_imported_again(bring, jsonl, admin, project, tmp_path):
    bring(jsonl([RANKED]))
    dataset, _new = actions.freeze_snapshot(actor=admin, project=project)
    path = tmp_path / "export.jsonl"
    path.write_bytes(b"".join(export.export_rows(actor=admin, dataset=dataset)))
    other = factories.project(actor=admin)
    report = import_prompts(actor=admin, project=other, path=path)
    assert (report.tasks_new, report.rankings_new) == (1, 2)
    mine = Ranking.objects.filter(assignment__project=other).values_list("notation", flat=True)
    assert set(mine) == {"C > A > B", "A = C > B"}


# Published formats


def wmt_row(ranks, texts=None, judge="J1", **more):
    texts = texts or [f"translation {n}" for n in range(len(ranks))]
    options = [{"system": f"s{n}", "rank": r, "text": t} for n, (r, t) in enumerate(zip(ranks, texts, strict=True))]
    return {"pair": "de-en", "src_index": 1, "judge": judge, "prompt": "Satz", "options": options, **more}


def test_the_importer_says_what_it_met_in_wmt_rankings(bring, jsonl, project):
    report = bring(
        jsonl(
            [
                wmt_row([1, 2, 2, -1, 3]),
                wmt_row([2, 2, 2, 2, 2], judge="J2"),
                wmt_row([-1, -1, -1, -1, -1], judge="J3"),
                wmt_row([1, 2, 3, 4, 4], texts=["same", "same ", "c", "d", "e"], judge="J1"),
                wmt_row([-1, 4, -1, -1, -1], judge="J4"),
            ]
        )
    )
    assert report.format == "options with ranks (WMT)"
    assert (report.tasks_new, report.tasks_known, report.rankings_new) == (2, 3, 3)
    assert (report.blanks, report.silent, report.all_tied, report.with_ties) == (10, 2, 1, 3)
    assert (report.duplicated, report.copies_apart) == (1, 1)
    notations = Ranking.objects.filter(assignment__annotator__username__endswith="J1").values_list(
        "notation", flat=True
    )
    assert set(notations) == {"A > B = C > E", "A > B > C > D = E"}
    copies = Task.objects.get(items__duplicate_of__isnull=False)
    assert list(copies.items.values_list("position", "duplicate_of")) == [
        (0, None),
        (1, 0),
        (2, None),
        (3, None),
        (4, None),
    ]
    assert project.prompts.get().external_id == "de-en 1"


def test_a_wmt_rank_that_is_no_rank_is_a_bad_row(jsonl, project):
    report = look(project, jsonl([wmt_row([1, 2]), wmt_row([0, 1]), wmt_row([1, "2"]), wmt_row([1, True])]))
    assert [problem.line for problem in report.problems] == [2, 3, 4]


def test_pandalm_two_responses_three_annotators(tmp_path, bring, project):
    path = tmp_path / "pandalm.json"
    row = {
        "idx": 0,
        "cmp_key": "bloom_llama",
        "instruction": "Do",
        "input": "this",
        "response1": True,
        "response2": "b",
    }
    path.write_text(json.dumps([row | {"annotator1": 0, "annotator2": 1, "annotator3": 2}]))
    bring(path)
    assert Counter(Ranking.objects.values_list("notation", flat=True)) == Counter(["A = B", "A > B", "B > A"])
    items = project.tasks.get().items.all()
    assert [(i.completion.text, i.completion.source) for i in items] == [("True", "bloom"), ("b", "llama")]


def test_finegrained_pairs_become_a_ranking_or_a_bad_row(tmp_path, bring):
    path = tmp_path / "feedback.json"
    row = {
        "question": "Why?",
        "passages": [["Title", "It", "is."]],
        **{f"prediction {n}": f"p{n}" for n in range(1, 5)},
    }
    # 1v2 1v3 1v4 2v3 2v4 3v4; the second goes round in a circle
    path.write_text(json.dumps([row | {"preference": [1, 1, 1, 0, 1, 1]}, row | {"preference": [1, 2, 1, 1, 1, 1]}]))
    report = bring(path, skip_bad=True)
    assert Ranking.objects.get().notation == "A > B = C > D"
    assert [str(problem) for problem in report.problems] == [
        "Line 2: the judged pairs contradict each other; no ranking says them all."
    ]
    assert Prompt.objects.get().content == "Why?\n\nIt\nis."


def test_conversation_trees_give_a_task_for_each_question_with_ranked_replies(jsonl, bring, project):
    def message(role, text, *replies, **more):
        return {"role": role, "text": text, "replies": list(replies), **more}

    follow_up = message("prompter", "And then?", message("assistant", "x", rank=1), message("assistant", "y", rank=0))
    tree = message(
        "prompter", "Hello", message("assistant", "Hi", follow_up, rank=0), message("assistant", "Yo", rank=1)
    )
    report = bring(jsonl([{"message_tree_id": "t", "prompt": tree}]))
    assert (report.rows, report.tasks_new, report.rankings_new) == (1, 2, 2)
    contents = [prompt.content for prompt in project.prompts.order_by("pk")]
    assert [turn["role"] for turn in contents[1]] == ["user", "assistant", "user"]
    assert list(Ranking.objects.order_by("pk").values_list("notation", flat=True)) == ["A > B", "B > A"]


# Cut off, by command, as a job


def test_an_import_that_was_cut_off_is_run_again_and_completes(jsonl, admin, project, monkeypatch):
    monkeypatch.setattr(load, "BATCH", 3)
    rows = [RANKED | {"prompt": f"Question {n}"} for n in range(10)]
    path = jsonl(rows)

    def fail(done, total):
        if done == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_prompts(actor=admin, project=project, path=path, progress=fail)
    assert project.tasks.count() == 6
    report = import_prompts(actor=admin, project=project, path=path)
    assert (report.tasks_known, report.tasks_new, report.rankings_new) == (6, 4, 8)
    counts = queries.project_counts(project)
    assert (counts["tasks"], counts["rankings"], counts["complete"]) == (10, 20, 10)


def test_only_who_manages_projects_imports(jsonl, project):
    with pytest.raises(Refusal) as caught:
        import_prompts(actor=factories.user("researcher"), project=project, path=jsonl([{"prompt": "x"}]))
    assert caught.value.status == 403


def test_the_command_looks_and_imports(jsonl, project):
    path, out = jsonl([RANKED]), StringIO()
    call_command("import_prompts", project.slug, path, "--dry-run", stdout=out)
    assert "2 rankings are new." in out.getvalue()
    assert project.tasks.count() == 0
    call_command("import_prompts", project.slug, path, stdout=out)
    assert project.tasks.count() == 1
    entry = AuditEntry.objects.get(verb="project.import")
    assert (entry.data["rankings_new"], entry.data["file"]) == (2, "rows.jsonl")
    for arguments in (
        ["no-such-project", path],
        [project.slug, path.parent / "none.jsonl"],
        [project.slug, path, "--actor", "x"],
    ):
        with pytest.raises(CommandError):
            call_command("import_prompts", *arguments)


def test_an_uploaded_file_is_imported_by_a_job_and_then_removed(admin, project):
    upload = uploads.keep(admin, "rows.jsonl", [json.dumps(RANKED).encode()])
    job = actions.start_import(actor=admin, project=project, upload=upload)
    run_all_waiting()
    job.refresh_from_db()
    assert job.state == Job.State.DONE, job.error
    assert "2 rankings are new." in job.result["notes"]
    assert project.tasks.count() == 1
    assert not upload.path.exists()


# Real rankings


@pytest.mark.slow
@pytest.mark.skipif(not (REAL / "data/wmt12-rankings").is_dir(), reason="PERINGKAT_REAL_DATA is not set")
def test_every_tie_of_wmt12_survives_import_and_export(admin, project):
    path = REAL / "data/wmt12-rankings/rankings.jsonl"
    raw = [json.loads(line) for line in path.open(encoding="utf-8")]
    report = import_prompts(actor=admin, project=project, path=path)

    def ranked(row):
        return [option for option in row["options"] if option["rank"] > 0]

    assert report.rows == len(raw)
    assert not report.problems
    assert report.blanks == sum(len(row["options"]) - len(ranked(row)) for row in raw)
    assert report.rankings_new == sum(len(ranked(row)) > 1 for row in raw)
    assert report.silent == sum(len(ranked(row)) <= 1 for row in raw)
    assert report.all_tied == sum(len(ranked(row)) > 1 and len({o["rank"] for o in ranked(row)}) == 1 for row in raw)

    def pairs_of_raw():
        for row in raw:
            for a, b in combinations(ranked(row), 2):
                better, worse = sorted((a, b), key=lambda option: option["rank"])
                texts = (better["text"], worse["text"])
                tied = a["rank"] == b["rank"]
                yield row["judge"], row["prompt"], "=" if tied else ">", tuple(sorted(texts)) if tied else texts

    def pairs_of_export():
        dataset, _new = actions.freeze_snapshot(actor=admin, project=project)
        names = dict(User.objects.values_list("pk", "username"))
        for line in export.export_pairs(actor=admin, dataset=dataset, ties="rows"):
            row = json.loads(line)
            a, b = row["completion_a"], row["completion_b"]
            texts = (a, b) if row["label"] == ">" else (b, a) if row["label"] == "<" else tuple(sorted((a, b)))
            judge = names[row["annotator"]].removeprefix(f"{project.slug}/")
            yield judge, row["prompt"], "=" if row["label"] == "=" else ">", texts

    assert Counter(pairs_of_export()) == Counter(pairs_of_raw())
