"""Data sets: uploads of every kind, snapshots of rankings, and exports that never make a winner of a tie."""

import hashlib
import json
from collections import Counter
from datetime import timedelta
from itertools import combinations

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from labeling import actions, export
from labeling.actions.tasks import NewTask, add_tasks
from labeling.datasets import files, snapshot
from labeling.datasets.pairs import pair_counts
from labeling.datasets.store import rows_of
from labeling.identity import digest_of, split_of
from labeling.models import Assignment, Dataset
from labeling.ranking import WeakOrder
from people.errors import Refusal
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def upload(admin):
    def upload(path, kind, name="A data set", **reading):
        skip_bad = reading.pop("skip_bad", False)
        return actions.upload_dataset(
            actor=admin, name=name, path=path, reading=files.Reading(kind, **reading), skip_bad=skip_bad
        )

    return upload


def texts(dataset):
    return [row["text"] for row in rows_of(dataset.folder)]


# Uploads


def test_a_folder_is_stored_from_the_command_line(tmp_path, admin, capsys):
    for name in ("one", "two"):
        (tmp_path / f"{name}.abc").write_text(f"X: 1\nT:{name}\nK:C\nabc|\n\nX: 2\nT:{name}\nK:G\ngab|\n")
    call_command("add_dataset", "Tunes", str(tmp_path), separator="tunes", heldout_percent=0)
    dataset = Dataset.objects.get()
    assert (dataset.name, dataset.rows, dataset.created_by) == ("Tunes", 4, admin)
    assert dataset.digest in capsys.readouterr().out
    with pytest.raises(CommandError, match="nowhere"):
        call_command("add_dataset", "Tunes", str(tmp_path / "nowhere"))


def test_how_far_a_corpus_is_taken_in_is_told(tmp_path, admin):
    for name in "ab":
        (tmp_path / f"{name}.txt").write_text("".join(f"A line number {i} of {name}.\n" for i in range(800)))
    told = []
    reading = files.Reading("text", separator="line")
    actions.upload_dataset(
        actor=admin,
        name="Lines",
        path=sorted(tmp_path.iterdir()),
        reading=reading,
        progress=lambda *at: told.append(at),
    )
    done, total = zip(*told, strict=True)
    assert list(done) == sorted(done)
    assert set(total) == {sum(path.stat().st_size for path in tmp_path.iterdir())}
    assert done[-1] > total[0] / 2


@pytest.mark.parametrize(
    ("separator", "expected"),
    [
        ("<|endoftext|>", ["One\n\nis one.", "Two.\nStill two."]),
        ("blank", ["One", "is one.\n<|endoftext|>\nTwo.\nStill two.\n<|endoftext|>"]),
        ("line", ["One", "is one.", "<|endoftext|>", "Two.", "Still two.", "<|endoftext|>"]),
        ("whole", ["One\n\nis one.\n<|endoftext|>\nTwo.\nStill two.\n<|endoftext|>"]),
    ],
)
def test_plain_text_is_parted_into_documents(tmp_path, upload, separator, expected):
    path = tmp_path / "corpus.txt"
    path.write_bytes(b"\xef\xbb\xbfOne\r\n\r\nis one.\r\n<|endoftext|>\r\nTwo.\r\nStill two.\r\n<|endoftext|>\r\n")
    dataset, new = upload(path, "text", separator=separator)
    assert new
    assert texts(dataset) == expected


def test_a_documents_line_is_where_it_begins(tmp_path):
    path = tmp_path / "tunes.abc"
    path.write_text("X:1\nA\n\n\nX:2\nB\n\n\n\nX:3\nC\n")
    seen = list(files.read(path, files.Reading("text", separator="blank")))
    assert [(line, row["text"]) for line, row in seen] == [(1, "X:1\nA"), (5, "X:2\nB"), (10, "X:3\nC")]


