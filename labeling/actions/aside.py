"""Turns aside: tasks with a known answer, and tasks that somebody had before. Which one comes when, and what it says about a person.

Somebody new meets practice tasks first (with feedback), then those of the qualification, then the real ones. Among these come, unannounced,
gold tasks and repeats: after a number of turns that is drawn anew each time, so that nobody can count. One is only given while a
real task waits, so that it looks like any other; and none twice to the same person.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from statistics import fmean

from django.db.models import Exists, OuterRef
from django.urls import reverse
from django.utils.translation import gettext_noop

from jobs.telling import tell
from labeling import queries, statements
from labeling.constraints import Constraints
from labeling.lanes import takes_sensitive
from labeling.models import Assignment, Desk, GoldAnswer, Project, Task
from labeling.ranking import WeakOrder
from people import notices
from people.models import User

GOLD_WINDOW = 10  # so many of the last gold tasks say how somebody is doing,
GOLD_AT_LEAST = 5  # as soon as there are so many
REPEAT_BEHIND = 20  # own rankings after which a task may come again
REPEAT_AMONG = 200  # of those behind them, one is drawn

Kind, Stage, Pause, State = Task.Kind, Desk.Stage, Desk.Pause, Assignment.State


@dataclass(frozen=True)
class Turn:
    """A task to be given aside; `lapsed`: the key of their own turn at it whose lease has ended, which goes on."""

    task: Task
    repeat: int = 0
    lapsed: object = None


@dataclass(frozen=True)
class Feedback:
    """What a practice task has taught, in the letters of the board: what was known, what of it the ranking did not keep, and why it is so."""

    score: float
    answer: str
    violated: list[str]
    explanation: str


# Which turn comes


def stage_turn(desk: Desk, actor: User, project: Project, now: datetime) -> Turn | None:
    """The next task on the way to the real ones. None: they work now, or are paused, or have not answered the warning (see `desk`)."""
    if desk.stage == Stage.NEW:
        # Who has worked before is not sent back when practice tasks are added.
        desk.stage = Stage.WORKING if desk.done else Stage.PRACTICE
    while desk.stage != Stage.WORKING:
        kind = Kind.PRACTICE if desk.stage == Stage.PRACTICE else Kind.QUALIFICATION
        if kind in project.known_kinds:
            if turn := _known(desk, actor, project, kind, repeat=desk.attempt):
                return turn
            if project.content_warning and desk.warned_at is None:
                return None
        if desk.stage == Stage.PRACTICE:
            desk.stage = Stage.QUALIFICATION
        elif _has_qualified(desk, actor, project):
            desk.stage = Stage.WORKING
        else:
            pause(desk, actor, project, Pause.QUALIFICATION, now)
            return None
    return None


def turn_between(desk: Desk, actor: User, project: Project, waits: Callable[[], bool]) -> Turn | None:
    """A gold task or a repeat, if it is time for one and a real task `waits` that it can take the place of. Counts down if not."""
    desk.until_gold = _counter(desk.until_gold, project.gold_percent if Kind.GOLD in project.known_kinds else 0)
    desk.until_repeat = _counter(desk.until_repeat, project.repeat_percent)
    if desk.until_gold != 1 and desk.until_repeat != 1:
        return None
    if not waits():
        return None
    turn = None
    if desk.until_gold == 1:
        turn = _known(desk, actor, project, Kind.GOLD)
        desk.until_gold = _draw(project.gold_percent)
    if turn is None and desk.until_repeat == 1:
        turn = _repeat(desk, actor, project)
        desk.until_repeat = _draw(project.repeat_percent)
        return turn
    return turn


def count_down(desk: Desk) -> None:
    """One more real turn has been given."""
    if desk.until_gold is not None:
        desk.until_gold = max(desk.until_gold - 1, 1)
    if desk.until_repeat is not None:
        desk.until_repeat = max(desk.until_repeat - 1, 1)


def _counter(left: int | None, percent: int) -> int | None:
    """Turns until the next one, this one included; drawn if there is no number yet, or one from when it was rarer."""
    if not percent:
        return None
    if left is None:
        return _draw(percent) + 1  # never the very first: its round is that of the turn before
    return left if left <= _most(percent) + 1 else _draw(percent)


def _draw(percent: int) -> int:
    """From 1 to twice the interval: on average the interval, and never to be counted on."""
    return 1 + secrets.randbelow(_most(percent))


def _most(percent: int) -> int:
    return max(round(200 / percent) - 1, 1)


def _known(desk: Desk, actor: User, project: Project, kind: str, *, repeat: int = 0) -> Turn | None:
    found = statements.known_answer(
        project.pk, actor.pk, kind, repeat=repeat, sensitive=takes_sensitive(desk, project)
    )
    return Turn(found, repeat, found.lapsed) if found else None


def _repeat(desk: Desk, actor: User, project: Project) -> Turn | None:
    """A task that they ranked a while ago, and were never given again."""
    ranked = Assignment.objects.filter(
        project=project, annotator=actor, state=State.SUBMITTED, repeat=0, aside=False, imported=False
    ).order_by("-finished_at")
    behind = list(ranked.values_list("task", flat=True)[REPEAT_BEHIND : REPEAT_BEHIND + REPEAT_AMONG])
    again = Assignment.objects.filter(task=OuterRef("pk"), annotator=actor, repeat__gt=0)
    tasks = Task.objects.filter(pk__in=behind, kind=Kind.NORMAL, state__in=[Task.State.OPEN, Task.State.COMPLETE])
    if not takes_sensitive(desk, project):
        tasks = tasks.filter(sensitive=False)
    task = tasks.exclude(Exists(again)).select_related("prompt").order_by("?").first()
    return Turn(task, repeat=1) if task else None


# What it says


def judge(assignment: Assignment, order: WeakOrder) -> Feedback | None:
    """How much of what is known about its task a ranking (canonical letters) keeps; None if nothing is known."""
    answer = GoldAnswer.objects.filter(task=assignment.task_id).first()
    if answer is None:
        return None
    letter_of = [assignment.display.index(position) for position in range(len(assignment.display))]
    known = Constraints.parse(answer.constraints, items=order.items).relabel(letter_of)
    said = order.relabel(letter_of)
    return Feedback(known.kept(said), str(known), known.violated(said), answer.explanation)


def note_gold(desk: Desk, actor: User, project: Project, score: float, now: datetime) -> None:
    """One more gold task was ranked; whose last ones keep too little of what is known gets a pause, unless they have one."""
    desk.gold_scores = [*desk.gold_scores, score][-GOLD_WINDOW:]
    if (
        not desk.paused_because
        and len(desk.gold_scores) >= GOLD_AT_LEAST
        and fmean(desk.gold_scores) < project.gold_minimum
    ):
        pause(desk, actor, project, Pause.GOLD, now)


def _has_qualified(desk: Desk, actor: User, project: Project) -> bool:
    if Kind.QUALIFICATION not in project.known_kinds:
        return True
    turns = Assignment.objects.filter(
        project=project, annotator=actor, aside=True, repeat=desk.attempt, task__kind=Kind.QUALIFICATION
    ).exclude(state__in=[State.CLAIMED, State.EXPIRED])
    scores = [score or 0.0 for score in turns.values_list("gold_score", flat=True)]
    return not scores or fmean(scores) >= project.qualification_minimum


def score(assignment: Assignment, order: WeakOrder, desk: Desk, actor: User, now: datetime) -> Feedback | None:
    """Score a turn at a task with a known answer; what it says to the person if it was for practice."""
    kind = assignment.task.kind
    if kind == Task.Kind.NORMAL or (found := judge(assignment, order)) is None:
        return None
    assignment.gold_score = found.score
    if kind == Task.Kind.GOLD:
        note_gold(desk, actor, assignment.project, found.score, now)
    return found if kind == Task.Kind.PRACTICE else None


def feedback_on(assignment: Assignment, order: WeakOrder) -> Feedback | None:
    return judge(assignment, order) if is_practice(assignment) else None


def is_practice(assignment: Assignment) -> bool:
    return assignment.aside and assignment.task.kind == Task.Kind.PRACTICE


def has_heard(assignment: Assignment, desk: Desk) -> bool:
    """Has the person heard how this turn went? What they were told must not find its way into it.

    A pause over gold tasks says it of every turn alike, and one by an admin of none: else it would show which of them were gold.
    """
    if desk.paused_because == Pause.GOLD:
        return True
    if not assignment.aside:
        return False
    kind = assignment.task.kind
    return (kind == Kind.PRACTICE and assignment.state == State.SUBMITTED) or (
        kind == Kind.QUALIFICATION
        and (desk.stage != Stage.QUALIFICATION or desk.paused_because == Pause.QUALIFICATION)
    )


def brought_to_work(assignment: Assignment, desk: Desk) -> bool:
    """Was this turn, after which the real tasks come, one of the qualification?"""
    return assignment.task.kind == Task.Kind.QUALIFICATION and desk.stage == Desk.Stage.WORKING


def counts(assignment: Assignment) -> bool:
    """Is a ranking part of a day's work? Practice and qualification are not; a gold task is, or it would be seen."""
    return not assignment.aside or assignment.task.kind in (Task.Kind.NORMAL, Task.Kind.GOLD)


