"""Many people at once, on real connections: no task goes to more people than its overlap, no ranking is lost or doubled."""

import random
import threading
from collections import Counter
from itertools import count

import pytest
from django.db import connection, connections

from labeling import actions
from labeling.actions.tasks import Known, Place, add_tasks
from labeling.constraints import Constraints
from labeling.models import Assignment, Project, Ranking, Task
from people.errors import Refusal
from tests import factories

from .turns import check_slots

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
WORKERS, TASKS, OVERLAP = 8, 200, 2


def at_once(*works):
    """Run the functions in threads of their own, begun together; what one raised is raised here."""
    start, failed = threading.Barrier(len(works)), []

    def run(work):
        try:
            start.wait()
            work()
        except Exception as error:
            failed.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=[work]) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]


def test_eight_people_share_a_queue_and_nothing_is_over_assigned_or_lost():
    project = factories.project(tasks=TASKS, overlap=OVERLAP)
    people = [factories.user() for _ in range(WORKERS)]
    acknowledged: list[tuple[str, int]] = []
    turns = count(1)

    def work(person):
        def rank_all():
            assignment = actions.claim_task(actor=person, project=project)
            while assignment is not None:
                number = next(turns)
                key = f"{person.pk} {number}"
                if number % 17 == 0:
                    assignment = actions.skip_task(actor=person, assignment=assignment, reason="cannot judge").next
                    continue
                outcome = factories.submit(person, assignment, "B > A = D > C", key=key)
                acknowledged.append((key, outcome.assignment.task_id))
                assignment = outcome.next

        return rank_all

    at_once(*(work(person) for person in people))
    # Somebody may have been told "nothing left" just before a skip gave a slot back; they come again.
    for person in people:
        work(person)()

    assert dict(acknowledged) == dict(Ranking.objects.values_list("client_key", "assignment__task"))
    assert Ranking.objects.count() == len(acknowledged) == TASKS * OVERLAP
    for task in Task.objects.all():
        held = task.assignments.filter(slot__isnull=False)
        assert sorted(held.values_list("slot", flat=True)) == [1, 2]
        assert (task.state, task.submitted, task.free_slots, task.position) == ("complete", 2, 0, None)
    each = Counter(Ranking.objects.values_list("assignment__task", "assignment__annotator"))
    assert set(each.values()) == {1}
    if connection.vendor == "sqlite":
        per_person = Counter(key.split()[0] for key, _task in acknowledged)
        assert min(per_person.values()) > 0  # the queue of writers is fair


def test_one_submit_sent_by_many_tabs_at_once_is_stored_once():
    project = factories.project(tasks=3)
    person = factories.user()
    assignment = factories.claim(person, project)
    outcomes = []
    at_once(*[lambda: outcomes.append(factories.submit(person, assignment, "A > B > C > D", key="k"))] * 6)
    assert Ranking.objects.count() == 1
    assert [outcome.repeated for outcome in outcomes].count(False) == 1
    assert len({outcome.next for outcome in outcomes}) == 1
    assert Assignment.objects.filter(annotator=person).count() == 2


def test_two_tabs_with_different_answers_one_is_stored_and_the_other_is_told():
    project = factories.project(tasks=1)
    person = factories.user()
    assignment = factories.claim(person, project)
    refused = []

    def send(notation):
        def work():
            try:
                factories.submit(person, assignment, notation)
            except Refusal as refusal:
                refused.append(refusal)

        return work

    at_once(send("A > B > C > D"), send("D > C > B > A"))
    assert Ranking.objects.count() == 1
    assert [refusal.status for refusal in refused] == [409]


def test_one_person_claiming_in_many_tabs_holds_one_task():
    project = factories.project(tasks=10, overlap=3)
    person = factories.user()
    claimed = []
    at_once(*[lambda: claimed.append(actions.claim_task(actor=person, project=project))] * 6)
    assert len(set(claimed)) == 1
    assert Assignment.objects.count() == 1


def test_the_last_slot_goes_to_one_of_those_who_ask_at_the_same_moment():
    project = factories.project(tasks=1)
    people = [factories.user() for _ in range(6)]
    claimed = []
    at_once(*[lambda p=person: claimed.append(actions.claim_task(actor=p, project=project)) for person in people])
    assert len([assignment for assignment in claimed if assignment]) == 1
    assert Task.objects.get().free_slots == 0


