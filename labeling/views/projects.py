"""Pages of projects: the list, a project's overview."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from jobs.models import Job
from labeling import batch_queries, hooks, people_queries, places, project_queries, queries, task_queries
from labeling.models import Project
from labeling.views.lists import filter_of, page_of, search_of
from people.permissions import ANYWHERE, Right, requires


@require_GET
@requires(Right.SEE_PROJECTS, place=ANYWHERE)
def projects(request: HttpRequest) -> HttpResponse:
    state = filter_of(request, "state", _("Open and paused"), Project.State.choices)
    search = search_of(request)
    context = {
        "page": page_of(request, project_queries.project_list(request.user, search=search, state=state.value)),
        "query": search,
        "filters": [state],
        "any": places.projects_with(request.user, Right.SEE_PROJECTS).exists(),
    }
    return render(request, "labeling/projects.html", context)


@require_GET
@requires(Right.SEE_PROJECTS, place=places.project)
def project(request: HttpRequest, slug: str) -> HttpResponse:
    """What to do next, how it goes, the people."""
    project = get_object_or_404(Project, slug=slug)
    counts = queries.project_counts(project)
    snapshot = project.snapshots.first()
    used = snapshot is not None and hooks.uses([snapshot])[snapshot.pk] > 0
    steps = project_queries.steps(project, counts, snapshot, trained=used)
    context = {
        "project": project,
        "tab": "overview",
        "counts": counts,
        "left": counts["wanted"] - counts["rankings"],
        "steps": steps,
        "next": next((step.name for step in steps if step.current), ""),
        "snapshot": snapshot,
        "throughput": project_queries.throughput(project, wanted=counts["wanted"], ranked=counts["rankings"]),
        "people": people_queries.people_in(project),
        "attention": project_queries.attention(project),
        "stranded": task_queries.stranded(project),
        "batches": batch_queries.batch_progress(project) if project.batches.exists() else [],
        "jobs": Job.objects.filter(
            subject=queries.subject_of(project), state__in=[Job.State.WAITING, Job.State.RUNNING]
        ),
    }
    return render(request, "labeling/project.html", context)
