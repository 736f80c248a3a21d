"""Pages of tasks: filters, many changed at once, known answers and their results, batches, the queue's order and scores from files."""

import json
import re

import pytest
from django.contrib.auth.models import Group
from django.urls import reverse

from labeling import actions, known_queries, task_queries
from labeling.actions.tasks import Known, NewTask, Place, add_tasks
from labeling.constraints import Constraints
from labeling.lanes import lane_of
from labeling.models import Batch, Project, Task
from labeling.ranking import WeakOrder
from people.models import AuditEntry
from tests import factories
from tests.labeling_pages.conftest import a_file, signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def project(admin) -> Project:
    """Six tasks: two in a batch, one for a person, one of higher priority, one sensitive, one plain."""
    made = factories.project(actor=admin)
    ana = factories.user(username="ana")
    batch = actions.create_batch(actor=admin, project=made, name="Round 1")
    places = [
        Place(batch=batch, score=0.2), Place(batch=batch, score=0.9), Place(lane=lane_of(ana)), Place(priority=5),
        Place(sensitive=True, lane=lane_of(None, sensitive=True)), Place(),
    ]  # fmt: skip
    rows = [NewTask(f"Prompt {n}", [("x", "one"), ("y", "two")], place=place, external_id=f"q{n}") for n, place in enumerate(places)]  # fmt: skip
    add_tasks(made, rows)
    made.refresh_from_db()
    return made


def address(project: Project, name: str = "project-tasks", *more) -> str:
    return reverse(name, args=[project.slug, *more])


def listed(response) -> list[int]:
    return [int(number) for number in re.findall(r">Prompt (\d+)</a>", response.content.decode())]


# The list


def test_filters_follow_what_the_project_uses(page, project):
    plain = factories.project(tasks=2)
    body = page.get(address(plain)).content.decode().partition('<form class="toolbar"')[2].partition("</form>")[0]
    assert [
        name for name in ("batch", "owner", "priority", "sensitive", "kind") if f'select name="{name}"' in body
    ] == []
    batch, ana = Batch.objects.get(), task_queries.owners(project)
    assert list(ana.values()) == ["ana"]
    for query, expected in [
        ({"batch": batch.pk}, [0, 1]), ({"batch": "none"}, [2, 3, 4, 5]), ({"owner": next(iter(ana))}, [2]),
        ({"owner": "all"}, [0, 1, 3, 4, 5]), ({"priority": 5}, [3]), ({"sensitive": "yes"}, [4]),
        ({"batch": batch.pk, "priority": 5}, []),
    ]:  # fmt: skip
        assert listed(page.get(address(project), query)) == expected, query


def test_the_list_is_sorted_by_score_priority_and_agreement(page, project, admin):
    assert listed(page.get(address(project), {"sort": "score"}))[:2] == [1, 0]
    assert listed(page.get(address(project), {"sort": "priority"}))[0] == 3
    tasks = list(project.tasks.order_by("pk"))
    actions.set_overlap(actor=admin, project=project, tasks=[tasks[0].pk, tasks[5].pk], overlap=2)
    for ranking, person in [("A > B", factories.user("researcher")), ("B > A", factories.user("researcher"))]:
        for task, said in [(tasks[5], ranking), (tasks[0], "A = B")]:
            turn = actions.claim_this_task(actor=person, task=task)
            shown = str(WeakOrder.parse(said, items=2).relabel([turn.display.index(n) for n in range(2)]))
            actions.submit_ranking(actor=person, assignment=turn, notation=shown, client_key=f"{person.pk} {task.pk}")
    response = page.get(address(project), {"sort": "agreement"})
    assert listed(response)[:2] == [5, 0]
    assert '<td class="num">−1.00</td>' in response.content.decode()


def test_a_task_that_went_on_because_people_disagree_is_found_as_contested(page, admin):
    project = factories.project(actor=admin, tasks=2, outputs=2, overlap=2, overlap_max=3)
    task = project.tasks.order_by("pk").first()
    for person, winner in [(factories.user("researcher"), 0), (factories.user("researcher"), 1)]:
        turn = actions.claim_this_task(actor=person, task=task)
        best = "AB"[turn.display.index(winner)]
        notation = f"{best} > {'B' if best == 'A' else 'A'}"
        actions.submit_ranking(actor=person, assignment=turn, notation=notation, client_key=str(person.pk))
    assert listed(page.get(address(project), {"contested": "yes"})) == [0]


# Many at once


def change(page, project, do, tasks="all", query="", **fields):
    which = {"which": "all"} if tasks == "all" else {"which": "ticked", "tasks": [task.pk for task in tasks]}
    return page.post(address(project, "project-tasks-change") + query, {"do": do, **which, **fields}, follow=True)


