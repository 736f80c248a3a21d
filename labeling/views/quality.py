"""The quality page of a project: how it goes, how far people agree, how each of them does, what moves rankings, the models compared. And its files."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET

import charts
from labeling import export, places, project_queries, quality_tables, queries
from labeling import quality_charts as pictures
from labeling import quality_words as words
from labeling.models import Project
from labeling.quality import Quality
from labeling.quality_tables import Annotator, annotators
from labeling.ranking import LETTERS
from people.downloads import csv_file
from people.permissions import Right, requires


@require_GET
@requires(Right.SEE_QUALITY, place=places.project)
def quality(request: HttpRequest, slug: str) -> HttpResponse:
    """The whole page. What is worked out already is there at once; the rest comes by itself, part by part."""
    project = get_object_or_404(Project, slug=slug)
    counts = queries.project_counts(project)
    throughput = project_queries.throughput(project, wanted=counts["wanted"], ranked=counts["rankings"])
    context = {
        "project": project,
        "tab": "quality",
        "counts": counts,
        "throughput": throughput,
        "finish": timezone.localdate() + timezone.timedelta(days=throughput.days_left)
        if throughput.days_left
        else None,
        **_sections(request, project, work="all" in request.GET),
    }
    return render(request, "labeling/quality.html", context)


@require_GET
@requires(Right.SEE_QUALITY, place=places.project)
def part(request: HttpRequest, slug: str, part: str) -> HttpResponse:
    """One part and those behind it that are there; for what the page lacks."""
    if part not in SECTIONS:
        raise Http404
    project = get_object_or_404(Project, slug=slug)
    return render(request, "labeling/parts/quality_sections.html", _sections(request, project, first=part))


def _sections(request: HttpRequest, project: Project, *, first: str = "", work: bool = False) -> dict:
    """The sections from `first` on, up to the first that would have to be worked out or drawn (`waiting`). `first` itself is, with `work` all are."""
    charts.warm()
    found = Quality(project)
    names = list(SECTIONS)
    shown = []
    for name in names[names.index(first) if first else 0 :]:
        section = SECTIONS[name]
        now = work or name == first
        context = section.context(found, request) if now or found.has(*section.needs) else None
        if context is None or not (now or charts.are_drawn(filter(None, context["plots"]))):
            return {"project": project, "sections": shown, "waiting": name, "waiting_for": section.title}
        context["pictures"] = _draw(context["plots"])
        shown.append((name, section.title, f"labeling/parts/quality_{name}.html", context))
    return {"project": project, "sections": shown}


# The sections


def _agreement(found: Quality, request: HttpRequest) -> dict:
    data = found["agreement"]
    three_way = data["three_way"]
    named = [
        (_("α, ordinal"), data["alpha"]),
        (_("α, nominal"), data["alpha_nominal"]),
        (_("Corrected for chance"), three_way["chance_corrected"]),
        (_("Kendall's τ-b"), data["tau_b"]),
        (_("Kendall's τ-x"), data["tau_x"]),
    ]
    picture = pictures.intervals(named, mark=0.0)
    per_task = list(found["tasks"].values())
    spread = pictures.histogram(per_task, low=-1.0, high=1.0, parts=16, mark=found.project.contested_below)
    contested = sum(agreement < found.project.contested_below for agreement in per_task)
    return {
        "data": data,
        "named": named,
        "plots": [picture, spread],
        "contested": contested,
        "compared_tasks": len(per_task),
        "says": {
            "three_way": words.three_way(three_way),
            "strict": words.strict(three_way),
            "corrected": words.corrected(three_way["chance_corrected"]["value"]),
            "alpha": words.alpha(data["alpha"]["value"]),
            "ceiling": words.ceiling(data["ceiling"]),
            "themselves": words.themselves(data["themselves"]),
        },
    }


SHOWN_PEOPLE = 12
COLUMNS: dict[str, tuple[str, Callable[[Annotator], object]]] = {
    "name": (gettext_lazy("Annotator"), lambda row: row.name.lower()),
    "rankings": (gettext_lazy("Rankings"), lambda row: row.rankings),
    "agreement": (gettext_lazy("Agreement (τ-x)"), lambda row: row.tau_x["value"]),
    "same": (gettext_lazy("Same answers"), lambda row: row.raw["value"]),
    "themselves": (gettext_lazy("With themselves"), lambda row: row.themselves and row.themselves["value"]),
    "reliability": (gettext_lazy("Reliability"), lambda row: row.reliability and row.reliability["value"]),
    "gold": (gettext_lazy("Gold"), lambda row: row.gold),
    "seconds": (gettext_lazy("Seconds"), lambda row: row.seconds),
}


def _annotators(found: Quality, request: HttpRequest) -> dict:
    rows = annotators(found)
    sort = request.GET.get("sort", "")
    if sort.lstrip("-") in COLUMNS:
        value = COLUMNS[sort.lstrip("-")][1]
        known = [row for row in rows if value(row) is not None]
        known.sort(key=value, reverse=sort.startswith("-"))  # type: ignore[arg-type]
        rows = known + [row for row in rows if value(row) is None]
    compared = sorted((row for row in rows if row.tau_x["value"] is not None), key=lambda row: -row.tau_x["value"])
    with_interval = [row for row in compared if row.tau_x["low"] is not None]
    picture = pictures.intervals(
        [(row.name, row.tau_x) for row in with_interval], mark=found["agreement"]["tau_x"]["value"]
    )
    shown = rows if request.GET.get("people") == "all" else rows[:SHOWN_PEOPLE]
    return {
        "rows": shown,
        "hidden": len(rows) - len(shown),
        "columns": [(key, title) for key, (title, _value) in COLUMNS.items()],
        "sort": sort,
        "plots": [picture],
        "drawn": min(len(with_interval), pictures.MOST_ROWS),
        "of": len(rows),
        "any_gold": any(row.gold is not None for row in rows),
        "any_seconds": any(row.seconds is not None for row in rows),
        "any_repeats": any(row.themselves for row in rows),
    }


def _slices(found: Quality, request: HttpRequest) -> dict:
    titles = quality_tables.titles_of_slices()
    tables, plots = [], []
    for name, values in found["slices"].items():
        rows = [(value, summary) for value, summary in values.items()]
        picture = pictures.intervals(
            [(value, summary["tau_x"]) for value, summary in rows], mark=found["agreement"]["tau_x"]["value"]
        )
        tables.append((titles.get(name, name), rows))
        plots.append(picture)
    return {"tables": tables, "plots": plots, "questions": _questions(found)}


def _questions(found: Quality) -> list[tuple[str, dict]]:
    """The scales of the project's questions with their agreement."""
    titles = {each.get("key"): each.get("title") for each in found.project.questions}
    return [(titles.get(key) or key, figure) for key, figure in found["questions"].items()]


