"""The baselines pages: the list, a new comparison, its table that fills, an entry's settings, files to take along."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from people.errors import Refusal
from people.permissions import Right, requires

from .. import charts
from .. import queries as run_queries
from ..actions import RunRefusal
from ..engine import contract, methods
from ..forms import RunForm
from . import actions, chart, export, learning, losses, menu, queries
from .forms import NewComparison, filled, of_address
from .models import Comparison, Entry, Trial
from .table import BASE, BEST, COLUMNS, Attempt, Table

TYPES = {"csv": "text/csv", "md": "text/markdown", "jsonl": "application/x-ndjson"}


@require_GET
@requires(Right.SEE_RUNS)
def comparison_list(request: HttpRequest) -> HttpResponse:
    page = Paginator(queries.comparisons(), 30).get_page(request.GET.get("page"))
    return render(request, "training/comparisons/list.html", {"section": "runs", "page": page})


@require_http_methods(["GET", "POST"])
@requires(Right.LAUNCH_RUNS)
def comparison_new(request: HttpRequest) -> HttpResponse:
    """GET fills in what the address says; htmx cuts what depends on the choices made so far out of the same page."""
    if request.method == "POST":
        form = NewComparison(request.POST)
        keys = request.POST.getlist("methods")
        if form.is_valid():
            try:
                comparison = actions.create_comparison(actor=request.user, keys=keys, **form.cleaned_data)
            except actions.ComparisonRefusal as refusal:
                form.take(refusal.places)
            else:
                if "start" in request.POST:
                    return _started(request, comparison)
                return redirect(comparison)
        else:  # everything at once
            form.take(actions.new_problems(keys=keys, **form.known()))
    else:
        form = NewComparison(initial=of_address(request.GET))
        keys = request.GET.getlist("methods") if request.GET.get("menu_of") == form.chosen_task else []
    offered = form.offered()
    untouched = not keys and request.method == "GET"
    ticked = {choice.key for choice in offered if choice.ticked} if untouched else set(keys)
    sets = menu.sets_of(offered)
    ticked = sets.get(request.GET.get("set", ""), ticked)
    shown = [(name, _(menu.SETS[name])) for name in sets]
    context = {"section": "runs", "form": form, "offered": offered, "ticked": ticked, "sets": shown}
    status = 400 if form.is_bound and not form.is_valid() else 200
    return render(request, "training/comparisons/new.html", context, status=status)


def _started(request: HttpRequest, comparison: Comparison) -> HttpResponse:
    try:
        actions.start(actor=request.user, comparison=comparison)
    except Refusal as refusal:
        # It is there, with its settings to be mended; nothing was queued.
        for problem in refusal.problems:
            messages.error(request, problem)
    else:
        messages.success(request, _("All runs are queued; the table fills as they end."))
    return redirect(comparison)


@require_GET
@requires(Right.SEE_RUNS)
def comparison_page(request: HttpRequest, pk: int) -> HttpResponse:
    comparison = get_object_or_404(queries.comparisons(), pk=pk)
    table = _table(request, comparison)
    plot = chart.scatter(table, x_title=_("Trained parameters"))
    context = {
        "section": "runs",
        "comparison": comparison,
        "table": table,
        "rows": [_shown(table, row) for row in table.rows],
        "columns": [(key, _(title)) for key, title in COLUMNS.items()],
        "metrics": [(name, table.metric_title(name)) for name in table.metrics],
        "metric_title": table.metric_title(table.metric),
        "references": _references(table),
        "picture": charts.draw([plot])[0] if plot else "",
        "losses": losses.side_by_side(table),
        "learning": learning.curves(table),
        "unsupervised": table.is_live and not run_queries.is_supervised(),
        "offered": [each for each in _menu(comparison) if (each.method or not table.base) and not each.against],
    }
    template = "training/comparisons/live.html" if request.htmx else "training/comparisons/comparison.html"
    return render(request, template, context)


def _table(request: HttpRequest, comparison: Comparison) -> Table:
    return Table(comparison, **{name: request.GET.get(name, "") for name in ("metric", "sort", "to")})


def _menu(comparison: Comparison) -> list[menu.Choice]:
    return menu.menu(comparison.task, comparison.base, comparison.dataset)


def _shown(table: Table, row) -> dict[str, object]:
    return {
        "row": row,
        "quality": table.quality(row),
        "difference": table.difference(row),
        "is_best": row is table.best,
    }


def _references(table: Table) -> list[tuple[str, str]]:
    """What the differences may be to."""
    found = [(BASE, _("the base"))] if table.base else []
    found.append((BEST, _("the best")))
    return found + [(str(row.number), row.label) for row in table.rows if not row.is_base]


@require_http_methods(["GET", "POST"])
@requires(Right.LAUNCH_RUNS)
def entry_settings(request: HttpRequest, pk: int, number: int) -> HttpResponse:
    """The settings of one method, in the form of a run of it; what the comparison holds equal is not asked."""
    entry = _entry(pk, number)
    if entry.method not in methods.names():
        raise Http404
    problems: list[str] = []
    complete, _wrong = contract.check_config(entry.method, entry.config)
    form = RunForm(entry.method, filled(entry.method, complete.model_dump(mode="json") if complete else entry.config))
    if request.method == "POST":
        form = RunForm(entry.method, request.POST)
        try:
            actions.change_entry(
                actor=request.user, entry=entry, config=form.config(), label=request.POST.get("label", "")
            )
        except RunRefusal as refusal:
            form = RunForm(entry.method, request.POST, refusal.by_field)
            problems = form.general_errors
        else:
            return redirect(entry.comparison)
    held = actions.held_equal(entry)
    for section in form.sections:
        section.basic = [bound for bound in section.basic if bound.field.path not in held]
        section.advanced = [bound for bound in section.advanced if bound.field.path not in held]
    context = {"section": "runs", "entry": entry, "form": form, "problems": problems, "held": held}
    return render(request, "training/comparisons/entry.html", context, status=400 if form.by_field else 200)


def _entry(pk: int, number: int) -> Entry:
    found = Entry.objects.select_related("comparison__base__model", "comparison__dataset", "comparison__reward_model")
    return get_object_or_404(found, comparison=pk, position=number)


@require_POST
@requires(Right.LAUNCH_RUNS)
def entry_add(request: HttpRequest, pk: int) -> HttpResponse:
    comparison = get_object_or_404(Comparison, pk=pk)
    actions.add_entry(actor=request.user, comparison=comparison, key=request.POST.get("key", ""))
    return redirect(comparison)


@require_POST
@requires(Right.LAUNCH_RUNS)
def entry_remove(request: HttpRequest, pk: int, number: int) -> HttpResponse:
    entry = _entry(pk, number)
    actions.remove_entry(actor=request.user, entry=entry)
    return redirect(entry.comparison)


@require_POST
@requires(Right.LAUNCH_RUNS)
def trial_retry(request: HttpRequest, pk: int, number: int, seed: int) -> HttpResponse:
    trial = get_object_or_404(Trial, entry=_entry(pk, number), seed=seed)
    actions.retry(actor=request.user, trial=trial)
    return redirect(trial.entry.comparison)


@require_POST
@requires(Right.LAUNCH_RUNS)
def comparison_start(request: HttpRequest, pk: int) -> HttpResponse:
    return _started(request, get_object_or_404(Comparison, pk=pk))


@require_POST
@requires(Right.LAUNCH_RUNS)
def comparison_cancel(request: HttpRequest, pk: int) -> HttpResponse:
    comparison = actions.cancel(actor=request.user, comparison=get_object_or_404(Comparison, pk=pk))
    messages.info(request, _("What runs stops after its next checkpoint; nothing it learned is lost."))
    return redirect(comparison)


@require_POST
@requires(Right.LAUNCH_RUNS)
def comparison_resume(request: HttpRequest, pk: int) -> HttpResponse:
    return redirect(actions.resume(actor=request.user, comparison=get_object_or_404(Comparison, pk=pk)))


@require_POST
@requires(Right.LAUNCH_RUNS)
def comparison_delete(request: HttpRequest, pk: int) -> HttpResponse:
    actions.delete_comparison(actor=request.user, comparison=get_object_or_404(Comparison, pk=pk))
    messages.success(request, _("The comparison is deleted. Its runs and models are still there."))
    return redirect("comparisons")


@require_GET
@requires(Right.SEE_RUNS)
def table_file(request: HttpRequest, pk: int, form: str) -> HttpResponse:
    """The table as csv or md, sorted and compared as the page's address says."""
    table = _table(request, get_object_or_404(queries.comparisons(), pk=pk))
    writers = {"csv": export.as_csv, "md": export.as_markdown}
    if form not in writers:
        raise Http404
    return _file(writers[form](table), f"{slugify(table.comparison.name) or 'baselines'}.{form}")


