"""Pages of tasks, for those who may see behind them: the list with its filters, and one task."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from labeling import actions, lanes, places, queries, task_queries
from labeling.models import Assignment, Project, Split, Task
from labeling.views.lists import Filter, filter_of, page_of, search_of
from people.permissions import Right, requires


@require_GET
@requires(Right.SEE_PROJECTS, place=places.project)
def tasks(request: HttpRequest, slug: str) -> HttpResponse:
    """The tasks that fit the filters in the address. Columns and filters about what the project does not use are left out."""
    project = get_object_or_404(Project, slug=slug)
    used = used_by(project)
    filters = filters_of(request, project, used)
    fits = fits_of(request, filters)
    found = task_queries.tasks_of(project, fits).select_related("prompt", "batch")
    sort = filter_of(request, "sort", _("In the order they were made"), sorts_of(used))
    page = page_of(request, task_queries.in_order(project, found, sort.value), size=50)
    shown = [task.pk for task in page]
    known = task_queries.agreements(project, shown) if used["agreement"] else {}
    for task in page:
        task.agreement = known.get(task.pk)
        task.for_whom = used["owners"].get(lanes.owner_of(task.lane), "")
    context = {
        "project": project,
        "tab": "tasks",
        "part": "tasks",
        "any": project.tasks.exists(),
        "page": page,
        "used": used,
        "query": fits.search,
        "filters": [*filters, sort],
        "matching": page.paginator.count,
        "all_of_them": fits.everything,
    }
    return render(request, "labeling/tasks.html", context)


def used_by(project: Project) -> dict:
    """What the project's tasks make use of."""
    return {
        "owners": task_queries.owners(project),
        "batches": list(project.batches.all()),
        "priorities": project.priorities if project.priorities != [0] else [],
        "scores": project.tasks.filter(score__isnull=False).exists(),
        "kinds": project.known_kinds,
        "sensitive": project.tasks.filter(sensitive=True).exists(),
        "extra": project.overlap_max is not None,
        "agreement": project.tasks.filter(submitted__gte=2).exists(),
    }


def filters_of(request: HttpRequest, project: Project, used: dict) -> list[Filter]:
    """The filters of the list, each with the value that the address gives it."""
    states = [("unranked", _("not ranked yet")), ("ranked", _("ranked")), *Task.State.choices]
    found = [
        filter_of(request, "state", _("All tasks"), states),
        filter_of(request, "split", _("Both splits"), Split.choices),
    ]
    if used["batches"]:
        batches = [(batch.pk, batch.name) for batch in used["batches"]]
        found.append(filter_of(request, "batch", _("All batches"), [*batches, ("none", _("in no batch"))]))
    if used["kinds"]:
        found.append(filter_of(request, "kind", _("All kinds"), Task.Kind.choices))
    if used["priorities"]:
        priorities = [(number, _("priority %(n)d") % {"n": number}) for number in used["priorities"]]
        found.append(filter_of(request, "priority", _("All priorities"), priorities))
    if used["owners"]:
        found.append(filter_of(request, "owner", _("For anybody"), [("all", _("everybody")), *used["owners"].items()]))
    if used["sensitive"]:
        found.append(
            filter_of(
                request, "sensitive", _("Sensitive or not"), [("yes", _("sensitive")), ("no", _("not sensitive"))]
            )
        )
    if used["extra"]:
        found.append(filter_of(request, "contested", _("Contested or not"), [("yes", _("contested"))]))
    return found


def fits_of(request: HttpRequest, filters: list[Filter]) -> task_queries.Fits:
    return task_queries.Fits.of({"search": search_of(request), **{each.name: each.value for each in filters}})


def sorts_of(used: dict) -> list[tuple[str, str]]:
    sorts = [("queue", _("as they stand in the queue")), ("rankings", _("most rankings first"))]
    if used["priorities"]:
        sorts.append(("priority", _("highest priority first")))
    if used["scores"]:
        sorts.append(("score", _("highest score first")))
    if used["agreement"]:
        sorts.append(("agreement", _("least agreement first")))
    return sorts


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
        "outputs": task_queries.outputs_of(task),
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
