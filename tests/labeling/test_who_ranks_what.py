"""Who gets which task and when: overlap, priorities, lanes, batches, scores. Many tasks at a time; nobody misses one or gets it twice."""

import json
import random
from collections import Counter
from io import StringIO

import pytest
from django.contrib.auth.models import Group
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from labeling import actions, queries
from labeling.actions.queue import mix
from labeling.actions.tasks import Place, add_tasks
from labeling.batch_queries import batch_progress
from labeling.identity import in_random_share
from labeling.models import Assignment, Project, Task
from people.actions import change_role, deactivate
from people.errors import Refusal
from people.models import AuditEntry
from tests import factories

from .turns import check_slots

State = Task.State
pytestmark = pytest.mark.django_db


def ids(project: Project) -> list[int]:
    return list(project.tasks.order_by("pk").values_list("pk", flat=True))


def rank_all(person, project, most=1000) -> list[int]:
    """The tasks that a person gets until there is none left."""
    seen, assignment = [], actions.claim_task(actor=person, project=project)
    while assignment and len(seen) < most:
        seen.append(assignment.task_id)
        assignment = factories.submit(person, assignment, "A > B > C > D").next
    return seen


# Overlap of tasks


def test_more_people_are_asked_about_finished_tasks_and_fewer_about_others(ana, ben, admin):
    project = factories.project(tasks=4, overlap=1)
    first, second, third, fourth = ids(project)
    rank_all(ana, project, most=2)
    assert actions.set_overlap(actor=admin, project=project, tasks=[first, third], overlap=3).tasks == 2
    check_slots(project)
    assert list(project.tasks.order_by("pk").values_list("overlap", "state")) == [
        (3, "open"), (1, "complete"), (3, "open"), (1, "open"),
    ]  # fmt: skip
    assert set(rank_all(ben, project)) == {first, third, fourth}
    actions.set_overlap(actor=admin, project=project, tasks=[first, third, second], overlap=1)
    check_slots(project)
    # Two have ranked the first, ana holds the third and ben has ranked it: nothing of that is taken away.
    assert dict(project.tasks.values_list("pk", "overlap")) == {first: 2, second: 1, third: 2, fourth: 1}


def test_overlap_is_refused_where_it_makes_no_sense(ana, admin):
    project = factories.project(tasks=2)
    first, second = ids(project)
    actions.set_gold(actor=admin, task=project.tasks.get(pk=first), kind="gold", constraints="A > B")
    for tasks, overlap, said in [
        ([second], 0, "from 1 to 100"),
        ([first, second], 2, f"answer to task {first} is known"),
        ([], 2, "at least one task"),
        ([second, 10**9], 2, "does not belong"),
    ]:
        with pytest.raises(Refusal, match=said):
            actions.set_overlap(actor=admin, project=project, tasks=tasks, overlap=overlap)
    with pytest.raises(Refusal) as caught:
        actions.set_overlap(actor=ana, project=project, tasks=[second], overlap=2)
    assert caught.value.status == 403


# Priorities


def test_urgent_tasks_come_first_even_to_who_has_walked_past_them(ana, ben, admin):
    project = factories.project(tasks=4, overlap=2)
    first, second, third, fourth = ids(project)
    assert rank_all(ana, project, most=2) == [first, second]
    actions.set_priority(actor=admin, project=project, tasks=[first, fourth], priority=5)
    project.refresh_from_db()
    assert project.priorities == [5, 0]
    assert rank_all(ana, project) == [third, fourth]  # the third was held
    assert rank_all(ben, project) == [first, fourth, second, third]
    actions.set_priority(actor=admin, project=project, tasks=[first, fourth], priority=0)
    project.refresh_from_db()
    assert project.priorities == [0]
    check_slots(project)


def test_a_priority_has_its_bounds(admin):
    project = factories.project(tasks=1)
    with pytest.raises(Refusal, match="from -1000 to 1000"):
        actions.set_priority(actor=admin, project=project, tasks=ids(project), priority=5000)


# Lanes


def test_tasks_assigned_to_a_person_or_a_group_come_to_them_first_and_to_nobody_else(ana, ben, admin):
    project = factories.project(tasks=6)
    group = Group.objects.create(name="Speakers of Javanese")
    cem = factories.user()
    cem.groups.add(group)
    ben.groups.add(group)
    first, _second, third, fourth, fifth, sixth = ids(project)
    actions.assign_tasks(actor=admin, project=project, tasks=[fifth, third], to=ana)
    actions.assign_tasks(actor=admin, project=project, tasks=[sixth], to=group)
    project.refresh_from_db()
    assert project.lanes == ["", f"g{group.pk}", f"u{ana.pk}"]
    assert rank_all(cem, project, most=2) == [sixth, first]
    assert rank_all(ben, project) == [fourth]  # cem holds the second
    assert rank_all(ana, project) == [third, fifth]
    check_slots(project)