def test_ticked_tasks_are_given_to_a_person_and_everybody_else_gets_none_of_them(page, project, said):
    budi, tasks = factories.user(username="budi"), list(project.tasks.order_by("pk"))[:2]
    response = change(page, project, "assign", tasks, to=lane_of(budi))
    assert "2 tasks are for budi now." in said(response)
    assert {task.lane for task in project.tasks.filter(pk__in=[task.pk for task in tasks])} == {lane_of(budi)}
    project.refresh_from_db()
    urgent = project.tasks.get(priority=5)
    assert factories.submit(budi, factories.claim(budi, project), "A > B").next.task in tasks  # after the urgent one
    mine = {lane_of(budi)}
    other = factories.user()
    turn, met = factories.claim(other, project), []
    while turn:
        met.append(turn.task)
        turn = factories.submit(other, turn, "A > B").next
    assert urgent not in met
    assert met
    assert not mine & {task.lane for task in met}


def test_who_has_had_a_task_is_not_given_it_again_and_the_page_says_so(page, project, said):
    budi, (first, second) = factories.user("researcher", username="budi"), project.tasks.order_by("pk")[:2]
    turn = actions.claim_this_task(actor=budi, task=first)
    actions.skip_task(actor=budi, assignment=turn, reason="Not my field.")
    text = said(change(page, project, "assign", [first, second], to=lane_of(budi)))
    assert f"1 task is for budi now. Left out, for budi has had it already: task {first.pk}." in text
    first.refresh_from_db()
    assert first.lane == ""
    text = said(change(page, project, "assign", [first], to=lane_of(budi)))
    assert f"budi has had task {first.pk} already" in text


def test_all_that_match_the_filters_are_changed_and_the_filters_stay(page, project, said):
    batch = Batch.objects.get()
    response = change(page, project, "priority", query=f"?batch={batch.pk}", priority=7)
    assert "2 tasks have priority 7 now." in said(response)
    assert response.redirect_chain[-1][0].endswith(f"?batch={batch.pk}")
    assert list(project.tasks.filter(priority=7).order_by("pk").values_list("batch", flat=True)) == [batch.pk] * 2
    assert AuditEntry.objects.filter(verb="tasks.priority").count() == 1


def test_groups_overlap_batches_and_the_sensitive_mark(page, project, said):
    group = Group.objects.create(name="physicians")
    tasks = list(project.tasks.order_by("pk"))
    change(page, project, "assign", tasks[:1], to=lane_of(group))
    change(page, project, "overlap", tasks[:1], overlap=4)
    change(page, project, "sensitive", tasks[:1], sensitive="yes")
    change(page, project, "batch", tasks[5:], new_batch="Round 2")
    tasks[0].refresh_from_db()
    assert (tasks[0].lane, tasks[0].overlap, tasks[0].free_slots, tasks[0].sensitive) == (f"g{group.pk}!", 4, 4, True)
    assert Batch.objects.get(name="Round 2").tasks.get() == tasks[5]
    change(page, project, "batch", tasks[5:], batch="")
    assert not Batch.objects.get(name="Round 2").tasks.exists()


@pytest.mark.parametrize(
    ("do", "fields", "problem"),
    [
        ("priority", {"priority": 5000}, "from -1000 to 1000"),
        ("overlap", {"overlap": "x"}, "People per task"),
        ("assign", {"to": "u999999"}, "Give to"),
        ("batch", {"batch": "999999"}, "Batch"),
        ("", {}, "Choose what to do"),
    ],
)
def test_a_change_that_cannot_be_is_refused_and_changes_nothing(page, project, said, do, fields, problem):
    before = list(project.tasks.order_by("pk").values())
    response = change(page, project, do, **fields)
    assert response.status_code == 400
    assert problem in said(response)
    assert list(project.tasks.order_by("pk").values()) == before


def test_nothing_ticked_is_told(page, project, said):
    response = change(page, project, "priority", [], priority=1)
    assert "Choose at least one task." in said(response)


def test_researchers_see_tasks_and_change_none(researcher, project):
    client = signed_in(researcher)
    body = client.get(address(project)).content.decode()
    assert listed(client.get(address(project))) == [0, 1, 2, 3, 4, 5]
    assert "Change several tasks" not in body
    assert change(client, project, "priority", priority=3).status_code == 403


# Known answers


