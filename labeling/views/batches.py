"""The page of batches: how far each is; making, renaming, pausing and resuming them."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from labeling import actions, batch_queries, places
from labeling.models import Project
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
        count = actions.pause_batch(actor=request.user, batch=batch)
        messages.success(
            request,
            _("“%(name)s” is paused: nobody gets one of its tasks (%(n)d). Rankings under way are still kept.")
            % {"name": batch.name, "n": count},
        )
    elif do == "resume":
        actions.resume_batch(actor=request.user, batch=batch)
        messages.success(request, _("“%(name)s” goes on; its tasks are in the queue again.") % {"name": batch.name})
    return redirect("project-batches", slug)
