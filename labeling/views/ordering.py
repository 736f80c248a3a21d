"""The page of the queue's order: by arrival or by score, the random share, scores from a reward model or a file."""

from django.contrib import messages
from django.db.models import Count, Max, Min, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_http_methods

from labeling import actions, export, places, scores, uploads
from labeling.actions.many import Changed
from labeling.forms.filling import ImportForm
from labeling.forms.tasks import OrderForm, ScorerForm
from labeling.models import Project, Task
from labeling.project_queries import changes_under_way
from people.downloads import json_lines_file
from people.errors import Refusal
from people.permissions import Right, can, requires

EXAMPLE = '{"task": 1, "score": 0.83}\n{"task": 2, "score": 0.12}\n'


@require_http_methods(["GET", "POST"])
@requires(Right.MANAGE_PROJECTS, place=places.project)
def order(request: HttpRequest, slug: str) -> HttpResponse:
    project = get_object_or_404(Project, slug=slug)
    do = request.POST.get("do", "")
    upload = ImportForm(request.POST, request.FILES) if do == "scores" else ImportForm()
    form = OrderForm(request.POST if do == "share" else None, initial={"random_percent": project.random_percent})
    model = ScorerForm(request.POST if do == "model" else None)
    problems: list[str] = []
    try:
        if do == "score":
            ordered = actions.order_by_score(actor=request.user, project=project)
            _say(request, ordered, _("Tasks with the highest score come first now. In the queue: %(n)d."))
        elif do == "arrival":
            ordered = actions.order_by_arrival(actor=request.user, project=project)
            _say(request, ordered, _("Tasks come in the order in which they arrived. In the queue: %(n)d."))
        elif do == "share" and form.is_valid():
            changed = actions.change_project(actor=request.user, project=project, **form.cleaned_data)
            if changed.active_order:  # the share that is there was drawn with the old one
                actions.order_by_score(actor=request.user, project=changed)
            messages.success(request, _("The random share is saved."))
        elif do == "scores" and upload.is_valid():
            scored = _take_scores(request, project, upload)
            said = ngettext(
                "%(n)d score was taken; the highest come first now.",
                "%(n)d scores were taken; the highest come first now.",
                scored.tasks,
            )
            _say(request, scored, said)
        elif do == "model" and model.is_valid():
            actions.start_scoring_tasks(actor=request.user, project=project, **model.cleaned_data)
        if do and not form.errors and not upload.errors and not model.errors:
            return redirect("project-order", slug)
    except Refusal as refusal:
        problems = list(refusal.problems)
    waits = Q(position__isnull=False)
    figures = project.tasks.aggregate(
        waiting=Count("pk", filter=waits),
        scored=Count("pk", filter=waits & Q(score__isnull=False)),
        at_random=Count("pk", filter=waits & Q(chosen=Task.Chosen.RANDOM)),
        lowest=Min("score"),
        highest=Max("score"),
    )
    context = {
        "project": project,
        "tab": "tasks",
        "part": "order",
        "form": form,
        "upload": upload,
        "model": model if can(request.user, Right.TRY_MODELS) else None,
        "example": EXAMPLE,
        "figures": figures,
        "problems": problems,
        "jobs": changes_under_way(project),
    }
    return render(request, "labeling/order.html", context, status=400 if do else 200)


def _say(request: HttpRequest, changed: Changed, said: str) -> None:
    if changed.jobs:
        said = _("The queue is being put in order, step by step. You can leave this page; it goes on.")
    messages.success(request, said % {"n": changed.tasks})


def _take_scores(request: HttpRequest, project: Project, form: ImportForm) -> Changed:
    kept = uploads.keep(request.user, *form.content())
    try:
        found = scores.read_scores(project, kept.path, kept.name)
    finally:
        uploads.discard(kept)
    return actions.set_scores(actor=request.user, project=project, scores=found)


@require_GET
@requires(Right.MANAGE_PROJECTS, place=places.project)
def to_score(request: HttpRequest, slug: str) -> HttpResponse:
    """The tasks that wait, as JSON lines, for a model that scores them elsewhere."""
    project = get_object_or_404(Project, slug=slug)
    return json_lines_file(export.export_to_score(actor=request.user, project=project), f"{project.slug}-tasks")
