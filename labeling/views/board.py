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

from labeling import actions, history, places, queries, questions, reading
from labeling.models import Assignment, Desk, Project
from labeling.people_queries import reason_of_pause
from labeling.views.board_texts import board_texts
from models_registry import words
from people.errors import Refusal
from people.models import User
from people.permissions import Right, can, requires

# The modules of the board's script in static/js/board, beside view.js: those that every board loads at once, and those that it loads when needed.
PRELOADED = (
    "deliver",
    "desk",
    "drag",
    "fold",
    "notation",
    "order",
    "pace",
    "page",
    "preferences",
    "reading",
    "save",
    "tiers",
)
ON_DEMAND = ("compare", "dialogs", "diff", "find", "questions")


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


@requires(Right.RANK, place=places.project)
@never_cache
def board(request: HttpRequest, slug: str) -> HttpResponse:
    project = get_object_or_404(Project, slug=slug)
    if project.content_warning and queries.standing(request.user.pk, project)["warning"]:
        _check_taking_part(request, project)
        return redirect("rank-warning", slug)
    assignment = actions.claim_task(actor=request.user, project=project)
    if assignment is None:
        _check_taking_part(request, project)
    return show(request, project, assignment)


@requires(Right.RANK)
@never_cache
def warning(request: HttpRequest, slug: str) -> HttpResponse:
    """What a project warns about, before the first task and whenever somebody wants to read it again or change their mind."""
    project = get_object_or_404(Project, slug=slug)
    _check_taking_part(request, project)
    if request.method == "POST":
        actions.accept_warning(
            actor=request.user, project=project, takes_sensitive=request.POST.get("sensitive") == "take"
        )
        return redirect("rank-project", slug)
    if not project.content_warning:
        return redirect("rank-project", slug)
    standing = queries.standing(request.user.pk, project)
    return render(request, "labeling/board_warning.html", {"project": project, "standing": standing})


def _check_taking_part(request: HttpRequest, project: Project) -> None:
    if not queries.belongs(request.user, project):
        raise Http404