def _bias(found: Quality, request: HttpRequest) -> dict:
    data = found["bias"]
    places_ = [(LETTERS[place], figure) for place, figure in enumerate(data["position"]["places"])]
    thirds = list(
        zip((_("fastest third"), _("middle third"), _("slowest third")), data["speed"]["thirds"], strict=True)
    )
    return {
        "data": data,
        "places": places_,
        "thirds": thirds,
        "plots": [pictures.intervals(places_, mark=0.0, percent=True), pictures.intervals(thirds)],
        "says": {
            "position": words.position(data["position"]),
            "length": words.length(data["length"]),
            "speed": words.speed(data["speed"]),
        },
    }


def _models(found: Quality, request: HttpRequest) -> dict:
    comparison = found["models"]["comparison"]
    if comparison is None:
        return {"comparison": None, "plots": []}
    strengths = comparison["strengths"]
    groups: dict[int, list[dict]] = {}
    for each in strengths:
        groups.setdefault(each["group"], []).append(each)
    drawn = [
        pictures.intervals([(str(each["source"]), each["strength"]) for each in group], mark=0.0)
        for group in groups.values()
    ]
    matrix = [
        (
            str(row["source"]),
            [
                None if a == b else (comparison["wins"][a][b], comparison["ties"][a][b], comparison["wins"][b][a])
                for b in range(len(strengths))
            ],
        )
        for a, row in enumerate(strengths)
    ]
    return {"comparison": comparison, "groups": list(groups.values()), "plots": drawn, "matrix": matrix}


def _draw(plots: list[pictures.Plot | None]) -> list[str]:
    """The pictures, "" where there is nothing to draw."""
    drawn = iter(charts.draw([plot for plot in plots if plot]))
    return [next(drawn) if plot else "" for plot in plots]


@dataclass(frozen=True)
class Section:
    title: str
    needs: tuple[str, ...]  # parts of Quality
    context: Callable[[Quality, HttpRequest], dict]


SECTIONS: dict[str, Section] = {
    "agreement": Section(gettext_lazy("Agreement"), ("agreement", "tasks"), _agreement),
    "annotators": Section(gettext_lazy("People"), ("agreement", "annotators"), _annotators),
    "slices": Section(gettext_lazy("Parts of the project"), ("agreement", "slices", "questions"), _slices),
    "bias": Section(gettext_lazy("Bias"), ("bias",), _bias),
    "models": Section(gettext_lazy("Models compared"), ("models",), _models),
}


# Files

PICTURE = re.compile(r"([a-z]+)-(\d+)\.vl\.json")


@require_GET
@requires(Right.SEE_QUALITY, place=places.project)
def file(request: HttpRequest, slug: str, name: str) -> HttpResponse:
    """`report.json`, one of the tables as CSV, or a picture as a Vega-Lite specification: agreement-0.vl.json."""
    project = get_object_or_404(Project, slug=slug)
    headers = {"Content-Disposition": f'attachment; filename="{project.slug}-{name}"'}
    if name == "report.json":
        export.export_quality(actor=request.user, project=project, what=name)
        dumping = {"indent": 1, "ensure_ascii": False}
        return JsonResponse(quality_tables.report(project), headers=headers, json_dumps_params=dumping)
    if picture := PICTURE.fullmatch(name):
        section = SECTIONS.get(picture[1])
        plots = section.context(Quality(project), request)["plots"] if section else []
        if not 0 <= int(picture[2]) < len(plots) or plots[int(picture[2])] is None:
            raise Http404
        export.export_quality(actor=request.user, project=project, what=name)
        return JsonResponse(plots[int(picture[2])].spec(charts.PLAIN), headers=headers)
    table = name.removesuffix(".csv")
    if table == name or table not in quality_tables.TABLES:
        raise Http404
    export.export_quality(actor=request.user, project=project, what=name)
    return csv_file(quality_tables.TABLES[table](Quality(project)), f"{project.slug}-{table}")
