"""What tests of turns share: a lease that ends at once, and the invariant of slots."""

from datetime import timedelta

from django.utils import timezone

from labeling.models import Assignment, Project

State = Assignment.State


def let_lease_end(assignment):
    Assignment.objects.filter(pk=assignment.pk).update(lease_until=timezone.now() - timedelta(seconds=1))


def slots_add_up(project: Project) -> bool:
    """The invariant of every task, from the assignments."""
    for task in project.tasks.all():
        held = task.assignments.filter(slot__isnull=False)
        if (
            task.free_slots + held.count() != task.overlap
            or task.submitted != held.filter(state=State.SUBMITTED).count()
        ):
            return False
    return True
