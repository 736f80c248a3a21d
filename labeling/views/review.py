"""Review: the tasks that people disagree about, have flagged or asked about, or a model is surprised of; one of them side by side, decided; and the talk about it."""

from dataclasses import replace
from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from labeling import actions, places, review_queries, task_queries
from labeling.actions.comments import own_turn
from labeling.forms.tasks import ScorerForm
from labeling.models import Comment, Disagreement, Project, Task
from labeling.project_queries import opinions_under_way
from labeling.ranking import LETTERS, MESSAGES, WeakOrder
from labeling.review_queries import Wanted
from labeling.statements import texts
from labeling.statistics.consensus import Consensus
from labeling.views.lists import Filter, filter_of, page_of, search_of
from people.errors import Refusal
from people.permissions import Right, can, requires

OWN_SLICE = "in_"  # before the name of a column of the import, in addresses


@require_GET
@requires(Right.REVIEW, place=places.project)
def tasks(request: HttpRequest, slug: str) -> HttpResponse:
    """Those that people agree about least first."""
    project = get_object_or_404(Project, slug=slug)
    wanted, filters = _wanted(request, project)
    page = page_of(request, review_queries.in_order(project, wanted))
    context = {
        "project": project,
        "tab": "review",
        "page": page,
        "lines": review_queries.lines(project, list(page)),
        "filters": filters,
        "query": wanted.search,
        "query_string": urlencode(_kept(wanted)),
        "filtered": bool(_kept(wanted)),
        "counts": review_queries.counts(project),
        "show": wanted.show,
    }
    return render(request, "labeling/review.html", context)


@require_http_methods(["GET", "POST"])
@requires(Right.REVIEW, place=places.project)
def against(request: HttpRequest, slug: str) -> HttpResponse:
    """Those whose ranking a reward model finds least likely first; posted, a model is asked."""
    project = get_object_or_404(Project, slug=slug)
    form = ScorerForm(request.POST if request.method == "POST" else None)
    problems: list[str] = []
    if form.is_valid():
        try:
            actions.start_asking_opinion(actor=request.user, project=project, version=form.cleaned_data["version"])
            return redirect("project-review-against", slug)
        except Refusal as refusal:
            problems = list(refusal.problems)
    wanted, filters = _wanted(request, project, "model")
    page = page_of(request, review_queries.in_order(project, wanted))
    asked = list(review_queries.opinions(project))
    context = {
        "project": project,
        "tab": "review",
        "opinion": next((each for each in asked if str(each.version_id) == wanted.model), None),
        "page": page,
        "lines": review_queries.lines(project, list(page), wanted.model),
        "filters": filters,
        "query": wanted.search,
        "query_string": urlencode(_kept(wanted)),
        "form": form if can(request.user, Right.TRY_MODELS) else None,
        "jobs": opinions_under_way(project),
        "problems": problems,
    }
    status = 400 if problems or form.errors else 200
    return render(request, "labeling/review_against.html", context, status=status)


