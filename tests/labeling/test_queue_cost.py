"""Finding the next task costs the same whatever lies behind a person and whatever lies ahead."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from labeling import actions, statements
from labeling.actions.tasks import add_tasks
from labeling.models import Assignment, Desk
from tests import factories
from tests.cost import steps

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(connection.vendor != "sqlite", reason="counts the steps of SQLite's virtual machine"),
]


def cost_of_next(tasks: int, done: int) -> int:
    """Of a submit with its next task, by someone who has ranked `done` tasks, each of which waits for a second person."""
    project = factories.project(overlap=2)
    add_tasks(project, [factories.task(n, outputs=2) for n in range(tasks)])
    project.refresh_from_db()
    veteran = factories.user()
    finished = list(project.tasks.order_by("position").values_list("pk", "position")[:done])
    Assignment.objects.bulk_create(
        Assignment(
            project=project, task_id=task, annotator=veteran, slot=1, state="submitted", display=[0, 1],
            claimed_at=project.created_at, finished_at=project.created_at,
        )
        for task, _position in finished
    )  # fmt: skip
    project.tasks.filter(pk__in=[task for task, _position in finished]).update(free_slots=1, submitted=1)
    Desk.objects.create(
        project=project, annotator=veteran, done=done, cursors={"0": finished[-1][1] if finished else 0}
    )
    assignment = factories.claim(veteran, project)
    return steps(lambda: factories.submit(veteran, assignment, "A > B"))


@pytest.mark.slow
def test_neither_the_size_of_the_queue_nor_a_persons_past_make_the_next_task_dearer():
    few, many, veteran = cost_of_next(30, 0), cost_of_next(1500, 0), cost_of_next(1500, 1200)
    assert many <= few * 1.1
    assert veteran <= few * 1.1


@pytest.mark.slow
def test_a_person_walks_past_what_they_have_done_once():
    """A reopened queue lies ahead again, all of it; whoever has had every task walks over it once, not at every claim."""
    project = factories.project(overlap=2, tasks=300, outputs=2)
    person = factories.user()
    assignment = factories.claim(person, project)
    while assignment:
        assignment = factories.submit(person, assignment, "A > B").next
    Desk.objects.update(cursors={"0": 0})
    first = steps(lambda: actions.claim_task(actor=person, project=project))
    second = steps(lambda: actions.claim_task(actor=person, project=project))
    assert first > 10 * second


def test_the_next_task_is_found_by_the_queues_index():
    project = factories.project(tasks=5)
    with CaptureQueriesContext(connection) as captured:
        statements.next_task(project.pk, 1, "", 0, 0)
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN QUERY PLAN " + captured[0]["sql"])
        plan = [row[-1] for row in cursor.fetchall()]
    assert any("USING INDEX task_queue" in step for step in plan)
    assert not any("TEMP B-TREE" in step or step.startswith(("SCAN t", "SCAN m", "SCAN b")) for step in plan), plan


def test_a_task_with_a_known_answer_is_found_by_their_index_however_many_others_there_are():
    project = factories.project(tasks=5)
    with CaptureQueriesContext(connection) as captured:
        statements.known_answer(project.pk, 1, "gold", repeat=0, sensitive=True)
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN QUERY PLAN " + captured[0]["sql"])
        plan = [row[-1] for row in cursor.fetchall()]
    assert any("USING INDEX tasks_with_an_answer" in step for step in plan), plan
    assert not any(step.startswith(("SCAN t", "SCAN m", "SCAN b")) for step in plan), plan
