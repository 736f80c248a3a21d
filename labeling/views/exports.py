"""Freeze a project's rankings into a snapshot, and take rankings out as preference pairs, with the counts before the download."""

from collections import Counter

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from labeling import actions, hooks, places, project_queries
from labeling.datasets import consensus, pairs, store
from labeling.datasets.snapshot import Options
from labeling.forms.datasets import ExportForm, FreezeForm
from labeling.models import Dataset, Project
from labeling.views.lists import page_of
from people.errors import Refusal, wrong_with
from people.permissions import Right, requires


@require_http_methods(["GET", "POST"])
@requires(Right.FREEZE, place=places.project)
def freeze(request: HttpRequest, slug: str) -> HttpResponse:
    """The project's snapshots, and what one frozen now would hold: the options stand in the address, so that counts follow them."""
    project = get_object_or_404(Project, slug=slug)
    form = FreezeForm(request.POST if request.method == "POST" else request.GET)
    problems: list[str] = []
    options = form.options() if form.is_valid() else Options()
    if request.method == "POST" and form.is_valid():
        try:
            dataset, is_new = actions.freeze_snapshot(
                actor=request.user, project=project, name=form.cleaned_data["name"], options=options
            )
        except Refusal as refusal:
            problems = list(refusal.problems)
        else:
            if is_new:
                messages.success(request, _("The snapshot is frozen: it never changes."))
            else:
                messages.info(request, _("Nothing was ranked since this snapshot, so it is the same one."))
            return redirect(dataset)
    page = page_of(request, project.snapshots.select_related("created_by"))
    uses = hooks.uses(list(page))
    context = {
        "project": project,
        "tab": "snapshots",
        "form": form,
        "problems": problems,
        "counts": project_queries.snapshot_counts(project, options),
        "page": page,
        "rows": [(snapshot, uses[snapshot.pk]) for snapshot in page],
    }
    return render(request, "labeling/freeze.html", context, status=400 if request.method == "POST" else 200)


@require_GET
@requires(Right.EXPORT, place=places.project)
def project_export(request: HttpRequest, slug: str) -> HttpResponse:
    """What is exported is a snapshot: the newest one, or a word on how to get one."""
    project = get_object_or_404(Project, slug=slug)
    if newest := project.snapshots.first():
        return redirect("dataset-export", newest.pk)
    return render(request, "labeling/export_nothing.html", {"project": project, "tab": "export"})


@require_GET
@requires(Right.EXPORT, place=places.of_dataset)
def export(request: HttpRequest, pk: int) -> HttpResponse:
    """Choose format, ties, margin and split; the number of rows of each choice stands beside it. REST gives the file."""
    dataset = get_object_or_404(Dataset.objects.select_related("project"), pk=pk, kind=Dataset.Kind.RANKINGS)
    form = ExportForm(request.GET, rows=_row_counts(dataset))
    if not form.is_valid():
        raise Refusal(wrong_with(form))
    endpoint = {
        "rankings": "api-dataset-rows",
        "pairs": "api-dataset-pairs",
        "acceptable": "api-dataset-acceptable",
        "consensus": "api-dataset-consensus",
    }
    address = reverse(endpoint[form.cleaned_data["what"]], args=[dataset.pk])
    if query := form.query():
        address += f"?{query}"
    context = {
        "dataset": dataset,
        "project": dataset.project,
        "snapshots": dataset.project.snapshots.all()[:20] if dataset.project else [],
        "form": form,
        "address": address,
        "curl": f'curl -OJ -H "Authorization: Token $TOKEN" "{request.build_absolute_uri(address)}"',
        "account": reverse("account"),
    }
    return render(request, "labeling/export.html", context)


def _row_counts(dataset: Dataset) -> dict[str, dict[str, int]]:
    """How many rows each choice gives, by split: {"rankings": …, "drop": …, "both": …, "rows": …, "consensus": …, "acceptable": …}."""
    counts = dataset.manifest.get("pairs") or pairs.pair_counts(store.rows_of(dataset.folder))
    tasks = dataset.manifest.get("tasks_by_split") or consensus.counts(store.rows_of(dataset.folder))
    counts = {**counts, "rankings": dataset.splits, "consensus": tasks}
    if dataset.manifest.get("rankings", {}).get("with_line", True):  # an uploaded data set does not say
        acceptable = Counter(row["split"] for row in pairs.acceptable(store.rows_of(dataset.folder)))
        if acceptable:
            counts["acceptable"] = acceptable
    return counts
