"""A file of rows to a reward model: sent from its page of scores, and what came of it."""

import json
from itertools import islice

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from labeling import actions, scoring, uploads
from labeling.forms.filling import ImportForm
from models_registry.templatetags.registry import score
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
    return redirect("job", job.pk)


def _shown(cell: object) -> str:
    if isinstance(cell, list) and all(isinstance(each, float) for each in cell):
        return "; ".join(map(score, cell))
    if isinstance(cell, float):
        return score(cell)
    return "" if cell is None else cell if isinstance(cell, str) else json.dumps(cell, ensure_ascii=False)


@require_GET
@requires(Right.TRY_MODELS)
def scored(request: HttpRequest, upload: str) -> HttpResponse:
    """The first rows; with `as`, all of them as a file."""
    found = uploads.find(request.user, upload)
    if kind := request.GET.get("as"):
        return scoring.file_of(found, kind)
    first = list(islice(scoring.rows_of(found), SHOWN + 1))
    columns = scoring.columns_of(first)
    context = {
        "section": "models",
        "upload": found,
        "columns": columns,
        "rows": [[_shown(row.get(column)) for column in columns] for row in first[:SHOWN]],
        "more": len(first) > SHOWN,
    }
    return render(request, "labeling/scored.html", context)
