"""Import into a project: choose a file, look at what it holds and what importing it would do, then import it."""

from itertools import islice

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from labeling import actions, places, uploads
from labeling.files import BadRow, Problem, rows
from labeling.forms.filling import ImportForm
from labeling.importing.formats import Item, recognise
from labeling.importing.load import look
from labeling.models import Project
from labeling.project_queries import recent_job
from labeling.views.lists import posted
from people.errors import Refusal
from people.permissions import ANYWHERE, Right, requires

LOOK_AT_ROWS = 5000  # the page answers at once; the import itself looks at all of them
PREVIEW_ITEMS = 3

# What a file may look like: (name of the sample, what it is for, its text).
EXAMPLES = {
    "prompts.jsonl": '{"prompt": "What is the capital of France?"}\n{"prompt": "Write a line about rain.", "id": "rain-1"}\n',
    "tasks.jsonl": (
        '{"prompt": "What is the capital of France?", "completions": ["Paris.", "Lyon.", '
        '{"text": "It is Paris, on the Seine.", "source": "model-a"}], "batch": "round 1", "priority": 2, "score": 0.83, "overlap": 3}\n'
    ),
    "rankings.jsonl": (
        '{"prompt": "What is the capital of France?", "completions": ["Paris.", "Lyon.", "It is Paris, on the Seine."], '
        '"rankings": [{"annotator": "ani", "ranking": "C > A > B", "comment": "Lyon is wrong."}, {"annotator": "budi", "ranking": "A = C > B"}]}\n'
    ),
    "known-answers.jsonl": (
        '{"prompt": "What is two and two?", "completions": ["Four.", "Five.", "It is four."], '
        '"kind": "practice", "answer": "A > B, C > B", "explanation": "Five is wrong; both others are right."}\n'
        '{"prompt": "Name a colour.", "completions": ["Blue.", "Dog."], "kind": "gold", "answer": "A > B"}\n'
    ),
    "tasks.csv": (
        "prompt,completion_1,completion_2,ranking,annotator,batch,priority,sensitive\n"
        "What is the capital of France?,Paris.,Lyon.,A > B,ani,round 1,2,no\n"
    ),
}


@require_http_methods(["GET", "POST"])
@requires(Right.MANAGE_PROJECTS, place=places.project)
def start(request: HttpRequest, slug: str) -> HttpResponse:
    """Choose a file or paste; it is kept, and the next page shows what it holds."""
    project = get_object_or_404(Project, slug=slug)
    form = ImportForm(*posted(request))
    if request.method == "POST" and form.is_valid():
        upload = uploads.keep(request.user, *form.content())
        return redirect("project-import-preview", project.slug, upload.id)
    context = {
        "project": project,
        "tab": "import",
        "form": form,
        "examples": EXAMPLES,
        "job": recent_job(project, "import"),
    }
    return render(request, "labeling/import.html", context, status=400 if form.is_bound else 200)


@require_GET
@requires(Right.MANAGE_PROJECTS, place=places.project)
def preview(request: HttpRequest, slug: str, upload: str) -> HttpResponse:
    """What an import would do. Nothing is changed yet, and the page can be opened again."""
    project = get_object_or_404(Project, slug=slug)
    kept = uploads.find(request.user, upload)
    context = {"project": project, "tab": "import", "upload": kept}
    try:
        report = look(project, kept.path, kept.name, rows_at_most=LOOK_AT_ROWS)
        context |= {
            "report": report,
            "partly": report.rows == LOOK_AT_ROWS,
            "good": report.rows - len(report.problems),
            "items": first_items(kept),
            "batches": project.batches.all(),
        }
    except Refusal as refusal:
        context["problems"] = list(refusal.problems)
    return render(request, "labeling/import_preview.html", context, status=400 if "problems" in context else 200)


def first_items(upload: uploads.Upload) -> list[Item]:
    """The first items of the file that can be read, as annotators will get them."""
    items: list[Item] = []
    format = None
    for _line, row in islice(rows(upload.path), 50):
        if isinstance(row, Problem):
            continue
        format = format or recognise(row)
        try:
            items += format.items(row) if format.keys <= row.keys() else []
        except BadRow:
            continue
        if len(items) >= PREVIEW_ITEMS:
            break
    return items[:PREVIEW_ITEMS]


@require_POST
@requires(Right.MANAGE_PROJECTS, place=places.project)
def confirm(request: HttpRequest, slug: str, upload: str) -> HttpResponse:
    """Import what was looked at, as a job; `skip_bad` leaves out the rows that cannot be read."""
    project = get_object_or_404(Project, slug=slug)
    kept = uploads.find(request.user, upload)
    actions.start_import(
        actor=request.user,
        project=project,
        upload=kept,
        skip_bad="skip_bad" in request.POST,
        batch=request.POST.get("batch", ""),
    )
    messages.info(request, _("The import has begun. You can leave this page; it goes on."))
    return redirect("project-import", project.slug)


@require_GET
@requires(Right.MANAGE_PROJECTS, place=ANYWHERE)
def example(request: HttpRequest, name: str) -> HttpResponse:
    """A sample file to download and fill in."""
    if name not in EXAMPLES:
        raise Refusal(_("There is no example called “%(name)s”.") % {"name": name}, status=404)
    kind = "text/csv" if name.endswith(".csv") else "application/jsonl"
    return HttpResponse(
        EXAMPLES[name],
        content_type=f"{kind}; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )
