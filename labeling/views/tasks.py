"""Pages of tasks, for those who may see behind them."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from labeling import actions, places, project_queries, queries
from labeling.models import Assignment, Project, Task
from people.permissions import Right, requires


@require_GET
@requires(Right.SEE_PROJECTS, place=places.project)
def task(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """A task as annotators never see it: who wrote what, and what everyone said."""
    project = get_object_or_404(Project, slug=slug)
    task = get_object_or_404(project.tasks.select_related("prompt"), pk=pk)
    turns = (
        task.assignments.exclude(state=Assignment.State.EXPIRED)
        .select_related("annotator")
        .prefetch_related("rankings")
        .order_by("finished_at", "claimed_at")
    )
    context = {
        "project": project,
        "task": task,
        "outputs": project_queries.outputs_of(task),
        "turns": turns,
        "can_rank_it": queries.may_rank_task(request.user, task),
        "before": project.tasks.filter(pk__lt=task.pk).order_by("-pk").first(),
        "after": project.tasks.filter(pk__gt=task.pk).order_by("pk").first(),
    }
    return render(request, "labeling/task.html", context)


@require_POST
@requires(Right.RANK)
def rank_task(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """The board, with this very task on it."""
    actions.claim_this_task(actor=request.user, task=get_object_or_404(Task, project__slug=slug, pk=pk))
    return redirect("rank-project", slug)
