"""The talk about a task: questions from the board, their answers, remarks of reviewers.

Annotators read their own questions and what answers them (queries: labeling/review_queries.py), nothing else: no remark, no question of
another person.
"""

from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from jobs.telling import tell
from labeling.models import Assignment, Comment, Project, Task
from people import notices
from people.errors import Refusal
from people.models import Role, User, audit
from people.permissions import Right, can, check

ASKED = gettext_noop("%(who)s asks about a task of “%(project)s”: %(said)s")
MOST_CHARACTERS = 4000
IN_A_NOTICE = 120


@transaction.atomic
def ask(*, actor: User, assignment: Assignment | UUID | str, text: str) -> Comment:
    """A question about a task that `actor` has or had, at the board. Those who run the project are told."""
    turn = own_turn(actor, assignment)
    text = _said(text)
    question = Comment.objects.create(task=turn.task, author=actor, text=text, is_question=True)
    for person in _who_runs(turn.project):
        if person != actor:
            tell(
                person=person,
                text=ASKED,
                address=_thread(turn.task),
                who=str(actor),
                project=turn.project.name,
                said=_short(text),
                question=str(question.pk),
            )
    audit(actor, "task.ask", turn.task, comment=question.pk)
    return question


@transaction.atomic
def answer(*, actor: User, question: Comment, text: str) -> Comment:
    """Answer a question, which is resolved by that; who asked is told, and may read it."""
    question, task = _locked(question)
    check(actor, Right.REVIEW, place=task.project)
    text = _said(text)
    if not question.is_question:
        raise Refusal(_("Only a question can be answered."))
    made = Comment.objects.create(task=task, author=actor, text=text, answers=question)
    if question.resolved_at is None:
        _resolve(question, actor)
    if question.author != actor:
        tell(
            person=question.author,
            text=gettext_noop("Your question about a task of “%(project)s” is answered: %(said)s"),
            address=_address_for(question.author, task),
            project=task.project.name,
            said=_short(text),
        )
    audit(actor, "task.answer", task, comment=made.pk, question=question.pk)
    return made


@transaction.atomic
def comment(*, actor: User, task: Task, text: str) -> Comment:
    """A remark of a reviewer, for other reviewers."""
    check(actor, Right.REVIEW, place=task.project)
    made = Comment.objects.create(task=task, author=actor, text=_said(text))
    audit(actor, "task.comment", task, comment=made.pk)
    return made


@transaction.atomic
def resolve(*, actor: User, question: Comment) -> Comment:
    """Nothing more is to be said to a question. Who asked may say so, or a reviewer."""
    question, task = _locked(question)
    if question.author != actor:
        check(actor, Right.REVIEW, place=task.project)
    if not question.is_question:
        raise Refusal(_("Only a question can be resolved."))
    if question.resolved_at is None:
        _resolve(question, actor)
        audit(actor, "task.resolve", task, comment=question.pk)
    return question


def own_turn(actor: User, assignment: Assignment | UUID | str) -> Assignment:
    """A turn of the actor's own, whatever became of it; a Refusal (404) if it is not."""
    try:
        found = (
            Assignment.objects.select_related("task__prompt", "project")
            .filter(pk=getattr(assignment, "pk", assignment), annotator=actor)
            .first()
        )
    except ValidationError:  # no UUID
        found = None
    if found is None:
        raise Refusal(_("This task is not yours, or it does not exist."), status=404)
    check(actor, Right.RANK, place=found.project)
    return found


def _said(text: str) -> str:
    text = text.strip()
    if not text:
        raise Refusal(_("Write something first."))
    if len(text) > MOST_CHARACTERS:
        raise Refusal(_("That is too long; at most %(most)d characters.") % {"most": MOST_CHARACTERS})
    return text


def _short(text: str) -> str:
    return Truncator(" ".join(text.split())).chars(IN_A_NOTICE)


def _locked(comment: Comment) -> tuple[Comment, Task]:
    found = (
        Comment.objects.select_for_update(of=("self",)).select_related("task__project", "author").get(pk=comment.pk)
    )
    return found, found.task


def _resolve(question: Comment, actor: User) -> None:
    question.resolved_at, question.resolved_by = timezone.now(), actor
    question.save(update_fields=["resolved_at", "resolved_by"])
    notices.settle(texts=[ASKED], question=str(question.pk))  # nobody else need look at it


def _who_runs(project: Project) -> list[User]:
    """The project's owner and admins who can answer; if it has none any more, the site's admins."""
    people = User.objects.filter(is_active=True, is_simulated=False)
    admins = Q(memberships__project=project, memberships__role=Role.ADMIN)
    own = [
        person
        for person in people.filter(admins | Q(pk=project.created_by_id)).distinct()
        if can(person, Right.REVIEW, place=project)
    ]
    return own or list(people.filter(role=Role.ADMIN))


def _thread(task: Task) -> str:
    return reverse("project-review-task", args=[task.project.slug, task.pk]) + "#talk"


def _address_for(person: User, task: Task) -> str:
    """Where somebody may read the answer to their question."""
    if can(person, Right.REVIEW, place=task.project):
        return _thread(task)
    turn = task.assignments.filter(annotator=person).order_by("repeat").first()
    return reverse("turn-talk", args=[turn.pk]) if turn else reverse("rank")
