"""The ranking board and the list of projects that lead to it. Letters only: nothing here knows who wrote what."""

import json
import secrets

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from labeling import actions, history, queries, questions, reading
from labeling.models import Assignment, Project
from labeling.ranking import MESSAGES
from people.errors import Refusal
from people.models import User
from people.permissions import Right, requires

# The modules of the board's script in static/js/board, beside view.js: those that every board loads at once, and those that it loads when needed.
PRELOADED = ("deliver", "desk", "drag", "fold", "notation", "order", "page", "preferences", "reading", "save", "tiers")
ON_DEMAND = ("compare", "diff", "find", "questions")


@requires(Right.RANK)
@never_cache
def rank(request: HttpRequest) -> HttpResponse:
    """The projects in which one may rank; a single one opens at once."""
    projects = list(queries.projects_to_rank(request.user))
    if len(projects) == 1:
        return redirect("rank-project", projects[0].slug)
    rows = [(project, queries.progress(request.user.pk, project)) for project in projects]
    context = {"rows": rows, "count_ahead": queries.COUNT_AHEAD}
    return render(request, "labeling/board_projects.html", context)


@requires(Right.RANK)
@never_cache
def board(request: HttpRequest, slug: str) -> HttpResponse:
    project = get_object_or_404(Project, slug=slug)
    assignment = actions.claim_task(actor=request.user, project=project)
    if assignment is None and project.state == Project.State.OPEN and not queries.may_rank(request.user, project):
        raise Http404
    return show(request, project, assignment)


def show(request: HttpRequest, project: Project, assignment: Assignment | None, *, revising: str = "") -> HttpResponse:
    """The whole page. `revising`: what was submitted is changed; the address of what it says now."""
    context = {
        **_task_context(request, project, assignment),
        "revising": revising,
        "texts": _texts(),
        "modules": PRELOADED + ON_DEMAND,
        "preloaded": PRELOADED,
        "flags": Assignment.Flag.choices,
        "skip_reasons": [
            _("I do not know enough about the subject"),
            _("I do not understand the language well enough"),
            _("It would take too long to read"),
        ],
    }
    return render(request, "labeling/board.html", context)


@requires(Right.RANK)
@require_POST
def turn(request: HttpRequest, assignment: str, verb: str) -> HttpResponse:
    """One verb on one's own turn; the answer brings the next task. Without script it is a form, and the answer a redirect."""
    data, actor = request.POST, request.user
    match verb:
        case "submit" | "revise":
            act = actions.submit_ranking if verb == "submit" else actions.revise_ranking
            outcome = act(
                actor=actor,
                assignment=assignment,
                notation=data.get("ranking", ""),
                client_key=data.get("client_key", ""),
                seconds=_seconds(data.get("seconds", "")),
                comment=data.get("comment", ""),
                answers=_answers(actor, assignment, data),
            )
        case "skip":
            outcome = actions.skip_task(actor=actor, assignment=assignment, reason=data.get("reason", ""))
        case "flag":
            outcome = actions.flag_task(
                actor=actor, assignment=assignment, flag=data.get("flag", ""), note=data.get("note", "")
            )
        case "undo":
            called_back = actions.undo(actor=actor, assignment=assignment)
            return _answer(request, called_back.project, called_back)
        case "ask":
            actions.ask(actor=actor, assignment=assignment, text=data.get("text", ""))
            return JsonResponse({"done": _("Your question is on its way. The answer comes to your notices.")})
        case "extend":
            return JsonResponse({"held": actions.extend_lease(actor=actor, assignment=assignment)})
        case _:
            raise Http404
    if verb == "revise" and "from_history" in data:
        return _back_to_history(request, outcome)
    can_undo = verb != "revise" and outcome.assignment.state != Assignment.State.SPARE
    return _answer(request, outcome.assignment.project, outcome.next, undo=assignment if can_undo else "")


def _answer(request: HttpRequest, project: Project, following: Assignment | None, undo: str = "") -> HttpResponse:
    if request.get_preferred_type(["text/html", "application/json"]) != "application/json":
        return redirect("rank-project", project.slug)
    context = _task_context(request, project, following)
    return JsonResponse(
        {
            "html": render_to_string("labeling/board_task.html", context, request),
            "progress": context["progress"],
            "undo": reverse("turn", args=[undo, "undo"]) if undo else "",
        }
    )


def _back_to_history(request: HttpRequest, outcome: actions.Outcome) -> HttpResponse:
    done = outcome.assignment
    said = queries.as_shown(done, outcome.ranking)
    messages.success(request, _("Stored: %(ranking)s") % {"ranking": said})
    address = reverse("rank-history-turn", args=[done.project.slug, done.pk])
    if request.get_preferred_type(["text/html", "application/json"]) != "application/json":
        return redirect(address)
    return JsonResponse({"go": address})


def _answers(actor: User, assignment: str, fields: QueryDict) -> dict[str, object]:
    """The answers in the fields that came with a ranking."""
    if not any(name.startswith(f"{questions.FIELD}.") for name in fields):
        return {}
    definition = Project.objects.filter(assignments=assignment, assignments__annotator=actor).values_list(
        "questions", flat=True
    )
    return questions.from_fields(questions.read(definition.first() or []), dict(fields.lists()))