@pytest.mark.parametrize(
    ("kind", "row"),
    [
        ("text", {"text": "once"}),
        ("labelled", {"text": "good", "label": "positive"}),
        ("prompts", {"prompt": "Why?"}),
        ("prompts", {"prompt": [{"role": "user", "content": "Why?"}]}),
        ("sft", {"prompt": "Why?", "completion": "Because."}),
        (
            "rankings",
            {
                "task": 3,
                "prompt": "Why?",
                "completions": ["x", "y"],
                "ranking": "B > A",
                "annotator": "a",
                "weight": 0.5,
            },
        ),
    ],
)
def test_each_kind_is_stored_as_the_engine_reads_it(jsonl, upload, kind, row):
    dataset, _new = upload(jsonl([row | {"split": "validation", "other": "ignored"}]), kind)
    assert list(rows_of(dataset.folder)) == [row | {"split": "heldout"}]
    assert (dataset.rows, dataset.splits) == (1, {"heldout": 1})


def test_the_engine_accepts_what_is_stored(jsonl, upload, admin):
    from training.engine import data

    rows = {
        "text": {"text": "once"},
        "sft": {"prompt": "Why?", "completion": "Because."},
        "rankings": {"prompt": "Why?", "completions": ["x", "y", "z"], "ranking": "B > A = C"},
    }
    for kind, row in rows.items():
        dataset, _new = upload(jsonl([row]), kind)
        assert len(list(data.rows(dataset.folder, (kind,)))) == 1
    project = ranked_project(admin)
    dataset, _new = actions.freeze_snapshot(actor=admin, project=project)
    assert [row.ranking for row in data.rows(dataset.folder, ("rankings",))]


@pytest.mark.parametrize(
    ("kind", "row", "said"),
    [
        ("text", {"text": " "}, "“text” is empty"),
        ("text", {"content": "x"}, "“text” must be a text"),
        ("labelled", {"text": "x"}, "“label” must be"),
        ("labelled", {"text": "x", "label": 0.5}, "“label” must be"),
        ("sft", {"prompt": "x"}, "“completion” must be"),
        ("rankings", {"prompt": "x", "completions": ["a"], "ranking": "A"}, "2 to 9 texts"),
        ("rankings", {"prompt": "x", "completions": ["a", "b"], "ranking": "A > A"}, "already named"),
        ("rankings", {"prompt": "x", "completions": ["a", "b"], "ranking": "A > B", "weight": -1}, "“weight” must be"),
    ],
)
def test_a_bad_row_is_named_with_its_line(jsonl, upload, kind, row, said):
    with pytest.raises(Refusal) as caught:
        upload(jsonl([row, "{"]), kind)
    assert len(caught.value.problems) == 2
    assert caught.value.problems[0].startswith("Line 1: ")
    assert said in caught.value.problems[0]
    assert Dataset.objects.count() == 0


def test_bad_rows_left_out_are_counted_in_the_manifest(jsonl, upload):
    dataset, _new = upload(jsonl([{"text": "fine"}, "{", {"text": ""}]), "text", skip_bad=True)
    assert (dataset.rows, dataset.manifest["rows_left_out"]) == (1, 2)


def test_tables_without_a_first_line_of_names_and_with_other_names(tmp_path, upload):
    path = tmp_path / "smsa.tsv"
    path.write_text('warung "ini" enak\tpositive\n"tahu putih\tneutral\n')
    dataset, _new = upload(path, "labelled", columns=("text", "label"))
    assert texts(dataset) == ['warung "ini" enak', '"tahu putih']
    path = tmp_path / "sft.csv"
    path.write_text("instruction,answer\nWhy?,Because.\n")
    dataset, _new = upload(path, "sft", rename={"prompt": "instruction", "completion": "answer"})
    assert [row["completion"] for row in rows_of(dataset.folder)] == ["Because."]


def test_plain_text_cannot_be_anything_but_texts(tmp_path, upload):
    path = tmp_path / "notes.txt"
    path.write_text("x")
    with pytest.raises(Refusal, match="plain text"):
        upload(path, "sft")