def take_back_score(assignment: Assignment, desk: Desk) -> None:
    if assignment.gold_score is not None:
        if assignment.task.kind == Task.Kind.GOLD and assignment.gold_score in desk.gold_scores:
            newest_first = desk.gold_scores[::-1]
            newest_first.remove(assignment.gold_score)
            desk.gold_scores = newest_first[::-1]
        assignment.gold_score = None


# Pausing

TOLD = {
    Pause.GOLD: gettext_noop(
        "%(project)s: please pause for now. Some of your last rankings differ from what the team agreed on; that happens, and somebody will get in touch."
    ),
    Pause.QUALIFICATION: gettext_noop(
        "%(project)s: thank you for the qualification. Somebody will look at it and get in touch."
    ),
    Pause.ADMIN: gettext_noop("%(project)s: your work here is paused for now. What you ranked is kept."),
}
TOLD_WITH_REASON = gettext_noop("%(project)s: your work here is paused for now: “%(reason)s” What you ranked is kept.")
TOLD_TO_ADMINS = {
    Pause.GOLD: gettext_noop("%(project)s: %(name)s was paused, for the last gold tasks did not go well."),
    Pause.QUALIFICATION: gettext_noop(
        "%(project)s: %(name)s did not pass the qualification and waits for your decision."
    ),
}


def pause(desk: Desk, person: User, project: Project, because: str, now: datetime, reason: str = "") -> None:
    """They get no further task; what they hold they may finish. The caller saves the desk. `reason`: of an admin, told to them."""
    desk.paused_because, desk.paused_at = because, now
    tell(
        person=person,
        text=TOLD_WITH_REASON if reason else TOLD[because],
        address=reverse("rank-project", args=[project.slug]),
        project=project.name,
        **({"reason": reason} if reason else {}),
    )
    if because in TOLD_TO_ADMINS:
        for admin in queries.admins_of(project):
            tell(
                person=admin,
                text=TOLD_TO_ADMINS[because],
                address=reverse("project-members", args=[project.slug]),
                project=project.name,
                name=str(person),
                desk=str(desk.pk),
            )


def settle(desk: Desk) -> None:
    """Somebody decided about a pause: no admin is waited for any more."""
    notices.settle(texts=TOLD_TO_ADMINS.values(), desk=str(desk.pk))
