"""Many people at once, on real connections: no task goes to more people than its overlap, no ranking is lost or doubled."""

import threading
from collections import Counter
from itertools import count

import pytest
from django.db import connection, connections

from labeling import actions
from labeling.models import Assignment, Ranking, Task
from people.errors import Refusal
from tests import factories

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