def _task_context(request: HttpRequest, project: Project, assignment: Assignment | None) -> dict[str, object]:
    state = queries.board_state(assignment) if assignment else None
    asked = questions.read(project.questions) if state else []
    progress = state["progress"] if state else queries.progress(request.user.pk, project)
    turns = reading.turns(state["prompt"]) if state else None
    return {
        "project": project,
        "state": state,
        "questions": asked,
        "about_outputs": [question for question in asked if question.scope == questions.OUTPUT],
        "about_task": [question for question in asked if question.scope == questions.TASK],
        "said": _said(assignment) if assignment else "[]",
        "turns": [{**turn, "who": _who(turn["role"])} for turn in turns] if turns else None,
        "direction": reading.direction(state["prompt"]) if state else "",
        "ranks": range(1, len(state["outputs"]) + 1) if state else [],
        "progress": _progress_text(progress),
        "client_key": secrets.token_hex(16),  # for the form without script
    }


def _said(assignment: Assignment) -> str:
    """Of a task that was called back or is revised: the fields of the form that said something beside the ranking, as JSON."""
    before = assignment.rankings.order_by("-revision").first() if assignment.revisions else None
    if before is None:
        return "[]"
    fields = questions.to_fields(history.answers_as_shown(assignment, before))
    return json.dumps([*fields, ("comment", before.comment)] if before.comment else fields)


def _who(role: str) -> str:
    names = {"user": _("Person"), "assistant": _("Assistant"), "system": _("Instructions"), "tool": _("Tool")}
    return names.get(role, role)


def _progress_text(progress: queries.Progress) -> str:
    today = ngettext("%(n)s ranked today", "%(n)s ranked today", progress["today"]) % {"n": progress["today"]}
    if progress["available"] >= queries.COUNT_AHEAD:
        return _("%(today)s · more than %(n)s waiting") % {"today": today, "n": queries.COUNT_AHEAD - 1}
    return _("%(today)s · %(n)s waiting") % {"today": today, "n": progress["available"]}


def _seconds(text: str) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        raise Refusal(_("The time must be a number of seconds, 0 or more.")) from None


def _texts() -> dict[str, object]:
    """What the script says to people, translated here where all other texts are."""
    return {
        "errors": {code: _(template) for code, template in MESSAGES.items()},
        "ordinals": [
            _("first"), _("second"), _("third"), _("fourth"), _("fifth"), _("sixth"), _("seventh"), _("eighth"), _("ninth"),
        ],
        "short_ordinals": [
            _("1st"), _("2nd"), _("3rd"), _("4th"), _("5th"), _("6th"), _("7th"), _("8th"), _("9th"),
        ],
        "and": _("and"),
        "placed": _("%(letter)s %(ordinal)s"),
        "placed_tied": _("%(letter)s %(ordinal)s, tied with %(others)s"),
        "unranked": _("%(letter)s not ranked"),
        "line_drawn": _("Good enough: %(letters)s"),
        "line_none": _("Good enough: none"),
        "line_removed": _("No line"),
        "rest_on": _("The outputs that are not ranked are worse than all that are"),
        "rest_off": _("Nothing is said about the outputs that are not ranked"),
        "unanswered": _("Not answered yet: %(question)s."),
        "unanswered_about": _("Not answered yet: %(question)s, for %(letters)s."),
        "all_answered": _("All questions are answered."),
        "checked": _("chosen"),
        "unchecked": _("not chosen"),
        "not_asked": _("Not sent: the server cannot be reached. Your question is kept here."),
        "undone": _("Step undone"),
        "nothing_to_undo": _("There is nothing to undo"),
        "draft": _("Your draft is back."),
        "unstored": _("This ranking was not stored yet; submit it again."),
        "start_here": _("Press a digit, drag letters here, or type the order below"),
        "start_here_by_touch": _("Tap a rank, or drag"),
        "unranked_label": _("not ranked"),
        "good_enough": _("good enough"),
        "rest_label": _("the rest"),
        "missing": _("Not ranked yet: %(letters)s."),
        "nothing_said": _("Nothing is ranked yet."),
        "fix_typing": _("The typed order cannot be read yet; mend it or clear it."),
        "unread": _("You have not read %(letters)s to the end. Submit all the same?"),
        "submit": _("Submit"),
        "saving": _("Saving …"),
        "stored": _("Stored: %(ranking)s"),
        "skipped": _("Skipped"),
        "flagged": _("Flagged"),
        "undo": _("Undo"),
        "called_back": _("Your last task is back."),
        "new_task": _("Next task. %(progress)s"),
        "all_done": _("All done."),
        "offline": _("Not saved: the server cannot be reached. Your ranking is kept here, also if you close the page."),
        "signed_out": _("Not saved: you are signed out. Your ranking is kept here. Sign in in the new tab, then try again."),
        "broken": _("Not saved: the server met an error. Your ranking is kept here; try again in a moment."),
        "retry": _("Try again"),
        "sign_in": _("Sign in"),
        "revise": _("Replace it by this ranking"),
        "next": _("Go to the next task"),
    }  # fmt: skip
