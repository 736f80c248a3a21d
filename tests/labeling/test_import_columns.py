"""What a row of an import may say beside prompt, outputs and rankings: where its task stands, what is known about it, answers and comments."""

import json
from io import StringIO

import pytest
from django.contrib.auth.models import Group
from django.core.management import call_command

from labeling import actions, export, review_queries
from labeling.actions import copying
from labeling.datasets.store import rows_of
from labeling.importing.load import import_prompts, look
from labeling.lanes import lane_of
from labeling.models import Batch, Ranking, Task
from labeling.quality import Quality
from labeling.questions import PRESETS
from labeling.review_queries import Wanted
from people.errors import Refusal
from tests import factories
from training.engine import data

pytestmark = pytest.mark.django_db

TWO = {"prompt": "Why?", "completions": ["Because.", "So there."]}


@pytest.fixture
def project(admin):
    return factories.project(actor=admin, questions=PRESETS["quality"].definition())


@pytest.fixture
def bring(admin, project):
    def bring(path, **options):
        report = import_prompts(actor=admin, project=project, path=path, **options)
        project.refresh_from_db()
        return report

    return bring


def test_a_row_says_where_its_task_stands(bring, jsonl, project):
    ana = factories.user(username="ana")
    rows = [
        {**TWO, "priority": 3, "score": 0.5, "overlap": 4, "batch": "Round 1", "assignee": "ana", "sensitive": True},
        {**TWO, "prompt": "And?", "batch": 2, "priority": "-1"},
    ]
    report = bring(jsonl(rows))
    assert report.placed == 2
    first, second = project.tasks.order_by("pk")
    assert (first.priority, first.score, first.overlap, first.free_slots) == (3, 0.5, 4, 4)
    assert (first.batch.name, first.sensitive, first.lane) == ("Round 1", True, lane_of(ana, sensitive=True))
    assert (second.batch.name, second.priority, second.lane) == ("2", -1, "")
    assert project.priorities == [3, 0, -1]
    assert lane_of(ana, sensitive=True) in project.lanes


def test_a_group_gets_what_is_theirs(bring, jsonl, project):
    group = Group.objects.create(name="physicians")
    bring(jsonl([{**TWO, "group": "physicians"}]))
    assert project.tasks.get().lane == lane_of(group)


def test_a_task_that_is_there_already_stays_where_it_is(bring, jsonl, project):
    bring(jsonl([{**TWO, "priority": 3}]))
    report = bring(jsonl([{**TWO, "priority": 9, "batch": "Late"}], "again.jsonl"))
    assert (report.tasks_known, report.tasks_new) == (1, 0)
    assert "stays where it is" in " ".join(report.sentences())
    assert project.tasks.get().priority == 3


def test_known_answers_come_with_their_kind_and_stand_in_no_queue(bring, jsonl, project):
    rows = [
        {**TWO, "answer": "A > B"},
        {**TWO, "prompt": "And?", "kind": "practice", "answer": "b >= a", "explanation": "So there is right."},
        {**TWO, "prompt": "Then?", "kind": "normal"},
    ]
    report = bring(jsonl(rows))
    assert report.known_answers == 2
    gold, practice, normal = project.tasks.order_by("pk")
    assert (gold.kind, gold.gold_answer.constraints) == ("gold", "A > B")
    assert (practice.kind, practice.gold_answer.constraints) == ("practice", "B >= A")
    assert practice.gold_answer.explanation == "So there is right."
    assert (normal.kind, gold.position, practice.position) == ("normal", None, None)
    assert project.known_kinds == ["gold", "practice"]
    assert bring(jsonl(rows, "twice.jsonl")).changes_nothing


def test_rankings_of_a_task_with_a_known_answer_do_not_complete_it(bring, jsonl, project):
    bring(jsonl([{**TWO, "answer": "A > B", "ranking": "A > B", "annotator": "x"}]))
    task = project.tasks.get()
    assert (task.state, task.submitted, task.free_slots) == (Task.State.OPEN, 1, 0)


def test_rankings_bring_answers_comments_and_seconds(bring, jsonl, project):
    said = {"outputs": {"B": {"quality": 6}}}
    rankings = [{"annotator": "x", "ranking": "B > A", "answers": said, "comment": "B is kind.", "seconds": 12.5}]
    report = bring(jsonl([{**TWO, "rankings": rankings}]))
    assert (report.answered, report.commented) == (1, 1)
    ranking = Ranking.objects.get()
    best = ranking.tiers[0][0]
    assert ranking.answers == {"outputs": {str(best): {"quality": 6}}}
    assert (ranking.comment, ranking.seconds) == ("B is kind.", 12.5)