def test_an_answer_is_said_on_the_task_s_page_and_taken_back(page, admin, said):
    project = factories.project(actor=admin, tasks=1)
    task = project.tasks.get()
    where = address(project, "project-task-known", task.pk)
    page.post(where, {"kind": "gold", "constraints": "A > D, B >= C", "explanation": "A says it."})
    text = said(page.get(address(project, "project-task", task.pk)))
    assert "A > D, B >= C" in text
    assert "A must beat D" in text
    task.refresh_from_db()
    assert (task.kind, task.position) == ("gold", None)
    page.post(where, {"unset": "list"})
    task.refresh_from_db()
    assert task.kind == "normal"
    assert task.position is not None


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("A > D, B = C", ["A must beat D", "B and C must tie"]),
        ("a >= b", ["A may not lose to B"]),
        ("A > ", ["expected a letter from A to D"]),
        ("A > B, B > A", ["No ranking can keep all of this"]),
        ("A ? B", ["Character 3", "found “?”"]),
    ],
)
def test_what_is_typed_is_told_in_words_or_where_it_goes_wrong(page, admin, said, typed, shown):
    project = factories.project(actor=admin, tasks=1)
    look = address(project, "project-task-look", project.tasks.get().pk)
    text = said(page.get(look, {"constraints": typed}))
    assert all(part in text for part in shown)


def test_the_consensus_or_what_was_decided_can_be_taken_as_the_answer(page, admin):
    project = factories.project(actor=admin, tasks=1, overlap=3)
    task = project.tasks.get()
    for person in (factories.user("researcher"), factories.user("researcher"), factories.user("researcher")):
        turn = actions.claim_this_task(actor=person, task=task)
        said_of_it = WeakOrder.parse("D > A = B > C", items=4).relabel([turn.display.index(n) for n in range(4)])
        actions.submit_ranking(actor=person, assignment=turn, notation=str(said_of_it), client_key=str(person.pk))
    where = address(project, "project-task", task.pk)
    assert 'value="D &gt; A = B &gt; C"' in page.get(where, {"answer": "consensus"}).content.decode()
    actions.adjudicate(actor=admin, task=task, notation="A > B > C > D", reason="D is made up.")
    body = page.get(where, {"answer": "decided"}).content.decode()
    assert 'value="A &gt; B &gt; C &gt; D"' in body
    assert "Kept in full by 0 of 3 rankings so far." in body


@pytest.mark.parametrize(
    ("order", "constraints"),
    [("C > B = D > A", "C > B = D > A"), ("C > B | D > A", "C > B > D > A"), ("C > B > *", "C > B, B > A, B > D"), ("A = B", "A = B")],
)  # fmt: skip
def test_an_order_says_as_constraints_what_it_says_of_pairs(order, constraints):
    read = WeakOrder.parse(order, items=4)
    said = known_queries.as_constraints(read)
    assert said == constraints
    assert Constraints.parse(said, items=4).kept(read) == 1


def with_known(admin, kind: str, count: int = 1, **settings) -> Project:
    project = factories.project(actor=admin, tasks=3, outputs=2, **settings)
    rows = [NewTask(f"Known {n}", [("x", "one"), ("y", "two")], place=Place(known=Known(kind, Constraints.parse("A > B", 2), "", admin))) for n in range(count)]  # fmt: skip
    add_tasks(project, rows)
    project.refresh_from_db()
    return project


def test_the_list_says_how_often_each_answer_was_kept_and_by_whom(page, admin, said):
    project = with_known(admin, "practice")
    assert "nobody yet" in said(page.get(address(project, "project-known")))
    for person, first in [(factories.user(username="ani"), 0), (factories.user(username="budi"), 1)]:
        turn = factories.claim(person, project)
        assert turn.task.kind == Task.Kind.PRACTICE
        best = "AB"[turn.display.index(first)]
        factories.submit(person, turn, f"{best} > {'B' if best == 'A' else 'A'}")
    text = said(page.get(address(project, "project-known")))
    assert "A > B 2 50 %" in text
    assert "1 of 2 kept all ani 100 % budi 0 %" in text


def test_people_meet_practice_tasks_in_the_order_that_is_set(page, admin):
    project = with_known(admin, "practice", count=3)
    tasks = list(project.tasks.filter(kind="practice").order_by("pk"))
    page.post(address(project, "project-known-order"), {"move": f"up:{tasks[2].pk}"})
    page.post(address(project, "project-known-order"), {"move": f"down:{tasks[0].pk}"})
    for wrong in ("up:x", f"up:{project.tasks.filter(kind='normal').first().pk}"):
        assert page.post(address(project, "project-known-order"), {"move": wrong}).status_code == 404
    order = [tasks[2], tasks[0], tasks[1]]
    assert [known.task for known in known_queries.known_tasks(project)["practice"]] == order
    person = factories.user()
    for task in order:
        turn = factories.claim(person, project)
        assert turn.task == task
        factories.submit(person, turn, "A > B")