@require_GET
@requires(Right.SEE_RUNS)
def chart_file(request: HttpRequest, pk: int) -> HttpResponse:
    """The chart's Vega-Lite specification with its values, for other programs."""
    table = _table(request, get_object_or_404(queries.comparisons(), pk=pk))
    plot = chart.scatter(table, x_title=_("Trained parameters"))
    if plot is None:
        raise Http404
    headers = {"Content-Disposition": 'attachment; filename="baselines.vl.json"'}
    return JsonResponse(plot.spec(charts.PLAIN), headers=headers)


@require_GET
@requires(Right.SEE_RUNS)
def predictions_file(request: HttpRequest, pk: int, form: str) -> HttpResponse:
    """What every method said about each held-out row, side by side."""
    if form not in ("csv", "jsonl"):
        raise Http404
    return _file(export.predictions(get_object_or_404(Comparison, pk=pk), form), f"predictions-{pk}.{form}")


@require_GET
@requires(Right.SEE_RUNS)
def trial_predictions_file(request: HttpRequest, pk: int, number: int, seed: int, form: str) -> HttpResponse:
    """What one method said about each held-out row."""
    attempt = Attempt(get_object_or_404(Trial, entry=_entry(pk, number), seed=seed))
    if form not in ("csv", "jsonl") or attempt.predictions is None:
        raise Http404
    return _file(export.predictions_of(attempt, form), f"{slugify(str(attempt.trial.entry))}-{seed}.{form}")


def _file(text: str, name: str) -> HttpResponse:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return HttpResponse(text, content_type=f"{TYPES[name.rpartition('.')[2]]}; charset=utf-8", headers=headers)