def test_a_table_holds_the_same(bring, tmp_path, project):
    factories.user(username="ana")
    table = tmp_path / "rows.csv"
    answers = json.dumps({"outputs": {"A": {"quality": 2}}}).replace('"', '""')
    table.write_text(
        "prompt,completion_1,completion_2,batch,priority,sensitive,assignee,kind,answer,explanation,ranking,annotator,answers,comment\n"
        f'Why?,a,b,Round 1,2,yes,ana,,,,A > B,x,"{answers}",Fine.\n'
        "And?,a,b,,,no,,qualification,B > A,,,,,\n"
    )
    bring(table)
    first, second = project.tasks.order_by("pk")
    assert (first.batch.name, first.priority, first.sensitive) == ("Round 1", 2, True)
    assert list(Ranking.objects.get().answers["outputs"].values()) == [{"quality": 2}]
    assert (second.kind, second.sensitive, second.batch) == ("qualification", False, None)


def test_all_that_is_wrong_with_a_row_is_told_by_its_columns_and_nothing_is_imported(bring, jsonl, project):
    rows = [
        {**TWO, "priority": 1.5, "score": "high", "overlap": 0, "sensitive": "perhaps", "batch": "x" * 121},
        {**TWO, "assignee": "nobody", "group": "none"},
        {**TWO, "assignee": "nobody", "ranking": "A > B", "answers": {"outputs": {"A": {"quality": 9, "colour": 1}}}},
        {**TWO, "kind": "silver", "answer": "A > B"},
        {**TWO, "answer": "A > C"},
        {**TWO, "kind": "gold"},
        {**TWO, "explanation": "Why so"},
        {"prompt": "Alone", "priority": 1},
        {**TWO, "ranking": "A > B", "comment": 5, "seconds": -1},
        {"prompt": " ", "completions": ["one"], "score": float("nan")},
        {**TWO, "answer": "A > B", "explanation": "x" * 5001},
    ]
    path = jsonl(rows)
    found = look(project, path)
    wanted = {
        1: ["“priority” must be a whole number", "“score” must be a number", "“overlap” must be", "“sensitive” must be", "“batch” has more"],
        2: ["give “assignee” or “group”"],
        3: ["nobody called “nobody”", "from 1 to 7", "does not ask this"],
        4: ["“kind” must be one of: gold, practice, qualification"],
        5: ["answer “A > C”: Character 5", "from A to B"],
        6: ["needs an “answer”"],
        7: ["no “answer” to explain"],
        8: ["this row has no completions"],
        9: ["“comment” must be a text", "“seconds” must be 0 or more"],
        10: ["“prompt” is empty", "a task needs 2 to 9", "“score” must be a number"],
        11: ["“explanation” has more than 5000 characters"],
    }  # fmt: skip
    reasons = {problem.line: problem.reason for problem in found.problems}
    assert reasons.keys() == wanted.keys()
    for line, parts in wanted.items():
        for part in parts:
            assert part in reasons[line], (line, part)
    with pytest.raises(Refusal):
        bring(path)
    assert not project.tasks.exists()
    assert not Batch.objects.exists()


def test_someone_who_does_not_take_part_can_be_given_nothing(bring, jsonl, admin, project):
    ana = factories.user(username="ana")
    actions.change_project(actor=admin, project=project, open_to_all=False)
    project.refresh_from_db()
    rows = [{**TWO, "assignee": "ana"}]
    with pytest.raises(Refusal, match="takes part"):
        bring(jsonl(rows))
    actions.add_members(actor=admin, project=project, users=[ana])
    assert bring(jsonl(rows)).tasks_new == 1


def test_new_tasks_belong_to_the_batch_of_the_import_unless_their_row_names_another(bring, jsonl, project, admin):
    paused = actions.create_batch(actor=admin, project=project, name="Round 2")
    actions.pause_batch(actor=admin, batch=paused)
    rows = [TWO, {**TWO, "prompt": "And?", "batch": "Own"}, {"prompt": "No task"}]
    bring(jsonl(rows), batch=" Round 2 ")
    assert list(project.tasks.order_by("pk").values_list("batch__name", "state")) == [
        ("Round 2", "held"),
        ("Own", "open"),
    ]
    bring(jsonl([{"prompt": "Prompts alone"}], "prompts.jsonl"), batch="Never made")
    assert not Batch.objects.filter(name="Never made").exists()
    with pytest.raises(Refusal, match="longer than"):
        bring(jsonl([TWO]), batch="x" * 121)