def test_what_is_taken_back_comes_to_those_who_had_walked_by(ana, ben, admin):
    project = factories.project(tasks=3)
    first, *_others = ids(project)
    actions.assign_tasks(actor=admin, project=project, tasks=[first], to=ana)
    assert first not in rank_all(ben, project)
    assert actions.claim_task(actor=ben, project=project) is None
    actions.assign_tasks(actor=admin, project=project, tasks=[first], to=None)
    project.refresh_from_db()
    assert project.lanes == [""]
    assert rank_all(ben, project) == [first]


def test_tasks_are_assigned_to_people_who_take_part_alone(ana, admin):
    project = factories.project(tasks=1, open_to_all=False)
    with pytest.raises(Refusal, match="does not take part"):
        actions.assign_tasks(actor=admin, project=project, tasks=ids(project), to=ana)
    actions.add_members(actor=admin, project=project, users=[ana])
    assert actions.assign_tasks(actor=admin, project=project, tasks=ids(project), to=ana).tasks == 1


def test_tasks_of_who_leaves_the_project_go_back_to_everybody(ana, ben, admin):
    project = factories.project(tasks=2, open_to_all=False)
    actions.add_members(actor=admin, project=project, users=[ana, ben])
    first, second = ids(project)
    actions.assign_tasks(actor=admin, project=project, tasks=[first], to=ana)
    assert rank_all(ben, project) == [second]
    actions.remove_members(actor=admin, project=project, users=[ana])
    check_slots(project)
    assert rank_all(ben, project) == [first]


def test_whose_account_is_closed_leaves_no_tasks_behind_either(ana, ben, admin):
    project = factories.project(tasks=2)
    first, second = ids(project)
    other_admin = factories.admin()
    actions.assign_tasks(actor=admin, project=project, tasks=[first], to=ana)
    actions.set_sensitive(actor=admin, project=project, tasks=[first], sensitive=True)
    deactivate(actor=admin, person=ana)
    assert AuditEntry.objects.get(verb="deactivate_person").data == {"tasks_taken_back": 1}
    assert set(rank_all(ben, project)) == {first, second}
    check_slots(project)

    closed = factories.project(tasks=1, open_to_all=False)
    actions.assign_tasks(actor=admin, project=closed, tasks=ids(closed), to=other_admin)
    change_role(actor=admin, person=other_admin, role="annotator")
    assert closed.tasks.get().lane == ""


def test_an_assigned_task_is_not_taken_out_of_turn_by_others(admin):
    ana, ben = factories.user("researcher"), factories.user("researcher")
    project = factories.project(tasks=2)
    task = project.tasks.first()
    actions.assign_tasks(actor=admin, project=project, tasks=[task.pk], to=ana)
    task.refresh_from_db()
    assert queries.may_rank_task(ana, task)
    assert not queries.may_rank_task(ben, task)
    with pytest.raises(Refusal, match="not given to you"):
        actions.claim_this_task(actor=ben, task=task)
    assert actions.claim_this_task(actor=ana, task=task)


def test_sensitive_tasks_go_in_their_turn_to_who_takes_such(ana, ben, admin):
    project = factories.project(tasks=4, overlap=2)
    first, second, third, fourth = ids(project)
    # All have new places then: the sensitive ones stand behind the others, in their order.
    actions.set_sensitive(actor=admin, project=project, tasks=[second], sensitive=True)
    actions.set_priority(actor=admin, project=project, tasks=[first, second, third, fourth], priority=1)
    project.refresh_from_db()
    assert project.lanes == ["", "!"]
    actions.accept_warning(actor=ana, project=project, takes_sensitive=False)
    assert rank_all(ana, project) == [first, third, fourth]
    assert Counter(rank_all(ben, project)) == Counter([first, second, third, fourth])
    actions.accept_warning(actor=ana, project=project, takes_sensitive=True)
    assert rank_all(ana, project) == [second]
    actions.set_sensitive(actor=admin, project=project, tasks=[second, first], sensitive=False)
    project.refresh_from_db()
    assert (project.lanes, project.tasks.filter(sensitive=True).count()) == ([""], 0)
    check_slots(project)