def test_adaptive_overlap_and_gold_under_many_people_at_once():
    """Tasks go on one slot at a time while gold comes between them; people skip, call back and change their minds."""
    project = factories.project(tasks=20, overlap=2, overlap_max=4, contested_below=0.6, gold_percent=20)
    place = Place(known=Known("gold", Constraints.parse("A > B", items=4)))
    add_tasks(project, [factories.task(1000 + n, place=place) for n in range(20)])
    project.refresh_from_db()
    people = [factories.user() for _ in range(6)]
    acknowledged: list[str] = []

    def work(person):
        def rank_all():
            draw = random.Random(person.pk)
            assignment = actions.claim_task(actor=person, project=project)
            for number in count(1):
                if assignment is None:
                    return
                if draw.random() < 0.05:
                    assignment = actions.skip_task(actor=person, assignment=assignment, reason="cannot judge").next
                    continue
                letters = draw.sample("ABCD", 4)
                outcome = factories.submit(person, assignment, " > ".join(letters), key=f"{person.pk} {number}")
                acknowledged.append(f"{person.pk} {number}")
                if draw.random() < 0.05 and not outcome.assignment.aside:
                    assignment = actions.undo(actor=person, assignment=outcome.assignment)
                    continue
                if draw.random() < 0.05:
                    actions.revise_ranking(
                        actor=person,
                        assignment=outcome.assignment,
                        notation="A = B > C > D",
                        client_key=f"r {person.pk} {number}",
                    )
                    acknowledged.append(f"r {person.pk} {number}")
                assignment = outcome.next

        return rank_all

    at_once(*(work(person) for person in people))
    for person in people:
        # Who was paused over gold tasks goes on; a slot may have been given back after somebody was told "nothing left".
        actions.resume_desk(actor=factories.admin(), project=project, person=person)
        actions.claim_task(actor=person, project=project)
    check_slots(project)
    assert set(acknowledged) <= set(Ranking.objects.values_list("client_key", flat=True))
    overlaps = Counter(project.tasks.filter(kind="normal").values_list("overlap", flat=True))
    assert set(overlaps) <= {2, 3, 4}
    assert overlaps[4] > 0  # random rankings disagree
    normal = project.tasks.filter(kind="normal")
    for task in normal.filter(state="complete"):
        assert task.submitted == task.overlap
    given = Assignment.objects.filter(project=project, aside=True)
    assert given.count() == given.values("task", "annotator").distinct().count() > 0
    assert all(score is not None for score in given.filter(state="submitted").values_list("gold_score", flat=True))


def test_the_queue_is_changed_while_people_work_through_it():
    """Priorities, lanes, batches, overlap and scores of many tasks, beside claims and submits: nothing is lost, doubled or stuck."""
    project = factories.project(tasks=40, overlap=1)
    admin, people = factories.admin(), [factories.user() for _ in range(4)]
    tasks = list(project.tasks.order_by("pk").values_list("pk", flat=True))
    batch = actions.create_batch(actor=admin, project=project, name="Round")

    def work(person):
        def rank_all():
            misses = 0
            while misses < 5:
                fresh = Project.objects.get(pk=project.pk)
                assignment = actions.claim_task(actor=person, project=fresh)
                if assignment is None:
                    misses += 1
                while assignment is not None:
                    assignment = factories.submit(person, assignment, key=str(assignment.pk)).next

        return rank_all

    def change():
        draw = random.Random(3)
        for number in range(5):
            some = draw.sample(tasks, 20)
            actions.set_priority(actor=admin, project=project, tasks=some, priority=number % 3)
            actions.assign_tasks(actor=admin, project=project, tasks=some[:10], to=people[number % 4])
            actions.put_in_batch(actor=admin, project=project, tasks=some[:20], batch=batch)
            actions.pause_batch(actor=admin, batch=batch)
            actions.set_scores(actor=admin, project=project, scores={pk: draw.random() for pk in some})
            actions.set_overlap(actor=admin, project=project, tasks=some[:5], overlap=1 + number % 2)
            actions.resume_batch(actor=admin, batch=batch)
        actions.assign_tasks(actor=admin, project=project, tasks=tasks, to=None)

    at_once(change, *(work(person) for person in people))
    for person in people:
        work(person)()
    check_slots(project)
    assert not project.tasks.exclude(state="complete").exists()
    assert Ranking.objects.count() == Assignment.objects.filter(state="submitted").count()


def test_one_gold_task_is_set_and_unset_while_people_hold_it():
    project = factories.project(tasks=6, overlap=3, gold_percent=50)
    admin, people = factories.admin(), [factories.user() for _ in range(4)]
    task = project.tasks.order_by("pk").first()

    def work(person):
        def rank_all():
            assignment = actions.claim_task(actor=person, project=Project.objects.get(pk=project.pk))
            while assignment is not None:
                assignment = factories.submit(person, assignment, key=str(assignment.pk)).next

        return rank_all

    def change():
        for _ in range(6):
            actions.set_gold(actor=admin, task=task, kind="gold", constraints="A > B")
            actions.unset_gold(actor=admin, task=task)

    at_once(change, *(work(person) for person in people))
    check_slots(project)
    people.append(factories.user())
    for person in people:
        work(person)()
    check_slots(project)
