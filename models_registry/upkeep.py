"""Pages of what is done with versions later: compare, export, merge, delete, and what the store takes on the disk."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from jobs.queries import latest
from people.errors import Refusal
from people.permissions import Right, requires

from . import actions, comparing, exporting, merging, queries
from .models import Version
from .views import the_version


@require_GET
@requires(Right.SEE_MODELS)
def compare(request: HttpRequest) -> HttpResponse:
    """`?v=name:v3&v=…`; `only=1` leaves out what is the same."""
    versions, problems = queries.find_some(request.GET.getlist("v"), most=comparing.MOST)
    context = {
        "section": "models",
        "versions": versions,
        "groups": comparing.compare(versions) if len(versions) > 1 else [],
        "only": request.GET.get("only") == "1",
        "problems": problems,
        "slots": [str(version) for version in versions]
        + [""] * (max(2, min(len(versions) + 1, comparing.MOST)) - len(versions)),
        "all_versions": queries.versions(),
    }
    return render(request, "models_registry/compare.html", context)


@require_GET
@requires(Right.SEE_MODELS)
def export(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """`?as=zip|tar`, `chain=1` for everything that it stands on too."""
    return archived(the_version(name, number), request.GET)


def archived(version: Version, wanted) -> StreamingHttpResponse:
    """The export as a download; REST gives the same."""
    form = wanted.get("as", "zip")
    if form not in exporting.FORMATS:
        raise Refusal(_("An export is a zip or a tar."))
    pieces = exporting.archive(version, form, chain=wanted.get("chain") == "1")
    response = StreamingHttpResponse(pieces, content_type=exporting.FORMATS[form])
    response["Content-Disposition"] = f'attachment; filename="{exporting.name_of(version)}.{form}"'
    response["X-Accel-Buffering"] = "no"
    return response


@require_http_methods(["GET", "POST"])
@requires(Right.MANAGE_MODELS)
def merge(request: HttpRequest, name: str, number: int) -> HttpResponse:
    version = the_version(name, number)
    problems: list[str] = []
    if request.method == "POST":
        try:
            job = actions.begin_merge(actor=request.user, version=version, name=request.POST.get("name", "").strip())
            return redirect("job", job.pk)
        except Refusal as refusal:
            problems = list(refusal.problems)
    context = {
        "section": "models",
        "version": version,
        "links": version.chain(),
        "reasons": merging.reasons_against(version),
        "name": request.POST.get("name", f"{version.model.name}-merged"),
        "problems": problems,
    }
    return render(request, "models_registry/merge.html", context, status=400 if problems else 200)


@require_http_methods(["GET", "POST"])
@requires(Right.MANAGE_MODELS)
def delete(request: HttpRequest, name: str, number: int) -> HttpResponse:
    version = the_version(name, number)
    problems: list[str] = []
    if request.method == "POST":
        try:
            size = version.size
            gone = actions.delete_version(actor=request.user, version=version, confirm=request.POST.get("confirm", ""))
            said = _("%(version)s is deleted.") % {"version": f"{name}:v{number}"}
            said += " " + (
                _("%(size)s of the disk are free again.") % {"size": filesizeformat(size)}
                if gone
                else _("Its files stay, since other versions have the same ones, or until the store is reclaimed.")
            )
            messages.success(request, said)
            return redirect("models")
        except Refusal as refusal:
            problems = list(refusal.problems)
    context = {
        "section": "models",
        "version": version,
        "reasons": actions.reasons_against(version),
        "shared": queries.versions().filter(digest=version.digest).exclude(pk=version.pk),
        "problems": problems,
    }
    return render(request, "models_registry/delete.html", context, status=400 if problems else 200)


@require_GET
@requires(Right.SEE_MODELS)
def disk(request: HttpRequest) -> HttpResponse:
    context = {
        "section": "models",
        "disk": queries.disk(),
        "verify_job": latest("models_registry.store", "verify-store"),
    }
    return render(request, "models_registry/disk.html", context)


@require_POST
@requires(Right.MANAGE_MODELS)
def reclaim(request: HttpRequest) -> HttpResponse:
    freed = actions.reclaim(actor=request.user)
    said = ngettext("%(count)d folder was removed", "%(count)d folders were removed", freed["folders"])
    messages.success(request, said % {"count": freed["folders"]} + f": {filesizeformat(freed['bytes'])}.")
    return redirect("models-disk")


@require_POST
@requires(Right.SEE_MODELS)
def verify_all(request: HttpRequest) -> HttpResponse:
    job = actions.begin_verify_all(actor=request.user)
    return render(request, "jobs/job.html", {"job": job}) if request.htmx else redirect("job", job.pk)