def test_sensitive_tasks_stand_in_one_queue_with_the_others(ben, admin):
    project = factories.project()
    add_tasks(
        project, [factories.task(n, place=Place(lane="!" if n % 2 else "", sensitive=bool(n % 2))) for n in range(6)]
    )
    project.refresh_from_db()
    assert rank_all(ben, project) == ids(project)


def test_tasks_keep_their_order_when_they_are_given_away_sensitive_or_not(ana, ben, admin):
    project = factories.project(actor=admin)
    add_tasks(
        project, [factories.task(n, place=Place(lane="!" if n % 2 else "", sensitive=bool(n % 2))) for n in range(6)]
    )
    every = ids(project)
    standing = list(project.tasks.order_by("position").values_list("pk", flat=True))
    for to, lanes in ((ana, {f"u{ana.pk}", f"u{ana.pk}!"}), (ben, {f"u{ben.pk}", f"u{ben.pk}!"}), (None, {"", "!"})):
        actions.assign_tasks(actor=admin, project=project, tasks=every, to=to)
        assert list(project.tasks.order_by("position").values_list("pk", flat=True)) == standing
        assert set(project.tasks.values_list("lane", "sensitive")) == {(lane, lane.endswith("!")) for lane in lanes}
    actions.assign_tasks(actor=admin, project=project, tasks=every[:3], to=ana)
    for sensitive in (True, False):
        actions.set_sensitive(actor=admin, project=project, tasks=every, sensitive=sensitive)
        mark = "!" * sensitive
        assert set(project.tasks.values_list("lane", flat=True)) == {mark, f"u{ana.pk}{mark}"}
    check_slots(project)


def test_before_the_warning_is_answered_nobody_gets_a_sensitive_task(ana, admin):
    project = factories.project(tasks=2, content_warning="Insults.")
    sensitive, other = ids(project)
    actions.set_sensitive(actor=admin, project=project, tasks=[sensitive], sensitive=True)
    project.refresh_from_db()
    assert rank_all(ana, project) == [other]
    assert queries.standing(ana.pk, project)["warning"] == "Insults."
    actions.accept_warning(actor=ana, project=project, takes_sensitive=True)
    assert rank_all(ana, project) == [sensitive]


# Batches


def test_a_paused_batch_waits_and_what_is_held_of_it_is_finished(admin):
    ana, ben = factories.user("researcher"), factories.user("researcher")
    project = factories.project(tasks=4, overlap=2)
    first, second, third, fourth = ids(project)
    batch = actions.create_batch(actor=admin, project=project, name=" Round 1 ")
    assert batch.name == "Round 1"
    actions.put_in_batch(actor=admin, project=project, tasks=[first, second], batch=batch)
    held = factories.claim(ana, project)  # the third: those of the batch have joined anew
    factories.submit(ben, actions.claim_this_task(actor=ben, task=Task.objects.get(pk=first)))
    mine = actions.claim_this_task(actor=ana, task=Task.objects.get(pk=first))
    assert actions.pause_batch(actor=admin, batch=batch).tasks == 2
    check_slots(project)
    assert dict(project.tasks.values_list("pk", "state"))[second] == State.HELD
    assert factories.submit(ana, mine).assignment.state == Assignment.State.SUBMITTED
    assert Task.objects.get(pk=first).state == State.COMPLETE
    assert second not in rank_all(ben, project) + rank_all(factories.user(), project)
    found, _none = batch_progress(project)
    assert (found.tasks, found.complete, found.ranked, found.wanted, found.batch.paused) == (2, 1, 2, 4, True)
    actions.resume_batch(actor=admin, batch=batch)
    check_slots(project)
    assert second in rank_all(ben, project)
    assert held.task_id in (third, fourth)


def test_a_slot_given_back_in_a_paused_batch_stays_out_of_the_queue(ana, admin):
    project = factories.project(tasks=1)
    batch = actions.create_batch(actor=admin, project=project, name="Round 1")
    held = factories.claim(ana, project)
    actions.put_in_batch(actor=admin, project=project, tasks=ids(project), batch=batch)
    actions.pause_batch(actor=admin, batch=batch)
    actions.skip_task(actor=ana, assignment=held, reason="too long")
    task = project.tasks.get()
    assert (task.state, task.free_slots, task.position) == (State.HELD, 1, None)
    actions.put_in_batch(actor=admin, project=project, tasks=[task.pk], batch=None)
    assert project.tasks.get().state == State.OPEN
    check_slots(project)


