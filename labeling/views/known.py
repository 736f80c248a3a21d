"""Pages of tasks with a known answer: the list with results, and the form on a task's page that says what is known."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from labeling import actions, known_queries, places
from labeling.constraints import ConstraintError, Constraints
from labeling.forms.tasks import KnownForm
from labeling.models import Desk, Project, Task
from labeling.views.lists import posted
from people.errors import Refusal, wrong_with
from people.permissions import Right, requires
from people.searching import row_key

Kind = Task.Kind


@require_GET
@requires(Right.SEE_PROJECTS, place=places.project)
def known(request: HttpRequest, slug: str) -> HttpResponse:
    """All tasks with a known answer, how often it was kept and by whom."""
    project = get_object_or_404(Project, slug=slug)
    by_kind = known_queries.known_tasks(project)
    about = {
        Kind.GOLD: (
            _("Gold"),
            _("Mixed in among the others; nobody can tell which they are. Who keeps too little of them gets a pause."),
        ),
        Kind.PRACTICE: (_("Practice"), _("The first tasks that somebody gets, in this order. They see at once what was known, and why.")),
        Kind.QUALIFICATION: (_("Qualification"), _("Come after practice, without feedback. Who keeps enough of them goes on to the real tasks.")),
    }  # fmt: skip
    context = {
        "project": project,
        "tab": "tasks",
        "part": "known",
        "kinds": [(kind, *words, by_kind.get(kind, [])) for kind, words in about.items() if by_kind.get(kind)],
        "never_mixed_in": bool(by_kind.get(Kind.GOLD)) and not project.gold_percent,
        "held_back": project.desks.exclude(paused_because="").select_related("annotator").order_by("-paused_at"),
        "on_the_way": project.desks.filter(
            stage__in=[Desk.Stage.PRACTICE, Desk.Stage.QUALIFICATION], paused_because=""
        ).count(),
    }
    return render(request, "labeling/known.html", context)


@require_POST
@requires(Right.MANAGE_PROJECTS, place=places.project)
def order(request: HttpRequest, slug: str) -> HttpResponse:
    """Move a practice or qualification task up or down: `move` is up:ID or down:ID."""
    project = get_object_or_404(Project, slug=slug)
    way, _sign, pk = request.POST.get("move", "").partition(":")
    ordered = project.tasks.filter(kind__in=[Kind.PRACTICE, Kind.QUALIFICATION])
    moved = get_object_or_404(ordered, pk=row_key(pk))
    tasks = [known.task.pk for known in known_queries.known_tasks(project)[moved.kind]]
    at = tasks.index(moved.pk)
    tasks.insert(max(0, at + (1 if way == "down" else -1)), tasks.pop(at))
    actions.order_known(actor=request.user, project=project, tasks=tasks)
    return redirect("project-known", project.slug)


@require_POST
@requires(Right.MANAGE_PROJECTS, place=places.project)
def say(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Say what is known about a task, or (`unset`) make it an ordinary one again."""
    task = get_object_or_404(Task, project__slug=slug, pk=pk)
    if "unset" in request.POST:
        actions.unset_gold(actor=request.user, task=task)
        messages.success(request, _("The task is an ordinary one again and waits in the queue."))
        return (
            redirect("project-known", slug) if request.POST["unset"] == "list" else redirect("project-task", slug, pk)
        )
    form = KnownForm(*posted(request))
    if not form.is_valid():
        raise Refusal(wrong_with(form))
    actions.set_gold(actor=request.user, task=task, **form.cleaned_data)
    messages.success(request, _("The answer is kept. The task is in the list of known answers now."))
    return redirect("project-task", slug, pk)


@require_GET
@requires(Right.MANAGE_PROJECTS, place=places.project)
def look(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """What the constraints that are being typed say, in words, or where they go wrong."""
    task = get_object_or_404(Task, project__slug=slug, pk=pk)
    return render(request, "labeling/parts/constraints_look.html", looked_at(task, request.GET.get("constraints", "")))


def looked_at(task: Task, text: str) -> dict:
    if not text.strip():
        return {}
    try:
        constraints = Constraints.parse(text, items=task.size)
    except ConstraintError as error:
        return {"error": _(error.template) % error.params}
    kept, of = known_queries.kept_by_rankings(task, constraints)
    return {"demands": known_queries.in_letters(constraints.each), "kept": kept, "of": of}
