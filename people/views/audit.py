"""The audit trail: who did what, by person, verb, object and period; as a page, as CSV and JSON."""

from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from .. import actions, queries
from ..downloads import download
from ..errors import Refusal, wrong_with
from ..forms import AuditForm
from ..models import AuditEntry
from ..permissions import Right, requires
from ..searching import row_key

COLUMNS = ["id", "at", "actor", "verb", "object_type", "object_id", "place", "data"]


@requires(Right.SEE_AUDIT)
@require_GET
@never_cache
def audit(request: HttpRequest) -> HttpResponse:
    return render(request, "people/audit.html", {"tab": "audit", **about(request)})


@requires(Right.SEE_AUDIT)
@require_GET
def trail_file(request: HttpRequest) -> HttpResponse:
    return as_file(request)


def about(request: HttpRequest, place: str = "") -> dict:
    """What a page of the trail shows. `place`: the trail of one project."""
    form = AuditForm(request.GET, place=place)
    found = queries.asked_for(form.asked()) if form.is_valid() else AuditEntry.objects.none()
    part = queries.slice_of(
        found, before=row_key(request.GET.get("before", "")), after=row_key(request.GET.get("after", ""))
    )
    query = request.GET.copy()
    for name in ("before", "after"):
        query.pop(name, None)
    return {"form": form, "part": part, "entries": queries.read(part.entries), "kept": query.urlencode()}


def as_file(request: HttpRequest, place: str = "", of: Model | None = None) -> HttpResponse:
    """All entries asked for, as many as there are: written as they are read. `of`: the project that is the place."""
    form = AuditForm(request.GET, place=place)
    if not form.is_valid():
        raise Refusal(wrong_with(form, labels=True))
    asked = form.asked()
    actions.note_audit_export(actor=request.user, asked=asked, place=of)
    kind = "json" if request.GET.get("as") == "json" else "csv"
    return download(queries.rows(queries.asked_for(asked)), COLUMNS, "audit", kind)