def test_tasks_that_come_into_a_paused_batch_wait_with_it(ana, admin):
    project = factories.project()
    batch = actions.create_batch(actor=admin, project=project, name="Later")
    actions.pause_batch(actor=admin, batch=batch)
    batch.refresh_from_db()
    add_tasks(project, [factories.task(1, place=Place(batch=batch))])
    assert project.tasks.get().state == State.HELD
    assert actions.claim_task(actor=ana, project=project) is None
    actions.resume_batch(actor=admin, batch=batch)
    project.refresh_from_db()
    assert factories.claim(ana, project)


def test_a_batch_has_a_name_of_its_own(admin, ana):
    project = factories.project()
    batch = actions.create_batch(actor=admin, project=project, name="Round 1")
    for name, said in [("Round 1", "already a batch"), (" ", "needs a name"), ("x" * 200, "longer than 120")]:
        with pytest.raises(Refusal, match=said):
            actions.create_batch(actor=admin, project=project, name=name)
    assert actions.rename_batch(actor=admin, batch=batch, name="Round one").name == "Round one"
    elsewhere = factories.project(tasks=1)
    with pytest.raises(Refusal, match="another project"):
        actions.put_in_batch(actor=admin, project=elsewhere, tasks=ids(elsewhere), batch=batch)
    for verb in (actions.pause_batch, actions.resume_batch):
        with pytest.raises(Refusal):
            verb(actor=ana, batch=batch)


# Active order


def test_the_mix_goes_by_score_with_a_share_of_all_between():
    tasks = [(n, float(n), in_random_share(f"task {n}", 20)) for n in range(1000)]
    order = mix(tasks, random.Random(1))
    assert sorted(task for task, _how in order) == list(range(1000))
    by_score = [task for task, how in order if how == "score"]
    at_random = [task for task, how in order if how == "random"]
    assert by_score == sorted(by_score, reverse=True)
    assert 150 <= len(at_random) <= 250
    early = [task for task, how in order[:300] if how == "random"]
    assert 350 < sum(early) / len(early) < 650  # of all, not of the best
    assert mix(tasks, random.Random(1)) == order
    none, all_of_them = ([(n, float(n), at_random) for n in range(1000)] for at_random in (False, True))
    assert [task for task, _how in mix(none, random.Random(1))] == list(range(999, -1, -1))
    assert {how for _task, how in mix(all_of_them, random.Random(1))} == {"random"}
    without = [(1, None, False), (2, None, False), (3, 0.0, False)]
    assert mix(without, random.Random(1)) == [(3, "score"), (1, ""), (2, "")]


def test_tasks_with_the_highest_score_come_first_and_back_to_arrival(ana, ben, admin):
    project = factories.project(tasks=5, random_percent=0, overlap=2)
    first, second, third, fourth, fifth = ids(project)
    scores = {first: 0.1, second: 0.9, third: 0.5, fourth: None}
    assert actions.set_scores(actor=admin, project=project, scores=scores).tasks == 4
    check_slots(project)
    assert rank_all(ana, project, most=3) == [second, third, first]
    assert dict(project.tasks.values_list("pk", "chosen")) == {
        first: "score", second: "score", third: "score", fourth: "", fifth: "",
    }  # fmt: skip
    actions.order_by_arrival(actor=admin, project=project)
    project.refresh_from_db()
    assert not project.active_order
    assert rank_all(ben, project) == [first, second, third, fourth, fifth]
    assert project.tasks.get(pk=second).chosen == "score"  # ana came to it by its score


def test_the_random_share_is_marked_seeded_and_kept_by_what_is_begun(ana, admin):
    project = factories.project(tasks=40, overlap=2, random_percent=50)
    scores = {task: float(task) for task in ids(project)}
    actions.set_scores(actor=admin, project=project, scores=scores, seed=7)
    entry = AuditEntry.objects.get(verb="tasks.scores")
    assert (entry.data["seed"], entry.data["random"], entry.data["count"]) == (7, 50, 40)
    order = list(project.tasks.order_by("position").values_list("pk", "chosen"))
    assert Counter(chosen for _pk, chosen in order).keys() == {"random", "score"}
    begun = rank_all(ana, project, most=10)
    marks = dict(order)
    actions.order_by_score(actor=admin, project=project, seed=8)
    assert all(project.tasks.get(pk=pk).chosen == marks[pk] for pk in begun)
    assert list(project.tasks.order_by("position").values_list("pk", flat=True)) != [pk for pk, _chosen in order]
    check_slots(project)


