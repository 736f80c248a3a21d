"""Pages of the runs: the table, the form, a run's page with its live parts, and its files."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from labeling.review_queries import places_to_review
from people.errors import Refusal
from people.permissions import Right, requires

from . import actions, charts, disk, exports, queries, reproduce
from .engine import methods
from .forms import RunForm
from .models import Limits, Run
from .overlay import AXES, MOST_RUNS, SMOOTHINGS, Overlay
from .page import Page
from .policies.panel import Panel


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
        "methods": [(name, Run(method=name).method_title) for name in methods.names()],
        "narrowed": bool(search or state or method),
        "live": any(run.is_active for run in page),
        "queue": queries.queue(),
        "at_a_time": queries.at_a_time(),
        "is_full": disk.is_full(),
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
    run = queries.runs().filter(pk=pk).first()
    if run is None:
        return _deleted_page(request, pk)
    page = Page(run, last_seen=request.GET.get("seen", ""))
    if not request.htmx:
        reviews = places_to_review(run.produced, request.user) if run.produced else []
        context = {"section": "runs", "run": run, "page": page, "reviews": reviews}
        context["panel"] = Panel(run, request.user)
        return render(request, "training/run.html", context)
    if page.must_reload:
        return HttpResponse(status=204, headers={"HX-Refresh": "true"})
    if not page.has_news:
        return HttpResponse(status=204)
    return render(request, "training/live.html", {"run": run, "page": page, "live": True})


def _deleted_page(request: HttpRequest, pk) -> HttpResponse:
    """Where notices, e-mails and bookmarks of a deleted run lead."""
    deletion = queries.deletion(str(pk))
    if deletion is None:
        raise Http404
    context = {"section": "runs", "deletion": deletion, "versions": queries.made_by_run(str(pk))}
    return render(request, "training/deleted.html", context, status=410)


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
    run, again = get_object_or_404(Run, pk=pk), "again" in request.POST
    return redirect(actions.register_result(actor=request.user, run=run, again=again))


@require_POST
@requires(Right.LAUNCH_RUNS)
def register_checkpoint(request: HttpRequest, pk) -> HttpResponse:
    job = actions.request_checkpoint(actor=request.user, run=get_object_or_404(Run, pk=pk))
    return redirect("job", job.pk)


@require_POST
@requires(Right.LAUNCH_RUNS)
def move(request: HttpRequest, pk) -> HttpResponse:
    """Another place in the queue. htmx follows to the table, narrowed as the person had it."""
    actions.move_in_queue(actor=request.user, run=get_object_or_404(Run, pk=pk), where=request.POST.get("where", ""))
    return redirect((request.htmx and request.htmx.current_url_abs_path) or "runs")


@require_http_methods(["GET", "POST"])
@requires(Right.LAUNCH_RUNS)
def delete(request: HttpRequest) -> HttpResponse:
    """`?run=…&run=…`: what would go, how large it is, and what keeps some of them; POST deletes the runs that it names."""
    if request.method == "POST":
        chosen = queries.runs_called(request.POST.getlist("run"))
        count, freed = len(chosen), actions.delete_runs(actor=request.user, runs=chosen)
        text = ngettext(
            "The run is deleted; %(size)s are free now.", "%(count)d runs are deleted; %(size)s are free now.", count
        )
        messages.success(request, text % {"count": count, "size": filesizeformat(freed)})
        return redirect("runs")
    chosen = [
        {"run": run, "size": disk.size_of(run.folder), "reasons": queries.reasons_against_deleting(run)}
        for run in queries.runs_called(request.GET.getlist("run"))
    ]
    free = [each for each in chosen if not each["reasons"]]
    context = {"section": "runs", "chosen": chosen, "count": len(free), "size": sum(each["size"] for each in free)}
    return render(request, "training/delete.html", context)


@require_GET
@requires(Right.SEE_RUNS)
def compare(request: HttpRequest) -> HttpResponse:
    """`?run=…&run=…&x=step|time&smooth=0.8`: a link that shows a colleague the same."""
    asked = list(dict.fromkeys(request.GET.getlist("run")))
    found = {str(run.pk): run for run in queries.runs_called(asked)}
    chosen = [found[key] for key in asked if key in found][:MOST_RUNS]
    axis = request.GET.get("x", "")
    smooth = request.GET.get("smooth", "")
    smoothing = next((each for each in SMOOTHINGS if str(each) == smooth), 0.0)
    overlay = Overlay(chosen, axis=axis if axis in AXES else "step", smoothing=smoothing)
    context = {
        "section": "runs",
        "overlay": overlay,
        "smoothings": [(each, _("none") if not each else f"{100 * each:.0f} %") for each in SMOOTHINGS],
        "left_out": max(0, len(found) - MOST_RUNS),
        "others": queries.runs().exclude(pk__in=[run.pk for run in chosen])[:50],
        "more_fit": len(chosen) < MOST_RUNS,
    }
    return render(request, "training/compare.html", context)


@require_GET
@requires(Right.SEE_RUNS)
def upkeep(request: HttpRequest) -> HttpResponse:
    return _upkeep_page(request)


def _upkeep_page(request: HttpRequest, problems: list[str] = (), status: int = 200) -> HttpResponse:
    usage = disk.usage(queries.runs())
    context = {
        "section": "runs",
        "limits": Limits.objects.first(),
        "at_a_time": queries.at_a_time(),
        "usage": usage,
        "leftovers": sum(each.leftovers for each in usage if not each.run.is_active),
        "used": disk.used(),
        "limit": disk.limit(),
        "is_full": disk.is_full(),
        "problems": problems,
        "sent": request.POST if problems else None,
    }
    return render(request, "training/upkeep.html", context, status=status)


@require_POST
@requires(Right.LAUNCH_RUNS)
def change_limits(request: HttpRequest) -> HttpResponse:
    try:
        actions.change_limits(actor=request.user, **_limits(request.POST))
    except Refusal as refusal:
        return _upkeep_page(request, refusal.problems, refusal.status)
    messages.success(request, _("Saved."))
    return redirect("run-upkeep")


def _limits(sent) -> dict:
    """The numbers of the form; empty is None."""
    found, problems = {}, []
    fields = {"at_a_time": (int, _("Runs at a time")), "disk_gb": (float, _("Room for all runs"))}
    for name, (kind, title) in fields.items():
        text = sent.get(name, "").strip()
        try:
            found[name] = kind(text.replace(",", ".")) if text else None
        except ValueError:
            problems.append(_("%(field)s: “%(text)s” is not such a number.") % {"field": title, "text": text})
    if problems:
        raise Refusal(problems)
    return found


@require_POST
@requires(Right.LAUNCH_RUNS)
def delete_leftovers(request: HttpRequest) -> HttpResponse:
    chosen = queries.runs_called(request.POST.getlist("run"))
    freed = actions.delete_leftovers(actor=request.user, runs=chosen)
    messages.success(request, _("%(size)s are free now.") % {"size": filesizeformat(freed)})
    return redirect("run-upkeep")


@require_GET
@requires(Right.SEE_RUNS)
def events_csv(request: HttpRequest, pk) -> HttpResponse:
    run = get_object_or_404(Run, pk=pk)
    return StreamingHttpResponse(
        exports.as_csv(run), content_type="text/csv", headers=_download(f"{exports.file_name(run)}.csv")
    )


@require_GET
@requires(Right.SEE_RUNS)
def tensorboard(request: HttpRequest, pk) -> HttpResponse:
    run = get_object_or_404(Run, pk=pk)
    name = f"{exports.file_name(run)}-tensorboard.zip"
    return HttpResponse(exports.as_tensorboard(run), content_type="application/zip", headers=_download(name))


@require_GET
@requires(Right.SEE_RUNS)
def reproduce_file(request: HttpRequest, pk) -> HttpResponse:
    run = get_object_or_404(Run, pk=pk)
    parameters = {"indent": 1, "ensure_ascii": False}
    headers = _download(f"{exports.file_name(run)}-reproduce.json")
    return JsonResponse(reproduce.bundle(run), json_dumps_params=parameters, headers=headers)


def _download(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"'}


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
    return JsonResponse(curve.plot.spec(charts.PLAIN), headers=_download(f"{name}.vl.json"))
