"""Pages of data sets: the list, a data set, and uploading one: choose a file, look at how it is read, store it."""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from django.contrib import messages
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_http_methods

from labeling import actions, export, hooks, places, uploads
from labeling.actions.datasets import may_delete
from labeling.datasets import files, store
from labeling.datasets.kinds import COLUMNS
from labeling.files import Problem, rows
from labeling.forms.datasets import ReadingForm, UploadForm
from labeling.models import Dataset, Split
from labeling.project_queries import dataset_list, uploaded_as
from labeling.views.lists import filter_of, page_of, posted, search_of
from people.errors import Refusal
from people.permissions import ANYWHERE, Right, requires

STORED_AT_ONCE = 8 * 1024 * 1024  # bytes; a larger file becomes a job

OWN_COLUMNS = sorted({own for columns in COLUMNS.values() for own in columns})
# What other files call our columns.
ALIASES = {
    "text": ["content", "body", "story", "document", "sentence"],
    "label": ["class", "category", "sentiment", "target"],
    "prompt": ["instruction", "question", "query", "input"],
    "completion": ["response", "output", "answer", "reply"],
}


@require_GET
@requires(Right.SEE_DATA, place=ANYWHERE)
def datasets(request: HttpRequest) -> HttpResponse:
    kind = filter_of(request, "kind", _("All kinds"), Dataset.Kind.choices)
    origin = filter_of(
        request, "from", _("From anywhere"), [("upload", _("uploaded")), ("project", _("snapshots of projects"))]
    )
    search = search_of(request)
    page = page_of(request, dataset_list(request.user, search=search, kind=kind.value, origin=origin.value))
    uses = hooks.uses(list(page))
    context = {
        "page": page,
        "rows": [(dataset, uses[dataset.pk]) for dataset in page],
        "query": search,
        "filters": [kind, origin],
        "any": dataset_list(request.user).exists(),
    }
    return render(request, "labeling/datasets.html", context)


# One data set


class Rows(Sequence):
    """The rows of a data set for a paginator: read from the file as far as a page needs."""

    def __init__(self, dataset: Dataset, split: str) -> None:
        self.dataset, self.split = dataset, split

    def __len__(self) -> int:
        return self.dataset.splits.get(self.split, 0) if self.split else self.dataset.rows

    def __getitem__(self, part: slice) -> list[dict]:
        return list(islice(store.rows_of(self.dataset.folder, self.split or None), part.start, part.stop))


@require_GET
@requires(Right.SEE_DATA, place=places.of_dataset)
def dataset(request: HttpRequest, pk: int) -> HttpResponse:
    dataset = get_object_or_404(Dataset.objects.select_related("project", "created_by"), pk=pk)
    sections = hooks.sections(dataset, request.user)
    split = filter_of(request, "split", _("Both splits"), Split.choices)
    context = {
        "dataset": dataset,
        "about": dataset.manifest,
        "can_delete": may_delete(request.user, dataset),
        "simulated": sum(person["simulated"] for person in dataset.manifest.get("annotators", {}).values()),
        "left_out": _left_out(dataset),
        "uploaded_as": uploaded_as(dataset),
        "next_sections": [each for each in sections if each.place == "next"],
        "use_sections": [each for each in sections if each.place == "use"],
        "filters": [split],
        "is_there": (dataset.folder / store.DATA).is_file(),
    }
    if context["is_there"]:
        context["page"] = page_of(request, Rows(dataset, split.value), size=5)
    return render(request, "labeling/dataset.html", context)