def show(request: HttpRequest, project: Project, assignment: Assignment | None, *, revising: str = "") -> HttpResponse:
    """The whole page. `revising`: what was submitted is changed; the address of what it says now."""
    context = {
        **_task_context(request, project, assignment),
        "revising": revising,
        "texts": board_texts(),
        "modules": PRELOADED + ON_DEMAND,
        "preloaded": PRELOADED + (("questions",) if project.questions else ()),
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
            outcome = actions.skip_task(
                actor=actor,
                assignment=assignment,
                reason=data.get("reason", ""),
                seconds=_seconds(data.get("seconds", "")),
            )
        case "flag":
            outcome = actions.flag_task(
                actor=actor,
                assignment=assignment,
                flag=data.get("flag", ""),
                note=data.get("note", ""),
                seconds=_seconds(data.get("seconds", "")),
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
    can_undo = verb != "revise" and not outcome.final and outcome.assignment.state != Assignment.State.SPARE
    undo = f"{request.path.removesuffix(f'{verb}/')}undo/" if can_undo else ""
    return _answer(request, outcome.assignment.project, outcome.next, undo=undo, outcome=outcome)


def _answer(
    request: HttpRequest,
    project: Project,
    following: Assignment | None,
    *,
    undo: str = "",
    outcome: actions.Outcome | None = None,
) -> HttpResponse:
    """The next task. `undo`: the address that calls the task before back; `outcome`: what became of that."""
    context = _task_context(request, project, following, outcome.desk if outcome else None)
    good_news = _good_news(outcome, context) if outcome else ""
    feedback = outcome.feedback if outcome else None
    if request.get_preferred_type(["text/html", "application/json"]) != "application/json":
        if good_news:
            messages.success(request, good_news)
        if feedback:
            return redirect("rank-history-turn", project.slug, outcome.assignment.pk)
        return redirect("rank-project", project.slug)
    if feedback:
        practised = outcome.assignment
        context |= {
            "feedback": feedback,
            "practised": practised,
            "practised_said": queries.as_shown(practised, outcome.ranking),
            "practised_outputs": history.outputs(practised),
        }
    return JsonResponse(
        {
            # Without the request: the script has its token from the page, and what else the context processors know is not shown here.
            "html": render_to_string("labeling/board_task.html", context),
            "progress": context["progress"],
            "good_news": good_news,
            "undo": undo,
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


def _task_context(
    request: HttpRequest, project: Project, assignment: Assignment | None, desk: Desk | None = None
) -> dict[str, object]:
    state = queries.board_state(assignment, desk) if assignment else None
    asked = questions.read(project.questions) if state else []
    progress = state["progress"] if state else queries.progress(request.user.pk, project)
    standing = state or queries.standing(request.user.pk, project)
    turns = reading.turns(state["prompt"]) if state else None
    return {
        "project": project,
        "state": state,
        "questions": asked,
        "about_outputs": [question for question in asked if question.scope == questions.OUTPUT],
        "about_task": [question for question in asked if question.scope == questions.TASK],
        "said": json.dumps(_beside(state)) if state else "[]",
        "turns": [{**turn, "who": _who(turn["role"])} for turn in turns] if turns else None,
        "direction": reading.direction(state["prompt"]) if state else "",
        # Once: a verb is the address's last part (labeling/urls.py).
        "verbs": reverse("turn", args=[assignment.pk, "submit"]).removesuffix("submit/") if assignment else "",
        "ranks": range(1, len(state["outputs"]) + 1) if state else [],
        "progress": _figures(progress, standing, state["round"] if state else ""),
        "today": progress["today"],
        "standing": standing,
        "way": queries.way(assignment) if state and state["stage"] != Desk.Stage.WORKING else None,
        "whom_to_ask": queries.admins_of(project)[:3] if standing["paused"] else [],
        "leads_to_project": not state and can(request.user, Right.SEE_PROJECTS, project),
        "pause_reason": reason_of_pause(request.user, project) if standing["paused"] == Desk.Pause.ADMIN else "",
        "client_key": secrets.token_hex(16),  # for the form without script
    }


def _beside(state: queries.BoardState) -> list[tuple[str, str]]:
    """Of a task that was called back or is revised: the fields of the form that said something beside the ranking."""
    fields = questions.to_fields(state["answers"])
    return [*fields, ("comment", state["comment"])] if state["comment"] else fields


def _who(role: str) -> str:
    names = {"user": _("Person"), "assistant": _("Assistant"), "system": _("Instructions"), "tool": _("Tool")}
    return names.get(role, role)


def _good_news(outcome: actions.Outcome, context: dict) -> str:
    """What a turn has brought about, once: the qualification is passed, the goal of the day is reached."""
    if outcome.qualified:
        return _("You have passed the qualification, welcome: from here on your rankings count.")
    if outcome.counted and context["today"] == context["standing"]["goal"]:
        return _("You have reached your goal for today.")
    return ""


def _figures(progress: queries.Progress, standing: queries.Standing, round: str) -> str:
    """How far somebody is, in a line: today, what waits, the round, how far they agree with others."""
    n, goal = progress["today"], standing["goal"]
    if goal:
        figures = [_("%(n)s of %(goal)s today") % {"n": n, "goal": goal}]
        if n >= goal:
            figures.append(_("goal reached"))
    else:
        figures = [ngettext("%(n)s ranked today", "%(n)s ranked today", n) % {"n": n}]
    waiting = progress["available"]
    if waiting >= queries.COUNT_AHEAD:
        figures.append(_("more than %(n)s waiting") % {"n": queries.COUNT_AHEAD - 1})
    elif progress["rounded"] and waiting:
        figures.append(_("up to %(n)s waiting") % {"n": waiting})
    else:
        figures.append(_("%(n)s waiting") % {"n": waiting})
    if round:
        figures.append(round)
    if standing["agreement"] is not None:
        figures.append(_("agreement with others %(n)s") % {"n": words.figure(standing["agreement"], 2)})
    return " · ".join(figures)


def _seconds(text: str) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        raise Refusal(_("The time must be a number of seconds, 0 or more.")) from None