def test_a_reading_that_makes_no_sense_is_refused_with_all_reasons(jsonl, upload):
    with pytest.raises(Refusal) as caught:
        upload(jsonl([{"text": "x"}]), "poems", heldout_percent=95, separator="")
    assert len(caught.value.problems) == 3


def test_a_preview_shows_rows_splits_and_problems_and_stores_nothing(jsonl):
    path = jsonl([{"text": f"text {n}"} for n in range(300)] + ["{"])
    seen = files.preview([path], files.Reading("text", heldout_percent=20))
    assert (len(seen.rows), seen.count, len(seen.problems), seen.complete) == (5, 300, 1, True)
    assert seen.splits["heldout"] == pytest.approx(60, abs=25)
    assert not files.preview([path], files.Reading("text"), most=100).complete
    assert Dataset.objects.count() == 0


def test_a_split_depends_on_the_text_alone_and_grows_with_the_percentage(jsonl, upload):
    rows = [{"prompt": f"Question {n}?", "completion": f"{n}"} for n in range(400)]
    heldout = {}
    for percent in (10, 30):
        dataset, _new = upload(jsonl(rows[::-1] if percent == 30 else rows), "sft", heldout_percent=percent)
        heldout[percent] = {row["prompt"] for row in rows_of(dataset.folder, "heldout")}
    assert heldout[10] < heldout[30]
    assert heldout[10] == {row["prompt"] for row in rows if split_of(digest_of(row["prompt"]), 10) == "heldout"}
    assert len(heldout[10]) == pytest.approx(40, abs=20)


def test_a_data_set_is_named_by_its_content_and_its_files_are_hashed(jsonl, upload):
    path = jsonl([{"text": "once"}])
    dataset, new = upload(path, "text")
    again, new_again = upload(path, "text", name="Another name")
    assert (new, new_again, again) == (True, False, dataset)
    manifest = (dataset.folder / "manifest.json").read_bytes()
    assert hashlib.sha256(manifest).hexdigest() == dataset.digest == dataset.folder.name
    assert json.loads(manifest) == dataset.manifest
    for file in dataset.manifest["files"]:
        content = (dataset.folder / file["path"]).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (file["size"], file["sha256"])
    assert not list(dataset.folder.parent.glob(".incoming-*"))


def test_who_may_not_upload_or_freeze_does_not(jsonl, admin):
    annotator = factories.user()
    with pytest.raises(Refusal) as caught:
        actions.upload_dataset(actor=annotator, name="x", path=jsonl([{"text": "x"}]), reading=files.Reading("text"))
    assert caught.value.status == 403
    with pytest.raises(Refusal) as caught:
        actions.freeze_snapshot(actor=annotator, project=ranked_project(admin))
    assert caught.value.status == 403


# Snapshots

NOTATIONS = [
    "C > B = D > A",
    "A = B = C = D",
    "D | C > A = B",
    "B > A > *",
    "A > C",
    "| A = D > B = C",
    "A > B > C > D",
]


def ranked_project(admin, notations=NOTATIONS, chat=False):
    """One task for each notation, in canonical letters."""
    project = factories.project(actor=admin, allow_partial=True, acceptability_line=True, heldout_percent=40)

    def prompt(number):
        return [{"role": "user", "content": f"Prompt {number}"}] if chat else f"Prompt {number}"

    add_tasks(
        project,
        [
            NewTask(prompt(n), [(f"{letter}{n}", f"system {letter}") for letter in "ABCD"], external_id=f"id {n}")
            for n in range(len(notations))
        ],
    )
    project.refresh_from_db()
    annotator = factories.user()
    assignment = factories.claim(annotator, project)
    for notation in notations:
        shown = WeakOrder.parse(notation, items=4).relabel([assignment.display.index(item) for item in range(4)])
        assignment = factories.submit(annotator, assignment, str(shown)).next
    return project


