"""Tasks with a known answer, and people who work through them."""

from datetime import timedelta

from django.utils import timezone

from labeling import actions, queries
from labeling.actions.tasks import Known, Place, add_tasks
from labeling.constraints import Constraints
from labeling.models import Assignment, Desk, Project, Ranking, Task
from tests import factories

State, Kind = Assignment.State, Task.Kind
BEST_TO_WORST = "A > B > C > D"


def add_known(
    project: Project, count: int, kind: str = Kind.GOLD, text: str = BEST_TO_WORST, first: int = 1000
) -> None:
    place = Place(known=Known(kind, Constraints.parse(text, items=4), "A is the only one that answers."))
    add_tasks(project, [factories.task(first + n, place=place) for n in range(count)])
    project.refresh_from_db()


def shown(assignment: Assignment, canonical: str) -> str:
    """A ranking in canonical letters as this board shows it."""
    return queries.as_shown(assignment, Ranking(notation=canonical))


def answer(person, assignment, canonical=BEST_TO_WORST):
    return factories.submit(person, assignment, shown(assignment, canonical))


def work_through(person, project, canonical=BEST_TO_WORST, turns=None) -> list[Assignment]:
    done, assignment = [], actions.claim_task(actor=person, project=project)
    while assignment and (turns is None or len(done) < turns):
        outcome = answer(person, assignment, canonical)
        done.append(outcome.assignment)
        assignment = outcome.next
    return done


def desk_of(person, project) -> Desk:
    return Desk.objects.get(annotator=person, project=project)


def let_leases_end(project) -> None:
    claimed = Assignment.objects.filter(project=project, state=State.CLAIMED)
    claimed.update(lease_until=timezone.now() - timedelta(seconds=1))
    actions.expire_leases(project=project)
