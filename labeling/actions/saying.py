"""What somebody says about a task: read and checked, stored once, and answered alike when it arrives again."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from django.db import IntegrityError
from django.utils.translation import gettext as _

from labeling import queries, questions, statements
from labeling.actions.notation import parse_order, problems_of
from labeling.models import Assignment, Ranking
from labeling.ranking import WeakOrder
from people import sql
from people.errors import Refusal

COMMENT_CHARACTERS = 5000


@dataclass(frozen=True)
class Said:
    """What arrives from the board: the ranking in its letters, a key for it, seconds of work, a comment, answers to the questions."""

    notation: str
    client_key: str
    seconds: float | None
    comment: str
    answers: Mapping[str, object]


@contextmanager
def a_key_once(client_key: str) -> Iterator[None]:
    """A Refusal where the key belongs to another ranking: the one index that two correct clients cannot meet in."""
    try:
        yield
    except IntegrityError:
        if not Ranking.objects.filter(client_key=client_key).exists():
            raise
        raise key_used() from None


def read(said: Said, assignment: Assignment) -> tuple[WeakOrder, dict]:
    """The ranking in canonical letters, the answers as they are stored; a Refusal that names all that is missing."""
    project = assignment.project
    shown = parse_order(said.notation, items=len(assignment.display))
    problems = problems_of(shown, project)
    asked = questions.read(project.questions)
    if asked or said.answers:
        problems += questions.check(asked, said.answers, shown.items, asked=shown.named)
    if not 0 < len(said.client_key) <= 64:
        problems.append(_("The client key must have 1 to 64 characters."))
    problems += problems_of_time(said.seconds)
    if len(said.comment) > COMMENT_CHARACTERS:
        problems.append(_("The comment is too long; at most %(n)s characters.") % {"n": COMMENT_CHARACTERS})
    if problems:
        raise Refusal(problems)
    answers = questions.cleaned(asked, said.answers)
    if answers:
        completions = statements.completions(assignment.task_id)
        answers = questions.to_stored(answers, [completions[position] for position in assignment.display])
    return shown.relabel(assignment.display), answers


def problems_of_time(seconds: float | None) -> list[str]:
    if seconds is None or 0 <= seconds < 1e7:
        return []
    return [_("The time must be a number of seconds, 0 or more.")]


def says(ranking: Ranking, order: WeakOrder, answers: dict, said: Said) -> bool:
    return (ranking.notation, ranking.comment, ranking.answers) == (str(order), said.comment, answers)


def answer_again(assignment: Assignment, order: WeakOrder, answers: dict, said: Said) -> Ranking:
    """The ranking that a repeated submit stored the first time; a Refusal if this one says something else."""
    stored = assignment.rankings.filter(client_key=said.client_key).first()
    if stored is not None:
        if not says(stored, order, answers, said):
            raise key_used()
        return stored
    current = assignment.rankings.get(current=True)
    if says(current, order, answers, said):
        return current
    raise Refusal(
        _(
            "You have already submitted this task, in another tab perhaps: %(stored)s. "
            "That ranking is kept and this one was not stored; to change your answer, revise it."
        )
        % {"stored": queries.as_shown(assignment, current)},
        status=409,
    )


def key_used() -> Refusal:
    return Refusal(_("This client key already belongs to another ranking; nothing was stored."), status=409)


def store(assignment: Assignment, order: WeakOrder, answers: dict, said: Said) -> Ranking:
    """The next revision; counts it on the assignment, which the caller saves."""
    completions = statements.completions(assignment.task_id)
    assignment.revisions += 1
    return sql.insert(
        Ranking(
            assignment=assignment,
            revision=assignment.revisions,
            tiers=[[completions[item] for item in tier] for tier in order.tiers],
            line=order.line,
            rest=[completions[item] for item in order.rest],
            notation=str(order),
            client_key=said.client_key,
            seconds=said.seconds,
            comment=said.comment,
            answers=answers,
        )
    )
