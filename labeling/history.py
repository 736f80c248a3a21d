"""One's own rankings: what somebody said, when, and how it changed. Letters only, as their board showed them."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet

from labeling import questions, statements
from labeling.actions.aside import Feedback, is_practice, judge
from labeling.models import Assignment, Project, Ranking
from labeling.queries import answers_as_shown, as_shown
from labeling.ranking import LETTERS, WeakOrder
from people.models import User
from people.searching import json_holds

State = Assignment.State
FINISHED = (State.SUBMITTED, State.SPARE, State.SKIPPED, State.FLAGGED)
REVISABLE = (State.SUBMITTED, State.SPARE)


@dataclass(frozen=True)
class Revision:
    """One version of what was said. `answers`: what each question got, in the order of the questions, about each output and about the task."""

    number: int
    at: datetime
    notation: str
    comment: str
    about_outputs: dict[str, list[tuple[str, str]]]
    about_task: list[tuple[str, str]]
    current: bool


def turns(user: User, project: Project, *, search: str = "", state: str = "") -> QuerySet[Assignment]:
    """One's own finished turns in a project, newest first. `search` looks into the prompts."""
    found = (
        Assignment.objects.filter(annotator=user, project=project, finished_at__isnull=False)
        .select_related("task__prompt", "project")
        .prefetch_related("rankings")
        .order_by("-finished_at")
    )
    if state in FINISHED:
        found = found.filter(state=state)
    if search:
        found = found.filter(json_holds("task__prompt__content", search))
    return found


def own_turn(user: User, project: Project, pk: object) -> Assignment | None:
    return turns(user, project).filter(pk=pk).first()


def may_revise(assignment: Assignment) -> bool:
    is_open = assignment.state in REVISABLE and assignment.project.state != Project.State.ARCHIVED
    return is_open and not is_practice(assignment)


def feedback(assignment: Assignment) -> Feedback | None:
    """Of a practice task: what was known, what of it the ranking did not keep, and why it is so. Nothing of any other."""
    current = next((ranking for ranking in assignment.rankings.all() if ranking.current), None)
    if current is None or not is_practice(assignment):
        return None
    return judge(assignment, WeakOrder.parse(current.notation, items=len(assignment.display)))


def versions(assignment: Assignment) -> int:
    """How many versions `told_once` leaves. Wants the rankings prefetched."""
    said = [
        (ranking.notation, ranking.comment, ranking.answers)
        for ranking in sorted(assignment.rankings.all(), key=lambda ranking: ranking.revision)
    ]
    return sum(each != before for each, before in zip(said, [None, *said], strict=False))


def notation(assignment: Assignment) -> str:
    """What one says now, in the letters of one's board; "" of a turn without a ranking. Wants the rankings prefetched."""
    current = next((ranking for ranking in assignment.rankings.all() if ranking.current), None)
    return as_shown(assignment, current) if current else ""


def reason(assignment: Assignment) -> str:
    """Why a task was skipped or flagged, in words."""
    if assignment.state != State.FLAGGED:
        return assignment.reason
    flag, _colon, note = assignment.reason.partition(": ")
    label = dict(Assignment.Flag.choices).get(flag, flag)
    return f"{label}: {note}" if note else str(label)


def revisions(assignment: Assignment) -> list[Revision]:
    """All that was said about a task, newest first."""
    asked = questions.read(assignment.project.questions)
    return [_revision(assignment, ranking, asked) for ranking in assignment.rankings.order_by("-revision")]


def told_once(told: list[Revision]) -> list[tuple[Revision, bool]]:
    """Newest first; what was called back and then submitted again just as it was stands there once: (the newest of them, was it so?)."""
    found: list[tuple[Revision, bool]] = []
    for revision in told:
        if found and _same(found[-1][0], revision):
            found[-1] = (found[-1][0], True)
        else:
            found.append((revision, False))
    return found


def _same(one: Revision, other: Revision) -> bool:
    return all(
        getattr(one, part) == getattr(other, part) for part in ("notation", "comment", "about_outputs", "about_task")
    )


def outputs(assignment: Assignment) -> list[tuple[str, str]]:
    """(letter, text), best first; those that the ranking does not name come last."""
    texts = statements.texts(assignment.task_id)
    items = [(LETTERS[item], texts[position]) for item, position in enumerate(assignment.display)]
    said = notation(assignment)
    if not said:
        return items
    order = WeakOrder.parse(said, items=len(items))
    named = [item for tier in order.tiers for item in tier]
    return [items[item] for item in [*named, *(item for item in range(len(items)) if item not in named)]]


def _revision(assignment: Assignment, ranking: Ranking, asked: list[questions.Question]) -> Revision:
    answers = answers_as_shown(assignment, ranking) if ranking.answers else {}
    return Revision(
        number=ranking.revision,
        at=ranking.created_at,
        notation=as_shown(assignment, ranking),
        comment=ranking.comment,
        about_outputs={
            letter: questions.in_words(asked, values) for letter, values in answers.get("outputs", {}).items()
        },
        about_task=questions.in_words(asked, answers.get("task", {})),
        current=ranking.current,
    )