def test_an_empty_list_of_known_answers_says_what_they_are_for(page, said):
    assert "No known answer yet" in said(page.get(address(factories.project(tasks=1), "project-known")))


def test_gold_tasks_that_are_never_mixed_in_are_pointed_out(page, admin, said):
    assert "mix in none of them" in said(page.get(address(with_known(admin, "gold", gold_percent=0), "project-known")))


# Batches


def test_a_batch_is_made_renamed_paused_and_resumed(page, project, said):
    page.post(address(project, "project-batch-make"), {"name": "Round 2"})
    batch = Batch.objects.get(name="Round 1")
    where = address(project, "project-batch", batch.pk)
    page.post(where, {"do": "rename", "name": "First round"})
    assert "First round open 0 of 2" in said(page.get(address(project, "project-batches")))
    text = said(page.post(where, {"do": "pause"}, follow=True))
    assert "nobody gets one of its tasks (2)" in text
    assert set(batch.tasks.values_list("state", flat=True)) == {"held"}
    page.post(where, {"do": "resume"})
    assert set(batch.tasks.values_list("state", flat=True)) == {"open"}
    assert page.post(where, {"do": "rename", "name": "Round 2"}).status_code == 400


def test_the_page_of_batches_counts_rankings_and_what_stands_in_none(page, project, said):
    person = factories.user("researcher")
    task = Batch.objects.get().tasks.order_by("pk").first()
    factories.submit(person, actions.claim_this_task(actor=person, task=task), "A > B")
    text = said(page.get(address(project, "project-batches")))
    assert "Round 1 open 1 of 2 1 of 2 0" in text
    assert "in no batch 0 of 4 0 of 4 1" in text  # the next one, which came with the submit


# The order of the queue


def test_scores_from_a_file_put_the_queue_in_their_order(page, project, admin):
    actions.change_project(actor=admin, project=project, random_percent=0)
    tasks = list(project.tasks.order_by("pk"))
    rows = [{"task": tasks[5].pk, "score": 5}, {"id": "q0", "score": 7.5}, {"task": tasks[1].pk, "score": None}]
    file = a_file("scores.jsonl", "\n".join(map(json.dumps, rows)))
    response = page.post(address(project, "project-order"), {"do": "scores", "file": file}, follow=True)
    assert "3 scores were taken" in response.content.decode()
    project.refresh_from_db()
    assert project.active_order
    waiting = (
        project.tasks.filter(lane="", priority=0).order_by("position").values_list("prompt__external_id", flat=True)
    )
    assert list(waiting) == ["q0", "q5", "q1"]


def test_all_rows_of_scores_that_make_no_sense_are_named(page, project, said):
    other = factories.project(tasks=1).tasks.get()
    first = project.tasks.first()
    pasted = f"task,score\n{first.pk},high\n{other.pk},1\nx,1\n{first.pk},inf\n"
    response = page.post(address(project, "project-order"), {"do": "scores", "text": pasted})
    assert response.status_code == 400
    text = said(response)
    for problem in (
        "Line 2: “score” must be a number",
        f"Line 3: “task”: there is no task {other.pk}",
        "Line 4: “task”",
        "Line 5: “score” must be",
    ):
        assert problem in text
    assert set(project.tasks.values_list("score", flat=True)) == {0.2, 0.9, None}
    assert "id" in said(page.post(address(project, "project-order"), {"do": "scores", "text": '{"score": 1}'}))


def test_the_order_is_switched_and_its_random_share_set(page, project):
    where = address(project, "project-order")
    page.post(where, {"do": "score"})
    project.refresh_from_db()
    assert project.active_order
    page.post(where, {"do": "share", "random_percent": 100})
    assert set(project.tasks.filter(position__isnull=False).values_list("chosen", flat=True)) == {"random"}
    page.post(where, {"do": "arrival"})
    project.refresh_from_db()
    assert not project.active_order
    assert page.post(where, {"do": "share", "random_percent": 400}).status_code == 400


def test_what_waits_is_downloaded_for_a_model_that_scores_it(page, project):
    person = factories.user("researcher")
    task = Batch.objects.get().tasks.order_by("pk").first()
    factories.submit(person, actions.claim_this_task(actor=person, task=task), "A > B")
    content = b"".join(page.get(address(project, "project-to-score")).streaming_content).decode()
    rows = [json.loads(line) for line in content.splitlines()]
    assert [row["prompt"] for row in rows] == [f"Prompt {n}" for n in (1, 2, 4, 5)]  # 3 came with the submit
    assert rows[0] == {"task": rows[0]["task"], "prompt": "Prompt 1", "completions": ["x", "y"], "score": 0.9}
