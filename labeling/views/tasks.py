"""Pages of tasks, for those who may see behind them: the list with its filters, and one task."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from labeling import actions, known_queries, lanes, places, queries, task_queries
from labeling.forms.tasks import ChangeForm, KnownForm
from labeling.models import Assignment, GoldAnswer, Project, Split, Task
from labeling.project_queries import changes_under_way
from labeling.quality import Quality
from labeling.views.known import looked_at
from labeling.views.lists import Filter, filter_of, page_of, search_of
from people.errors import Refusal, wrong_with
from people.permissions import Right, can, requires
from people.searching import row_keys


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
    # Of all tasks, agreement is a part of the quality report, which is kept; of those on the page it is worked out below.
    agreed = {int(pk): each for pk, each in Quality(project)["tasks"].items()} if sort.value == "agreement" else None
    page = page_of(request, task_queries.in_order(project, found, sort.value, agreed), size=50)
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
        "change": ChangeForm(project=project),
        "jobs": changes_under_way(project),
        "stranded": task_queries.stranded(project),
    }
    return render(request, "labeling/tasks.html", context)


@require_POST
@requires(Right.MANAGE_PROJECTS, place=places.project)
def change(request: HttpRequest, slug: str) -> HttpResponse:
    """Change the tasks that were ticked, or all that fit the filters in the address."""
    project = get_object_or_404(Project, slug=slug)
    if request.POST.get("which") == "all":
        fits = fits_of(request, filters_of(request, project, used_by(project)))
        chosen = list(task_queries.tasks_of(project, fits).values_list("pk", flat=True))
    else:
        chosen = row_keys(request.POST.getlist("tasks"))
    form = ChangeForm(request.POST, project=project)
    if not form.is_valid():
        raise Refusal(wrong_with(form, labels=True))
    messages.success(request, form.carry_out(request.POST.get("do", ""), actor=request.user, tasks=chosen))
    address = reverse("project-tasks", args=[project.slug])
    return redirect(f"{address}?{request.GET.urlencode()}" if request.GET else address)


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
        found.append(
            filter_of(request, "batch", _("All batches"), [*batches, ("none", capfirst(_("in no batch")))], names=True)
        )
    if used["kinds"]:
        found.append(filter_of(request, "kind", _("All kinds"), Task.Kind.choices))
    if used["priorities"]:
        priorities = [(number, _("priority %(n)d") % {"n": number}) for number in used["priorities"]]
        found.append(filter_of(request, "priority", _("All priorities"), priorities))
    if used["owners"]:
        found.append(
            filter_of(
                request,
                "owner",
                _("For anybody"),
                [("all", capfirst(_("everybody"))), *used["owners"].items()],
                names=True,
            )
        )
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
    task = get_object_or_404(project.tasks.select_related("prompt", "batch"), pk=pk)
    turns = (
        task.assignments.exclude(state=Assignment.State.EXPIRED)
        .select_related("annotator", "project")
        .prefetch_related("rankings")
        .order_by("finished_at", "claimed_at")
    )
    outputs = task_queries.outputs_of(task)
    for turn in turns:
        for ranking in turn.rankings.all():
            ranking.said = task_queries.answers_said(ranking, outputs)
    suggestions = suggested_answers(task) if can(request.user, Right.MANAGE_PROJECTS, project) else []
    filled = next((text for name, _words, text in suggestions if name == request.GET.get("answer")), "")
    initial = {"constraints": filled}
    if answer := GoldAnswer.objects.filter(task=task).first():
        initial = {"kind": task.kind, "constraints": filled or answer.constraints, "explanation": answer.explanation}
    context = {
        "project": project,
        "task": task,
        "for_whom": task_queries.name_of_owner(owner) if (owner := lanes.owner_of(task.lane)) else "",
        "known": KnownForm(initial=initial),
        "filled": filled,
        "suggestions": suggestions,
        **looked_at(task, initial["constraints"]),
        "outputs": outputs,
        "turns": turns,
        "can_rank_it": queries.may_rank_task(request.user, task),
        "before": project.tasks.filter(pk__lt=task.pk).order_by("-pk").first(),
        "after": project.tasks.filter(pk__gt=task.pk).order_by("pk").first(),
    }
    return render(request, "labeling/task.html", context)


def suggested_answers(task: Task) -> list[tuple[str, str, str]]:
    """(name in the address, in words, constraints) of what might be known: what a reviewer decided, what people say together."""
    said = [
        ("decided", _("what was decided:"), known_queries.order_decided(task)),
        ("consensus", _("the consensus:"), known_queries.order_said(task)),
    ]
    found = [(name, words, known_queries.as_constraints(order)) for name, words, order in said if order]
    return [each for each in found if each[2]]


@require_POST
@requires(Right.SEE_PROJECTS, place=places.project)
def rank_task(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """The board, with this very task on it."""
    actions.claim_this_task(actor=request.user, task=get_object_or_404(Task, project__slug=slug, pk=pk))
    return redirect("rank-project", slug)
