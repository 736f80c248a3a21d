"""A task's slots and its place in the project's queue. Off the hot path, `settle` works out both anew."""

from django.db.models import F

from labeling import statements
from labeling.models import Assignment, Project, Task

FLAGS_THAT_CLOSE = 2


def free_number(task: Task) -> int:
    """The lowest slot number that nobody holds; call it behind `statements.take`, which locked the task."""
    if task.overlap == 1:
        return 1
    held = statements.held_slots(task.pk)
    return next(number for number in range(1, task.overlap + 1) if number not in held)


def take_slot(task: Task) -> int | None:
    """A slot for someone who comes late, whatever has become of the task; None if all are held."""
    return free_number(task) if statements.take(task.pk) else None


def settle(task: Task, *, stays: bool = False) -> None:
    """Bring a locked task's state and its place in the queue in line with its slots and flags. Off the hot path.

    A task that waits joins the queue anew at its tail, or, if it `stays` (no slot was given back), keeps the place it has.
    """
    flags = task.assignments.filter(state=Assignment.State.FLAGGED).values("annotator").distinct().count()
    if task.closed_in_review or flags - task.flags_dismissed >= FLAGS_THAT_CLOSE:
        task.state = Task.State.REVIEW
    else:
        task.state = Task.State.COMPLETE if task.submitted >= task.overlap else Task.State.OPEN
    waits = task.state == Task.State.OPEN and task.free_slots > 0
    if not waits:
        task.position = None
    elif not stays or task.position is None:
        task.position = queue_places(task.project_id, 1)
    task.save(update_fields=["state", "submitted", "free_slots", "position"])


def queue_places(project_id: int, count: int) -> int:
    """The first of `count` new places at the tail of a project's queue. Call it inside a transaction, and end that soon."""
    Project.objects.filter(pk=project_id).update(next_position=F("next_position") + count)
    return Project.objects.values_list("next_position", flat=True).get(pk=project_id) - count