def test_a_snapshot_holds_every_ranking_in_canonical_letters(admin):
    dataset, new = actions.freeze_snapshot(actor=admin, project=ranked_project(admin), name="Frozen")
    assert new
    rows = list(rows_of(dataset.folder))
    assert [row["ranking"] for row in rows] == NOTATIONS
    assert rows[0]["completions"] == ["A0", "B0", "C0", "D0"]
    assert rows[0]["prompt_id"] == "id 0"
    assert rows[4]["unranked"] == ["B", "D"]
    assert {row["split"] for row in rows} <= {"train", "heldout"}
    assert all(row["split"] == split_of(digest_of(row["prompt"]), 40) for row in rows)
    assert "system" not in json.dumps(rows)


def test_a_manifest_says_what_is_in_the_snapshot_and_what_was_left_out(admin):
    project = ranked_project(admin)
    simulated = factories.user(is_simulated=True)
    add_tasks(project, [factories.task(n) for n in (90, 91)])
    project.refresh_from_db()
    flagged = factories.claim(simulated, project)
    after = actions.flag_task(actor=simulated, assignment=flagged, flag="garbled", note="cut").next
    factories.submit(simulated, after)
    dataset, _new = actions.freeze_snapshot(actor=admin, project=project)
    manifest = dataset.manifest
    assert manifest["project"]["slug"] == project.slug
    assert manifest["rows"] == 8
    assert manifest["rankings"] == {"all_tied": 1, "partial": 2, "spare": 0, "with_line": 2, "with_ties": 4}
    assert [one["simulated"] for one in manifest["annotators"].values()] == [False, True]
    assert manifest["flagged_tasks"] == [{"task": flagged.task_id, "flags": ["garbled"]}]
    assert manifest["pairs"] == pair_counts(rows_of(dataset.folder))


def test_one_can_ask_which_snapshots_hold_a_ranking(admin):
    project = ranked_project(admin)
    dataset, _new = actions.freeze_snapshot(actor=admin, project=project)
    ranking = Assignment.objects.filter(project=project).first().rankings.get()
    assert list(ranking.snapshots.all()) == [dataset]
    assert dataset.rankings.count() == len(NOTATIONS)
    ids = sorted(row["ranking_id"] for row in rows_of(dataset.folder))
    assert snapshot.ranking_id(ranking) in ids
    assert dataset.manifest["ranking_ids_sha256"] == digest_of(ids)


def test_freezing_again_without_new_rankings_is_the_same_snapshot_and_a_revision_makes_another(admin):
    project = ranked_project(admin)
    dataset, _new = actions.freeze_snapshot(actor=admin, project=project)
    assert actions.freeze_snapshot(actor=admin, project=project) == (dataset, False)
    turn = Assignment.objects.filter(project=project).first()
    actions.revise_ranking(actor=turn.annotator, assignment=turn, notation="A > B > C > D", client_key="changed mind")
    other, new = actions.freeze_snapshot(actor=admin, project=project)
    assert new
    assert other != dataset
    assert other.rows == dataset.rows == len(NOTATIONS)


def frozen(admin, project, **options):
    made, _new = actions.freeze_snapshot(actor=admin, project=project, options=snapshot.Options(**options))
    return made


