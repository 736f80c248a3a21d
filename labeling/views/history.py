"""The pages of one's own rankings: what one said, and the board on which it is revised."""

from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache

from labeling import history, queries, review_queries
from labeling.actions.aside import is_practice
from labeling.models import Assignment, Project
from labeling.views import board
from labeling.views.lists import filter_of, page_of, search_of
from people.permissions import Right, requires

PER_PAGE = 50


@requires(Right.RANK)
@never_cache
def turns(request: HttpRequest, slug: str) -> HttpResponse:
    """One's own finished turns, newest first."""
    project = get_object_or_404(Project, slug=slug)
    if not queries.belongs(request.user, project):
        raise Http404
    search = search_of(request)
    choices = [(state.value, state.label) for state in history.FINISHED]
    state = filter_of(request, "state", _("What became of it"), choices)
    page = page_of(request, history.turns(request.user, project, search=search, state=state.value), PER_PAGE)
    context = {
        "project": project,
        "page": page,
        "rows": [(turn, history.notation(turn), history.reason(turn), history.versions(turn)) for turn in page],
        "query": search,
        "filters": [state],
    }
    return render(request, "labeling/history.html", context)


@requires(Right.RANK)
@never_cache
def turn(request: HttpRequest, slug: str, assignment: UUID) -> HttpResponse:
    """What one said about a task, version by version."""
    found = _own(request, slug, assignment)
    context = {
        "project": found.project,
        "turn": found,
        "outputs": history.outputs(found),
        "revisions": history.told_once(history.revisions(found)),
        "is_practice": is_practice(found),
        "feedback": history.feedback(found),
        "talk": review_queries.own_talk(request.user, found.task),
        "reason": history.reason(found),
        "may_revise": history.may_revise(found),
    }
    return render(request, "labeling/history_turn.html", context)


@requires(Right.RANK)
@never_cache
def revise(request: HttpRequest, slug: str, assignment: UUID) -> HttpResponse:
    """The board with the stored ranking and answers; what is submitted there becomes a new version."""
    found = _own(request, slug, assignment)
    if not history.may_revise(found):
        raise Http404
    return board.show(request, found.project, found, revising=reverse("rank-history-turn", args=[slug, found.pk]))


def _own(request: HttpRequest, slug: str, assignment: UUID) -> Assignment:
    found = history.own_turn(request.user, get_object_or_404(Project, slug=slug), assignment)
    if found is None:
        raise Http404
    return found
