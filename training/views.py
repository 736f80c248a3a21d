"""Pages of the runs: the table, the form, a run's page with its live parts, and its files."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from people.permissions import Right, requires

from . import actions, charts, queries
from .engine import methods
from .forms import RunForm
from .models import Run
from .page import Page


@require_GET
@requires(Right.SEE_RUNS)
def run_list(request: HttpRequest) -> HttpResponse:
    search, state, method = (request.GET.get(name, "").strip() for name in ("q", "state", "method"))
    page = Paginator(queries.runs(search=search, state=state, method=method), 30).get_page(request.GET.get("page"))
    context = {
        "section": "runs",
        "page": page,
        "search": search,
        "state": state,
        "method": method,
        "states": [("active", _("active")), *Run.State.choices],
        "methods": methods.names(),
        "narrowed": bool(search or state or method),
        "live": any(run.is_active for run in page),
    }
    return render(request, "training/parts/table.html" if request.htmx else "training/runs.html", context)


@require_http_methods(["GET", "POST"])
@requires(Right.LAUNCH_RUNS)
def run_new(request: HttpRequest) -> HttpResponse:
    """GET prefills from the address (`?method=ppo&inputs.base=3&config.lr=1e-4`); what htmx swaps is cut out of the same page."""
    data = request.POST if request.method == "POST" else request.GET
    name = data.get("method", "")
    if name not in methods.names():
        context = {"section": "runs", "families": _families()}
        return render(request, "training/choose_method.html", context)
    form = RunForm(name, data)
    if request.method == "POST":
        try:
            run = actions.create_run(
                actor=request.user,
                method=name,
                config=form.config(),
                inputs=form.chosen_inputs(),
                name=form.text("name"),
                seed=form.seed(),
                output_name=form.text("output_name"),
            )
        except actions.RunRefusal as refusal:
            form = RunForm(name, data, refusal.by_field)
        else:
            messages.success(request, _("The run is queued; it starts as soon as a place is free."))
            return redirect(run)
    context = {"section": "runs", "form": form, "problems": form.general_errors}
    return render(request, "training/new.html", context, status=400 if form.by_field else 200)


def _families() -> list[tuple[str, list]]:
    """(heading, its methods) for the page that offers them."""
    titles = {"train": _("Make a model"), "judge": _("Judge a model")}
    known = queries.all_methods().items()
    families = [
        (title, [(name, facts) for name, facts in known if facts.family == family]) for family, title in titles.items()
    ]
    return [(title, found) for title, found in families if found]


@require_GET
@requires(Right.SEE_RUNS)
def run_page(request: HttpRequest, pk) -> HttpResponse:
    """The whole page; for htmx, which asks with what it has seen, only what changed since."""
    run = get_object_or_404(queries.runs(), pk=pk)
    page = Page(run, last_seen=request.GET.get("seen", ""))
    if not request.htmx:
        return render(request, "training/run.html", {"section": "runs", "run": run, "page": page})
    if page.must_reload:
        return HttpResponse(status=204, headers={"HX-Refresh": "true"})
    if not page.has_news:
        return HttpResponse(status=204)
    return render(request, "training/live.html", {"run": run, "page": page, "live": True})


@require_POST
@requires(Right.LAUNCH_RUNS)
def stop(request: HttpRequest, pk) -> HttpResponse:
    run = actions.stop_run(actor=request.user, run=get_object_or_404(Run, pk=pk))
    if run.state == Run.State.STOPPING:
        messages.info(request, _("The run stops after its next checkpoint; nothing it learned is lost."))
    return redirect(run)


@require_POST
@requires(Right.LAUNCH_RUNS)
def resume(request: HttpRequest, pk) -> HttpResponse:
    return redirect(actions.resume_run(actor=request.user, run=get_object_or_404(Run, pk=pk)))


@require_POST
@requires(Right.LAUNCH_RUNS)
def register(request: HttpRequest, pk) -> HttpResponse:
    return redirect(actions.register_result(actor=request.user, run=get_object_or_404(Run, pk=pk)))


@require_GET
@requires(Right.SEE_RUNS)
def run_file(request: HttpRequest, pk, name: str) -> HttpResponse:
    """A file of the run's folder, to download."""
    folder = get_object_or_404(Run, pk=pk).folder.resolve()
    path = (folder / name).resolve()
    if not path.is_relative_to(folder) or not path.is_file():
        raise Http404
    return FileResponse(open(path, "rb"), as_attachment=True, filename=path.name)


@require_GET
@requires(Right.SEE_RUNS)
def run_curve(request: HttpRequest, pk, name: str) -> HttpResponse:
    """A chart's Vega-Lite specification with its values, for other programs."""
    page = Page(get_object_or_404(Run, pk=pk))
    curve = next((curve for curve in page.curves if curve.name == name), None)
    if curve is None:
        raise Http404
    headers = {"Content-Disposition": f'attachment; filename="{name}.vl.json"'}
    return JsonResponse(curve.plot.spec(charts.PLAIN), headers=headers)