def test_new_tasks_join_an_active_order_by_their_score(ana, admin):
    project = factories.project(tasks=2, random_percent=0)
    actions.set_scores(actor=admin, project=project, scores=dict.fromkeys(ids(project), 0.5))
    add_tasks(project, [factories.task(10 + n, place=Place(score=score)) for n, score in enumerate([0.1, 0.9])])
    old, low, high = ids(project)[:2], ids(project)[2], ids(project)[3]
    project.refresh_from_db()
    assert list(project.tasks.order_by("position").values_list("pk", flat=True)) == [*old, high, low]
    actions.order_by_score(actor=admin, project=project)
    assert rank_all(ana, project) == [high, *old, low]


def test_scores_are_refused_with_all_reasons(ana, admin):
    project = factories.project(tasks=2)
    first, second = ids(project)
    with pytest.raises(Refusal) as caught:
        actions.set_scores(actor=admin, project=project, scores={first: float("nan"), second: 1.0, 10**9: 2.0})
    assert len(caught.value.problems) == 2
    assert project.tasks.filter(score__isnull=False).count() == 0
    for verb in (actions.order_by_arrival, actions.order_by_score):
        with pytest.raises(Refusal):
            verb(actor=ana, project=project)


def test_scores_by_command_from_the_tasks_it_wrote(admin, jsonl):
    project = factories.project(actor=admin, tasks=3, random_percent=0)
    written = StringIO()
    call_command("scores", project.slug, stdout=written)
    rows = [json.loads(line) for line in written.getvalue().splitlines()]
    assert [row["task"] for row in rows] == ids(project)
    assert AuditEntry.objects.get(verb="project.export_tasks").actor == admin
    file = jsonl([{"task": row["task"], "score": len(rows) - place} for place, row in enumerate(rows[::-1])])
    call_command("scores", project.slug, str(file), stdout=StringIO())
    assert list(project.tasks.order_by("position").values_list("pk", flat=True)) == ids(project)[::-1]
    call_command("scores", project.slug, "--arrival", stdout=StringIO())
    assert list(project.tasks.order_by("position").values_list("pk", flat=True)) == ids(project)
    with pytest.raises(CommandError, match="no task 77"):
        call_command("scores", project.slug, str(jsonl([{"task": 77, "score": 1}])))
    with pytest.raises(CommandError, match="There is no project"):
        call_command("scores", "elsewhere")


# What it costs


def counted(work) -> int:
    with CaptureQueriesContext(connection) as captured:
        work()
    return len([q for q in captured if not q["sql"].startswith(("SAVEPOINT", "RELEASE"))])


def statements_of(person, project) -> tuple[int, int]:
    """Of a submit with its next task, and of showing that."""
    assignment = factories.claim(person, project)
    for _ in range(3):
        assignment = factories.submit(person, assignment).next
    outcomes = []
    submit = counted(lambda: outcomes.append(factories.submit(person, assignment)))
    return submit, counted(lambda: queries.board_state(outcomes[0].next))


def test_where_nothing_of_this_is_used_it_costs_no_statement(ana, ben):
    assert statements_of(ana, factories.project(tasks=20)) == (11, 3)
    assert statements_of(ben, factories.project(tasks=20, overlap=2)) == (12, 3)


def test_what_is_used_costs_a_few_look_ups(ana, admin):
    project = factories.project(tasks=30, overlap=2, overlap_max=4)
    actions.assign_tasks(actor=admin, project=project, tasks=ids(project)[20:], to=admin)
    actions.set_sensitive(actor=admin, project=project, tasks=ids(project)[15:18], sensitive=True)
    submit, board = statements_of(ana, project)
    assert submit <= 15
    assert board <= 5


@pytest.mark.slow
def test_scores_of_thousands_of_tasks_are_written_in_one_go(admin, ana):
    project = factories.project(tasks=1500, outputs=2)
    scores = {pk: random.random() for pk in ids(project)}
    statements = counted(lambda: actions.set_scores(actor=admin, project=project, scores=scores))
    assert statements <= 20
    order = project.tasks.order_by("position")
    by_score = [pk for pk, chosen in order.values_list("pk", "chosen") if chosen == "score"]
    assert by_score == sorted(by_score, key=lambda pk: -scores[pk])