@require_http_methods(["GET", "POST"])
@requires(Right.SEE_DATA, place=places.of_dataset)
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Whether it can go, and why not; POST deletes it."""
    dataset = get_object_or_404(Dataset, pk=pk)
    if not may_delete(request.user, dataset):
        raise Refusal(_("Only who made it, or an admin, can delete this data set."), status=403)
    if request.method == "POST":
        actions.delete_dataset(actor=request.user, dataset=dataset)
        messages.success(request, _("%(dataset)s is deleted.") % {"dataset": dataset.name})
        return redirect("datasets")
    return render(request, "labeling/dataset_delete.html", {"dataset": dataset, "reasons": hooks.needs(dataset)})


def _left_out(dataset: Dataset) -> str:
    """The rankings of the project, or the rows of the file, that it does not hold, in words; "" if it holds all."""
    left_out = dataset.manifest.get("left_out", {})
    unread, spare, closed, repeats, gold, overruled = (
        dataset.manifest.get("rows_left_out", 0),
        *(left_out.get(name, 0) for name in ("spare", "of_closed_tasks", "repeats", "gold", "adjudicated")),
    )
    said = [
        (unread, ngettext("%(n)d row that could not be read", "%(n)d rows that could not be read", unread)),
        (spare, ngettext("%(n)d spare ranking", "%(n)d spare rankings", spare)),
        (
            closed,
            ngettext("%(n)d ranking of tasks closed for review", "%(n)d rankings of tasks closed for review", closed),
        ),
        (repeats, ngettext("%(n)d repeated judgement", "%(n)d repeated judgements", repeats)),
        (gold, ngettext("%(n)d ranking of gold tasks", "%(n)d rankings of gold tasks", gold)),
        (
            overruled,
            ngettext(
                "%(n)d ranking that a reviewer's decision replaces",
                "%(n)d rankings that a reviewer's decision replaces",
                overruled,
            ),
        ),
    ]
    return ", ".join(text % {"n": n} for n, text in said if n)


@require_GET
@requires(Right.EXPORT, place=places.of_dataset)
def file(request: HttpRequest, pk: int, name: str) -> HttpResponse:
    """A file of the data set as it is stored: `data.jsonl`, `manifest.json`, …"""
    dataset = get_object_or_404(Dataset, pk=pk)
    known = {store.MANIFEST, *(each["path"] for each in dataset.manifest.get("files", []))}
    path = dataset.folder / name
    if name not in known or not path.is_file():
        raise Http404
    export.export_file(actor=request.user, dataset=dataset, name=name)
    return FileResponse(
        path.open("rb"), as_attachment=True, filename=f"{slugify(dataset.name) or 'data'}-{dataset.digest[:8]}-{name}"
    )


# Uploading one


@require_http_methods(["GET", "POST"])
@requires(Right.UPLOAD_DATA)
def new(request: HttpRequest) -> HttpResponse:
    """Choose one or several files; they are kept, and the next page shows how they are read."""
    form = UploadForm(*posted(request))
    if request.method == "POST" and form.is_valid():
        chosen = [(file.name, file.chunks()) for file in form.cleaned_data["file"]]
        return redirect("dataset-reading", uploads.keep_all(request.user, chosen).id)
    return render(request, "labeling/dataset_new.html", {"form": form}, status=400 if form.is_bound else 200)


@require_http_methods(["GET", "POST"])
@requires(Right.UPLOAD_DATA)
def reading(request: HttpRequest, upload: str) -> HttpResponse:
    """How the file is read, in the address; a change shows at once. POST stores it."""
    kept = uploads.find(request.user, upload)
    form = _reading_form(request, kept)
    context = {"upload": kept, "form": form}
    try:
        if form.is_valid():
            if request.method == "POST":
                return _store(request, kept, form)
            context["preview"] = files.preview(kept.paths, form.reading())
    except Refusal as refusal:
        context["problems"] = list(refusal.problems)
    ok = request.method == "GET" and "problems" not in context
    return render(request, "labeling/dataset_reading.html", context, status=200 if ok else 400)


def _store(request: HttpRequest, kept: uploads.Upload, form: ReadingForm) -> HttpResponse:
    arguments = {
        "actor": request.user,
        "name": form.cleaned_data["name"],
        "reading": form.reading(),
        "skip_bad": "skip_bad" in request.POST,
    }
    if kept.size > STORED_AT_ONCE:
        job = actions.start_upload(upload=kept, **arguments)
        messages.info(request, _("The file is being stored. You can leave this page; it goes on."))
        return redirect("job", job.pk)
    dataset, is_new = actions.upload_dataset(path=kept.paths, **arguments)
    uploads.discard(kept)
    if is_new:
        messages.success(request, _("The data set is stored."))
    else:
        messages.info(request, _("These very rows were stored before; here they are."))
    return redirect(dataset)


def _reading_form(request: HttpRequest, kept: uploads.Upload) -> ReadingForm:
    """What the address or the form says, and a good guess for the rest."""
    sent = (request.POST if request.method == "POST" else request.GET).dict()
    texts = [path for path in kept.paths if path.suffix.lower() not in files.TABLES]
    others = [path for path in kept.paths if path.suffix.lower() in files.TABLES]
    plain_text = bool(texts)
    header = tuple(name.strip() for name in sent.get("header", "").split(",") if name.strip())
    columns = list(dict.fromkeys(name for path in others for name in _columns(path, header)))
    called = {own: next((name for name in [own, *ALIASES.get(own, [])] if name in columns), "") for own in OWN_COLUMNS}
    kind = (
        Dataset.Kind.TEXT.value if plain_text else sent.get("kind") or _kind_by({own for own in called if called[own]})
    )
    separator = sent.get("separator") or (_separator_of(texts[0]) if plain_text else "")
    # A column that the file does not have, as it is read now, was chosen for another reading of it.
    sent = {name: value for name, value in sent.items() if not name.startswith("column_") or value in columns}
    guess = {"name": kept.path.stem[:120], "kind": kind, "heldout_percent": 10, "separator": separator}
    guess |= {f"column_{own}": theirs for own, theirs in called.items()}
    return ReadingForm(
        {**guess, **sent},
        plain_text=plain_text,
        table=any(path.suffix.lower() in {".csv", ".tsv"} for path in others),
        kind=kind,
        separator=separator,
        columns=columns,
    )


def _columns(path: Path, header: tuple[str, ...]) -> list[str]:
    """Of the first row that can be read; none if the file cannot."""
    try:
        return next(
            (list(row) for _line, row in islice(rows(path, columns=header), 50) if not isinstance(row, Problem)), []
        )
    except Refusal:
        return []


def _kind_by(columns: set[str]) -> str:
    """The most demanding kind whose columns are all there."""
    fitting = [kind for kind, needed in COLUMNS.items() if set(needed) <= columns]
    return max(fitting, key=lambda kind: len(COLUMNS[kind]), default=Dataset.Kind.TEXT).value


def _separator_of(path: Path) -> str:
    """What seems to stand between the documents of a plain text, by its beginning."""
    with path.open("rb") as file:
        beginning = file.read(1 << 20).replace(b"\r\n", b"\n")
    if path.suffix.lower() == ".abc":
        return "tunes"
    if b"<|endoftext|>" in beginning:
        return "<|endoftext|>"
    return "blank" if b"\n\n" in beginning.strip() else "line"
