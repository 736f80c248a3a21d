"""The page of batches: how far each is; making, renaming, pausing and resuming them."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from labeling import actions, batch_queries, places
from labeling.models import Project
from labeling.project_queries import changes_under_way
from people.permissions import Right, requires


@require_GET
@requires(Right.SEE_PROJECTS, place=places.project)
def batches(request: HttpRequest, slug: str) -> HttpResponse:
    project = get_object_or_404(Project, slug=slug)
    context = {
        "project": project,
        "tab": "tasks",
        "part": "batches",
        "any": project.batches.exists(),
        "rows": batch_queries.batch_progress(project),
        "jobs": changes_under_way(project),
    }
    return render(request, "labeling/batches.html", context)


@require_POST
@requires(Right.MANAGE_PROJECTS, place=places.project)
def make(request: HttpRequest, slug: str) -> HttpResponse:
    """An empty batch; its tasks are put into it on the page of tasks, or come with an import."""
    project = get_object_or_404(Project, slug=slug)
    batch = actions.create_batch(actor=request.user, project=project, name=request.POST.get("name", ""))
    messages.success(request, _("The batch “%(name)s” is there. Next: put tasks into it.") % {"name": batch.name})
    return redirect("project-batches", slug)


@require_POST
@requires(Right.MANAGE_PROJECTS, place=places.project)
def change(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """`do`: rename, pause or resume."""
    project = get_object_or_404(Project, slug=slug)
    batch = get_object_or_404(project.batches, pk=pk)
    do = request.POST.get("do", "")
    if do == "rename":
        actions.rename_batch(actor=request.user, batch=batch, name=request.POST.get("name", ""))
        messages.success(request, _("The batch has a new name."))
    elif do == "pause":
        changed = actions.pause_batch(actor=request.user, batch=batch)
        said = _("“%(name)s” is paused: nobody gets one of its tasks (%(n)d). Rankings under way are still kept.")
        if changed.jobs:
            said = _("“%(name)s” is paused: its tasks (%(n)d) leave the queue step by step. You can leave this page.")
        messages.success(request, said % {"name": batch.name, "n": changed.tasks})
    elif do == "resume":
        changed = actions.resume_batch(actor=request.user, batch=batch)
        said = _("“%(name)s” goes on; its tasks are in the queue again.")
        if changed.jobs:
            said = _("“%(name)s” goes on: its tasks (%(n)d) join the queue step by step. You can leave this page.")
        messages.success(request, said % {"name": batch.name, "n": changed.tasks})
    return redirect("project-batches", slug)