def test_the_command_takes_a_batch_and_tells_where_tasks_stand(jsonl, project, admin):
    out = StringIO()
    path = jsonl([{**TWO, "priority": 1}, {**TWO, "prompt": "And?", "answer": "A = B"}])
    call_command("import_prompts", project.slug, path, "--batch", "Round 1", "--actor", admin.username, stdout=out)
    assert Batch.objects.get(name="Round 1").tasks.count() == 2
    assert "1 row says who gets its task" in out.getvalue()
    assert "1 row holds a task with a known answer" in out.getvalue()


def test_an_export_with_batches_answers_and_comments_can_be_imported_into_a_copy(
    bring, jsonl, project, admin, tmp_path
):
    said = {"task": {}, "outputs": {"A": {"quality": 2}, "B": {"quality": 6}}}
    rankings = [{"annotator": "x", "ranking": "B > A", "answers": said, "comment": "B is kind."}]
    bring(jsonl([{**TWO, "batch": "Round 1", "rankings": rankings}]))
    dataset, _new = actions.freeze_snapshot(actor=admin, project=project)
    path = tmp_path / "export.jsonl"
    path.write_bytes(b"".join(export.export_rows(actor=admin, dataset=dataset)))
    copy = copying.copy_project(actor=admin, project=project, name="The copy")
    import_prompts(actor=admin, project=copy, path=path)
    task, ranking = copy.tasks.get(), Ranking.objects.get(assignment__project=copy)
    by_text = {item.completion.text: ranking.answers["outputs"][str(item.completion_id)] for item in task.items.all()}
    assert by_text == {"Because.": {"quality": 2}, "So there.": {"quality": 6}}
    assert (task.batch.name, ranking.comment) == ("Round 1", "B is kind.")


# Columns that mean nothing here


def test_other_columns_are_kept_with_the_prompt_told_and_travel_in_snapshots(bring, jsonl, project, admin, tmp_path):
    rows = [{**TWO, "topic": "law", "year": 2024, "rankings": [{"annotator": "ani", "ranking": "A > B"}]}]
    rows += [{"prompt": "And?", "topic": "food", "vector": [1, 2], "note": "x" * 1001, "empty": ""}]
    report = bring(jsonl(rows))
    assert (report.kept_columns, report.unkept_columns) == (["topic", "year"], ["vector", "note"])
    assert any(said.endswith("topic, year.") for said in report.sentences())
    assert any(said.endswith("vector, note.") for said in report.sentences())
    assert [prompt.meta for prompt in project.prompts.order_by("pk")] == [
        {"topic": "law", "year": 2024},
        {"topic": "food"},
    ]
    dataset, _new = actions.freeze_snapshot(actor=admin, project=project)
    (row,) = rows_of(dataset.folder)
    assert row["meta"] == {"topic": "law", "year": 2024}
    assert [read.ranking for read in data.rows(dataset.folder, ("rankings",))] == ["A > B"]
    other = factories.project(actor=admin)
    again = import_prompts(actor=admin, project=other, path=jsonl([row], "again.jsonl"))
    assert (again.kept_columns, again.unkept_columns) == (["topic", "year"], [])
    assert other.prompts.get().meta == row["meta"]


def test_columns_of_a_table_part_quality_and_narrow_review(bring, tmp_path, project):
    path = tmp_path / "rows.csv"
    lines = ["prompt,completion_1,completion_2,ranking,annotator,topic,a__b"]
    for n, topic in enumerate(["law", "food", "art"]):
        lines += [f"Why {n}?,Because.,So there.,A > B,{name},{topic},{n % 2}" for name in ("ani", "budi")]
    path.write_text("\n".join(lines) + "\n")
    report = bring(path)
    assert report.kept_columns == ["topic", "a__b"]
    assert sorted(Quality(project)["slices"]["topic"]) == ["art", "food", "law"]
    assert review_queries.slices(project) == {"topic": ["art", "food", "law"], "a__b": ["0", "1"]}
    assert len(review_queries.in_order(project, Wanted("shared", slices={"topic": "law"}))) == 1
    assert len(review_queries.in_order(project, Wanted("shared", slices={"a__b": "0"}))) == 2


def test_a_line_has_one_number(jsonl, project):
    report = look(project, jsonl([{"prompt": "fine"}, '{"prompt": ']))
    (problem,) = report.problems
    assert str(problem) == "Line 2: this is no JSON: Expecting value (character 13)"
