"""Pages of the registry: the table, a version, importing. Trying a model has a file of its own: trying.py."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from jobs.queries import latest
from people.errors import Refusal
from people.permissions import Right, requires

from . import actions, endpoints, hooks, lineage, loading, queries, uploads
from .cards import as_html
from .forms import CardForm, ImportForm
from .models import Head, Kind, Stage, Version

FILTERS = {"kind": Kind, "head": Head, "stage": Stage}


@require_GET
@requires(Right.SEE_MODELS)
def models(request: HttpRequest) -> HttpResponse:
    chosen = {name: request.GET.get(name, "") for name in FILTERS}
    search = request.GET.get("q", "").strip()
    page = Paginator(queries.versions(search=search, **chosen), 30).get_page(request.GET.get("page"))
    context = {
        "section": "models",
        "page": page,
        "search": search,
        "filters": [(name, _label(name), FILTERS[name].choices, chosen[name]) for name in FILTERS],
        "narrowed": bool(search or any(chosen.values())),
    }
    return render(request, "models_registry/models.html", context)


def _label(name: str) -> str:
    return {"kind": _("Any kind"), "head": _("Any purpose"), "stage": _("Any stage")}[name]


@require_GET
@requires(Right.SEE_MODELS)
def model(request: HttpRequest, name: str) -> HttpResponse:
    """A name alone leads to the version in production, else to the newest."""
    return redirect(queries.find(name))


def the_version(name: str, number: int) -> Version:
    return get_object_or_404(
        Version.objects.select_related("model", "parent__model", "created_by"), model__name=name, number=number
    )


@require_GET
@requires(Right.SEE_MODELS)
def version(request: HttpRequest, name: str, number: int) -> HttpResponse:
    version = the_version(name, number)
    sections = hooks.sections(version, request.user)
    context = {
        "section": "models",
        "version": version,
        "siblings": version.model.versions.order_by("-number"),
        "sources": queries.sources(version),
        "uses": queries.uses(version),
        "origin_sections": [each for each in sections if each.place == "origin"],
        "next_sections": [each for each in sections if each.place == "next"],
        "use_sections": [each for each in sections if each.place == "use"],
        "lineage": lineage.draw(version),
        "words": queries.words_read(version),
        "scale": queries.scale(version),
        "loading": loading.lines(version, {link.pk: str(link.folder) for link in version.chain()}),
        "card": mark_safe(as_html(version.card)),  # nh3 has cleaned it
        "verify_job": latest(f"models_registry.version:{version.pk}", "verify-version"),
        "damage": queries.damage(version),
        "key_is_set": endpoints.key_is_set(version.facts.get("key_env", "")),
        "stages": [(value, label) for value, label in Stage.choices if value != version.stage],
    }
    return render(request, "models_registry/version.html", context)


@require_POST
@requires(Right.MANAGE_MODELS)
def stage(request: HttpRequest, name: str, number: int) -> HttpResponse:
    version = actions.set_stage(
        actor=request.user, version=the_version(name, number), stage=request.POST.get("stage", "")
    )
    messages.success(
        request, _("%(version)s is now: %(stage)s.") % {"version": version, "stage": version.get_stage_display()}
    )
    return redirect(version)


@require_http_methods(["GET", "POST"])
@requires(Right.MANAGE_MODELS)
def card(request: HttpRequest, name: str, number: int) -> HttpResponse:
    version = the_version(name, number)
    form = CardForm(request.POST or None, initial={"card": version.card, "licence": version.licence})
    if request.method == "POST" and form.is_valid():
        actions.edit_card(actor=request.user, version=version, **form.cleaned_data)
        messages.success(request, _("The card is saved."))
        return redirect(version)
    context = {"section": "models", "version": version, "form": form}
    return render(request, "models_registry/card.html", context, status=400 if form.is_bound else 200)


@require_POST
@requires(Right.SEE_MODELS)
def verify(request: HttpRequest, name: str, number: int) -> HttpResponse:
    job = actions.begin_verify(actor=request.user, version=the_version(name, number))
    return render(request, "jobs/job.html", {"job": job}) if request.htmx else redirect("job", job.pk)


@require_http_methods(["GET", "POST"])
@requires(Right.MANAGE_MODELS)
def import_model(request: HttpRequest) -> HttpResponse:
    form = ImportForm(request.POST or None, request.FILES or None)
    problems: list[str] = []
    if request.method == "POST" and form.is_valid():
        try:
            return redirect("job", _begin_import(request, form).pk)
        except Refusal as refusal:
            problems = list(refusal.problems)
    context = {"section": "models", "form": form, "problems": problems}
    return render(request, "models_registry/import.html", context, status=400 if form.is_bound else 200)


def _begin_import(request: HttpRequest, form: ImportForm):
    data = form.cleaned_data
    common = {key: data[key] for key in ("name", "licence", "card", "parent")}
    if not data["files"]:
        return actions.begin_import(actor=request.user, path=data["path"].strip(), **common)
    folder = uploads.receive(data["files"])
    try:
        return actions.begin_import(actor=request.user, path=folder, uploaded=True, **common)
    except Refusal:
        uploads.discard(folder)
        raise
