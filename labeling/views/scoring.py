"""A file of rows to a reward model: sent from its page of scores, and what came of it."""

from itertools import islice

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST
from django_htmx.http import HttpResponseClientRedirect

from labeling import actions, scoring, uploads
from labeling.forms.filling import ImportForm
from models_registry.views import the_version
from people.errors import Refusal, wrong_with
from people.permissions import Right, requires

SHOWN = 20


@require_POST
@requires(Right.TRY_MODELS)
def score_file(request: HttpRequest, name: str, number: int) -> HttpResponse:
    version = the_version(name, number)
    form = ImportForm(request.POST, request.FILES)
    if not form.is_valid():
        raise Refusal(wrong_with(form))
    upload = uploads.keep(request.user, *form.content())
    try:
        job = actions.start_scoring_file(actor=request.user, version=version, upload=upload)
    except Refusal:
        uploads.discard(upload)
        raise
    return HttpResponseClientRedirect(reverse("job", args=[job.pk])) if request.htmx else redirect("job", job.pk)


@require_GET
@requires(Right.TRY_MODELS)
def scored(request: HttpRequest, upload: str) -> HttpResponse:
    """The first rows; with `as`, all of them as a file."""
    found = uploads.find(request.user, upload)
    if kind := request.GET.get("as"):
        return scoring.file_of(found, kind)
    first = list(islice(scoring.rows_of(found), SHOWN + 1))
    rows = [scoring.told(row) for row in first[:SHOWN]]
    context = {
        "section": "models",
        "upload": found,
        "rows": rows,
        "has_spread": any(each.spread is not None for _prompt, outputs in rows for each in outputs),
        "more": len(first) > SHOWN,
    }
    return render(request, "labeling/scored.html", context)
