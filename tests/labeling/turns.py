"""What tests of turns share: a lease that ends at once, and the invariant of slots."""

from datetime import timedelta

from django.utils import timezone

from labeling.models import Assignment, Project, Task


def let_lease_end(assignment):
    Assignment.objects.filter(pk=assignment.pk).update(lease_until=timezone.now() - timedelta(seconds=1))


def check_slots(project: Project) -> None:
    """The invariants of every task, from the assignments: no more people than its overlap, each slot held once; the queue holds exactly what
    can be taken, each at a place of its own, and the project knows where.
    """
    project.refresh_from_db()
    for task in project.tasks.all():
        holding = task.assignments.filter(slot__isnull=False)
        held = list(holding.values_list("slot", flat=True))
        assert len(set(held)) == len(held)
        assert max(held, default=0) <= task.overlap
        assert task.free_slots + len(held) == task.overlap
        assert task.submitted == holding.filter(state=Assignment.State.SUBMITTED).count()
        assert (task.position is not None) == (task.state == Task.State.OPEN and task.free_slots > 0)
        if task.position is not None:
            assert task.priority in project.priorities
            assert task.lane in project.lanes
            assert task.position < project.next_position
        if task.state == Task.State.COMPLETE:
            assert task.submitted >= task.overlap
    positions = list(project.tasks.filter(position__isnull=False).values_list("position", flat=True))
    assert len(positions) == len(set(positions))
