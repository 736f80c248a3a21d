"""Rankings said in canonical letters, whatever order the board showed: for tests of what is made of them."""

from labeling import actions
from labeling.models import Assignment, Project, Task
from labeling.ranking import WeakOrder
from people.models import User
from tests import factories


def as_shown(assignment: Assignment, canonical: str) -> str:
    display = assignment.display
    order = WeakOrder.parse(canonical, items=len(display))
    return str(order.relabel([display.index(position) for position in range(len(display))]))


def say(actor: User, project: Project, *canonical: str, seconds: float | None = None) -> list[Task]:
    """`actor` ranks the next tasks, each as told; returns the tasks."""
    tasks = []
    for order in canonical:
        assignment = factories.claim(actor, project)
        key = f"{actor.pk} {assignment.pk}"
        actions.submit_ranking(
            actor=actor, assignment=assignment, notation=as_shown(assignment, order), client_key=key, seconds=seconds
        )
        tasks.append(assignment.task)
    return tasks