@require_GET
@requires(Right.REVIEW, place=places.project)
@never_cache
def task(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """One task side by side. The list that it was opened from stands in the address: next and previous follow it."""
    return _task(request, slug, pk)


def _task(request: HttpRequest, slug: str, pk: int, **more: object) -> HttpResponse:
    project = get_object_or_404(Project, slug=slug)
    task = get_object_or_404(project.tasks.select_related("prompt", "batch"), pk=pk)
    wanted, _filters = _wanted(request, project)
    keys = review_queries.in_order(project, wanted)
    place = keys.index(task.pk) if task.pk in keys else None
    found = review_queries.review_of(task)
    decided = list(task.adjudications.select_related("by").order_by("-revision"))
    current = next((each for each in decided if each.current), None)
    context = {
        "project": project,
        "tab": "review",
        "task": task,
        "review": found,
        "outputs": list(zip(task_queries.outputs_of(task), found.apart, _columns(found, task), strict=True)),
        "letters": LETTERS[: task.size],
        "consensus_places": _places(found.consensus),
        "decided": decided,
        "current": current,
        "proposal": current.notation if current else "",
        "reason": current.reason if current else "",
        "flags": task.assignments.filter(state="flagged").select_related("annotator"),
        "talk": review_queries.talk(task),
        "query": urlencode(_kept(wanted)),
        "list": reverse("project-review-against" if wanted.show == "model" else "project-review", args=[slug]),
        "model": _model(review_queries.against(project, wanted.model).filter(task=task).first()),
        "place": None if place is None else place + 1,
        "of": len(keys),
        "before": keys[place - 1] if place else None,
        "after": keys[place + 1]
        if place is not None and place + 1 < len(keys)
        else (keys[0] if place is None and keys else None),
        "notation": {"errors": {code: _(text) for code, text in MESSAGES.items()}, "and": _("and")},
        **more,
    }
    return render(request, "labeling/review_task.html", context, status=400 if "problems" in more else 200)


def _places(agreed: Consensus | None) -> list[str]:
    """By output: its place in the consensus, "" where nothing was said about it."""
    return ["" if rank is None else str(rank) for rank in agreed.order.ranks()] if agreed and agreed.order else []


def _model(found: Disagreement | None) -> dict | None:
    """What the model says that the list is about."""
    if found is None:
        return None
    ranks = WeakOrder.parse(found.model, items=found.task.size).ranks()
    return {"against": found, "version": found.opinion.version, "places": ranks}


def _columns(found: review_queries.Review, task: Task) -> list[list[str]]:
    """By output: its place in everybody's ranking."""
    return [[each.places[item] for each in found.said] for item in range(task.size)]


@require_POST
@requires(Right.REVIEW, place=places.project)
def act(request: HttpRequest, slug: str, pk: int, verb: str) -> HttpResponse:
    """A verb on the task. What was typed is kept when it is refused."""
    task = get_object_or_404(Task, project__slug=slug, pk=pk)
    data, actor = request.POST, request.user
    try:
        match verb:
            case "adjudicate":
                actions.adjudicate(
                    actor=actor, task=task, notation=data.get("notation", ""), reason=data.get("reason", "")
                )
                said = _("Decided. The rankings stay as they are, and nobody else gets the task.")
            case "close":
                actions.close_task(actor=actor, task=task)
                said = _("The task is closed: nobody gets it any more, and snapshots leave it out.")
            case "reopen":
                actions.reopen_task(actor=actor, task=task)
                said = _("The task is open again.")
            case "one-more":
                actions.ask_for_one_more(actor=actor, task=task)
                said = _("One more person will get this task.")
            case "comment":
                actions.comment(actor=actor, task=task, text=data.get("text", ""))
                said = _("Your remark is stored.")
            case _:
                raise Http404
    except Refusal as refusal:
        typed = {"proposal": data["notation"], "reason": data.get("reason", "")} if verb == "adjudicate" else {}
        return _task(request, slug, pk, problems=list(refusal.problems), **typed)
    messages.success(request, said)
    following = data.get("then", "")
    if following.isdecimal():
        pk = int(following)
    return redirect(_address(request, slug, pk))


@require_POST
@requires(Right.REVIEW, place=places.project)
def question(request: HttpRequest, slug: str, comment: int, verb: str) -> HttpResponse:
    """Answer a question, or say that nothing more is to be said to it."""
    asked = get_object_or_404(Comment, task__project__slug=slug, pk=comment)
    match verb:
        case "answer":
            actions.answer(actor=request.user, question=asked, text=request.POST.get("text", ""))
            messages.success(request, _("Answered; %(name)s is told.") % {"name": asked.author})
        case "resolve":
            actions.resolve(actor=request.user, question=asked)
            messages.success(request, _("The question is closed."))
        case _:
            raise Http404
    return redirect(_address(request, slug, asked.task_id) + "#talk")


@require_http_methods(["GET", "POST"])
@requires(Right.RANK)
@never_cache
def talk(request: HttpRequest, assignment: str) -> HttpResponse:
    """What somebody asked about a task that they had, and the answers; in the letters of their board, and nothing of what others said."""
    turn = own_turn(request.user, assignment)
    if request.method == "POST":
        actions.ask(actor=request.user, assignment=assignment, text=request.POST.get("text", ""))
        messages.success(request, _("Your question is sent. You are told when it is answered."))
        return redirect("turn-talk", assignment)
    shown = texts(turn.task_id)
    context = {
        "project": turn.project,
        "turn": turn,
        "task": turn.task,
        "outputs": [(LETTERS[i], shown[position]) for i, position in enumerate(turn.display)],
        "talk": review_queries.own_talk(request.user, turn.task),
    }
    return render(request, "labeling/talk.html", context)


# The list in the address


def _wanted(request: HttpRequest, project: Project, show: str | None = None) -> tuple[Wanted, list[Filter]]:
    """`show`: this list, whatever the address says."""
    if (show or request.GET.get("show")) == "model":
        return _wanted_against(request, project)
    chosen = filter_of(
        request,
        "show",
        _("Contested, not decided"),
        [
            ("shared", _("all that several people ranked")),
            ("flagged", _("flagged or closed")),
            ("asked", _("with open questions")),
            ("decided", _("decided")),
        ],
    )
    filters, slices = _about_tasks(request, project)
    return _with(request, filters, slices, show=chosen.value), [chosen, *filters]


def _wanted_against(request: HttpRequest, project: Project) -> tuple[Wanted, list[Filter]]:
    """Without a model in the address, the one that was asked last."""
    asked = [(each.version_id, str(each.version)) for each in review_queries.opinions(project)]
    model = filter_of(request, "model", _("Model"), asked, names=True)
    learned = filter_of(
        request,
        "learned",
        _("Whatever it learned from"),
        [("no", _("held out from it")), ("yes", _("it learned from the prompt"))],
    )
    filters, slices = _about_tasks(request, project)
    value = model.value or (str(asked[0][0]) if asked else "")
    shown = [replace(model, value=value)] if len(asked) > 1 else []
    wanted = _with(request, filters, slices, show="model", model=value, learned=learned.value)
    return wanted, [*shown, learned, *filters]


def _with(request: HttpRequest, filters: list[Filter], slices: dict[str, str], **more: str) -> Wanted:
    about = {each.name: each.value for each in filters if each.name in ("size", "batch")}
    return Wanted(**about, slices=slices, search=search_of(request), **more)


def _about_tasks(request: HttpRequest, project: Project) -> tuple[list[Filter], dict[str, str]]:
    """The filters that every list of tasks has here, and the columns of the import that are chosen."""
    filters = []
    sizes = project.tasks.order_by("size").values_list("size", flat=True).distinct()
    size = filter_of(request, "size", _("Any number of outputs"), [(n, _("%(n)d outputs") % {"n": n}) for n in sizes])
    batch = filter_of(request, "batch", _("All rounds"), project.batches.values_list("pk", "name"), names=True)
    filters += [each for each in (size, batch) if len(each.choices) > 1]
    slices = {}
    for name, values in review_queries.slices(project).items():
        each = filter_of(
            request, OWN_SLICE + name, name.capitalize(), [(value, value) for value in values], names=True
        )
        filters.append(each)
        if each.value:
            slices[name] = each.value
    return filters, slices


def _kept(wanted: Wanted) -> dict[str, str]:
    """The list as an address carries it."""
    asked = {
        "show": wanted.show,
        "model": wanted.model,
        "learned": wanted.learned,
        "size": wanted.size,
        "batch": wanted.batch,
        "q": wanted.search,
    }
    asked |= {OWN_SLICE + name: value for name, value in wanted.slices.items()}
    return {name: value for name, value in asked.items() if value}


def _address(request: HttpRequest, slug: str, pk: int) -> str:
    query = request.GET.urlencode()
    return reverse("project-review-task", args=[slug, pk]) + (f"?{query}" if query else "")