def test_spare_rankings_are_left_out_and_counted_unless_asked_for(admin):
    project = factories.project(actor=admin, tasks=1)
    late, ani = factories.user(), factories.user()
    turn = factories.claim(late, project)
    Assignment.objects.filter(pk=turn.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    factories.submit(ani, factories.claim(ani, project))
    assert factories.submit(late, turn).assignment.state == "spare"
    assert frozen(admin, project).rows == 1
    assert frozen(admin, project).manifest["left_out"] == {"of_closed_tasks": 0, "spare": 1}
    with_spare = frozen(admin, project, spare=True)
    assert [row.get("spare", False) for row in rows_of(with_spare.folder)] == [False, True]
    assert with_spare.manifest["left_out"]["spare"] == 0


def test_tasks_closed_by_flags_are_left_out_and_listed_unless_asked_for(admin):
    project = factories.project(actor=admin, tasks=2, overlap=3)
    ani, budi, cici = (factories.user() for _ in range(3))
    held = [factories.claim(person, project) for person in (ani, budi, cici)]
    other = factories.submit(ani, held[0]).next
    for person, turn in zip((budi, cici), held[1:], strict=True):
        actions.flag_task(actor=person, assignment=turn, flag="unsafe", note="names a person")
    factories.submit(ani, other)
    made = frozen(admin, project)
    assert [row["task"] for row in rows_of(made.folder)] == [other.task_id]
    assert made.manifest["left_out"] == {"of_closed_tasks": 1, "spare": 0}
    assert made.manifest["flagged_tasks"] == [{"task": held[0].task_id, "flags": ["unsafe", "unsafe"]}]
    assert frozen(admin, project, reviewed=True).rows == 2
    turns = (frozen(admin, project, turns=True).folder / "turns.jsonl").read_text().splitlines()
    assert [json.loads(line)["reason"] for line in turns] == ["unsafe: names a person"] * 2
    assert list(export.export_turns(actor=admin, project=project)) == [line.encode() + b"\n" for line in turns]


def test_a_project_without_rankings_cannot_be_frozen(admin):
    with pytest.raises(Refusal, match="no rankings"):
        actions.freeze_snapshot(actor=admin, project=factories.project(actor=admin, tasks=1))
    assert Dataset.objects.count() == 0


# Exports


def slow_pairs(rows, ties):
    """The pairs of rankings read off their notation by hand: tiers between > and |, ties at =, * for all others."""
    for row in rows:
        levels = [
            [letter.strip() for letter in tier.split("=")] for tier in row["ranking"].replace("|", ">").split(">")
        ]
        levels = [[letter for letter in tier if letter] for tier in levels]
        levels = [tier for tier in levels if tier]
        letters = "ABCD"
        named = {letter for tier in levels for letter in tier}
        rest = [letter for letter in letters if letter not in named]
        levels = [rest if tier == ["*"] else tier for tier in levels]
        text = dict(zip(letters, row["completions"], strict=True))
        level_of = {letter: n for n, tier in enumerate(levels) for letter in tier}
        has_star = "*" in row["ranking"]
        for a, b in combinations(letters, 2):
            if a not in level_of or b not in level_of or (has_star and a in rest and b in rest):
                continue
            gap = level_of[b] - level_of[a]
            if ties == "rows":
                sign = ">" if gap > 0 else "<" if gap < 0 else "="
                yield row["prompt"], text[a], text[b], sign, float(abs(gap))
            elif gap:
                better, worse = (a, b) if gap > 0 else (b, a)
                yield row["prompt"], text[better], text[worse], float(abs(gap))
            elif ties == "both":
                yield row["prompt"], text[a], text[b], 0.0
                yield row["prompt"], text[b], text[a], 0.0


@pytest.mark.parametrize("ties", ["drop", "both", "rows"])
def test_pairs_agree_with_reading_the_notation_by_hand(admin, ties):
    dataset, _new = actions.freeze_snapshot(actor=admin, project=ranked_project(admin))
    lines = list(export.export_pairs(actor=admin, dataset=dataset, ties=ties, margin=True))
    columns = ("prompt", "completion_a", "completion_b", "label", "margin") if ties == "rows" else (
        "prompt", "chosen", "rejected", "margin",
    )  # fmt: skip
    found = Counter(tuple(json.loads(line)[column] for column in columns) for line in lines)
    assert found == Counter(slow_pairs(rows_of(dataset.folder), ties))
    counts = dataset.manifest["pairs"]
    assert sum(counts[ties].values()) == len(lines)
    assert sum(counts["tied"].values()) == 10


def test_a_tie_never_becomes_one_row_with_a_winner(admin):
    dataset, _new = actions.freeze_snapshot(actor=admin, project=ranked_project(admin, ["A = B = C = D"]))
    assert list(export.export_pairs(actor=admin, dataset=dataset, ties="drop")) == []
    both = [json.loads(line) for line in export.export_pairs(actor=admin, dataset=dataset, ties="both")]
    each_way = Counter((row["chosen"], row["rejected"]) for row in both)
    assert len(each_way) == 12
    assert all(each_way[b, a] == 1 for a, b in each_way)
    rows = [json.loads(line) for line in export.export_pairs(actor=admin, dataset=dataset, ties="rows")]
    assert {row["label"] for row in rows} == {"="}
    assert not any({"chosen", "rejected"} & row.keys() for row in rows)


def test_a_split_can_be_exported_alone_and_rows_can_be_traced_back(admin):
    dataset, _new = actions.freeze_snapshot(actor=admin, project=ranked_project(admin))
    by_split = {
        split: [
            json.loads(line) for line in export.export_pairs(actor=admin, dataset=dataset, ties="drop", split=split)
        ]
        for split in ("train", "heldout", None)
    }
    assert len(by_split["train"]) + len(by_split["heldout"]) == len(by_split[None])
    for split in ("train", "heldout"):
        assert {row["split"] for row in by_split[split]} == {split}
        assert len(by_split[split]) == dataset.manifest["pairs"]["drop"][split]
    ids = {row["ranking_id"] for row in rows_of(dataset.folder)}
    assert {row["ranking_id"] for row in by_split[None]} <= ids
    assert all(row["task"] and row["annotator"] for row in by_split[None])


def test_outputs_above_and_below_the_line_are_exported_for_kto(admin):
    dataset, _new = actions.freeze_snapshot(actor=admin, project=ranked_project(admin))
    rows = [json.loads(line) for line in export.export_acceptable(actor=admin, dataset=dataset)]
    assert {row["completion"]: row["label"] for row in rows} == {
        "A2": False, "B2": False, "C2": False, "D2": True,
        "A5": False, "B5": False, "C5": False, "D5": False,
    }  # fmt: skip


def test_chat_prompts_get_chat_completions(admin):
    dataset, _new = actions.freeze_snapshot(actor=admin, project=ranked_project(admin, ["A > B > C > D"], chat=True))
    row = json.loads(next(export.export_pairs(actor=admin, dataset=dataset, ties="drop")))
    assert row["prompt"] == [{"role": "user", "content": "Prompt 0"}]
    assert row["chosen"] == [{"role": "assistant", "content": "A0"}]


@pytest.mark.slow
def test_trl_understands_the_pairs(admin, tmp_path):
    from datasets import load_dataset
    from trl.data_utils import is_conversational

    for chat in (False, True):
        project = ranked_project(admin, chat=chat)
        dataset, _new = actions.freeze_snapshot(actor=admin, project=project)
        path = tmp_path / f"{chat}.jsonl"
        path.write_bytes(b"".join(export.export_pairs(actor=admin, dataset=dataset, ties="both", margin=True)))
        loaded = load_dataset("json", data_files=str(path), split="train", cache_dir=str(tmp_path / "cache"))
        assert {"prompt", "chosen", "rejected", "margin"} <= set(loaded.column_names)
        assert is_conversational(loaded[0]) == chat


def test_exports_need_the_right_and_a_fitting_data_set(jsonl, upload, admin):
    frozen, _new = actions.freeze_snapshot(actor=admin, project=ranked_project(admin))
    with pytest.raises(Refusal) as caught:
        export.export_pairs(actor=factories.user(), dataset=frozen, ties="drop")
    assert caught.value.status == 403
    with pytest.raises(Refusal, match="drop, both, rows"):
        export.export_pairs(actor=admin, dataset=frozen, ties="winner")
    uploaded, _new = upload(jsonl([{"text": "x"}]), "text")
    with pytest.raises(Refusal, match="Only a data set of rankings"):
        export.export_pairs(actor=admin, dataset=uploaded, ties="drop")
