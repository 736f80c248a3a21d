"""The start page: what is going on in all apps, and one next action for someone new."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import ngettext

from labeling.models import Project, Ranking
from models_registry.models import Version
from people.permissions import ANYWHERE, Right, can, signed_in
from training.models import Run


@signed_in
def home(request: HttpRequest) -> HttpResponse:
    """Annotators go straight to ranking; whoever sees more gets the overview."""
    if not can(request.user, Right.SEE_PROJECTS):
        if can(request.user, Right.SEE_PROJECTS, ANYWHERE):
            return redirect("projects")
        return redirect("rank" if can(request.user, Right.RANK) else "account")
    active = [Run.State.RUNNING, Run.State.STOPPING, Run.State.QUEUED]
    counts = {
        "projects": Project.objects.count(),
        "rankings": Ranking.objects.filter(current=True).count(),
        "versions": Version.objects.count(),
        "runs": Run.objects.count(),
    }
    context = {
        "projects": Project.objects.exclude(state=Project.State.ARCHIVED)[:5],
        "active_runs": Run.objects.filter(state__in=active)[:5],
        "finished_runs": Run.objects.exclude(state__in=active).select_related("produced__model")[:5],
        "counts": counts,
        "figures": [
            (counts["rankings"], ngettext("ranking", "rankings", counts["rankings"])),
            (counts["projects"], ngettext("project", "projects", counts["projects"])),
            (counts["versions"], ngettext("model version", "model versions", counts["versions"])),
            (counts["runs"], ngettext("run", "runs", counts["runs"])),
        ],
    }
    return render(request, "home.html", context)
