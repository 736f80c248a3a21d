"""manage.py quality PROJECT [--json]: how good a project's labels are, as its page tells it."""

import json

from django.core.management.base import BaseCommand

from labeling.management.projects import project_called
from labeling.models import Project
from labeling.quality import Quality
from labeling.quality_tables import annotators, report
from labeling.templatetags.quality import interval, percent, two, why


class Command(BaseCommand):
    help = "Agreement, the human ceiling, people, bias and models compared, from a project's rankings."

    def add_arguments(self, parser) -> None:
        parser.add_argument("project", help="the project's slug, as in its address")
        parser.add_argument("--json", action="store_true", help="every figure, as one JSON object")

    def handle(self, *, project: str, json: bool, **_: object) -> None:
        found = project_called(project)
        self.stdout.write(_as_json(found) if json else "\n".join(_lines(Quality(found))))


def _as_json(project: Project) -> str:
    return json.dumps(report(project), ensure_ascii=False, indent=1)


def _lines(found: Quality) -> list[str]:
    data, bias = found["agreement"], found["bias"]
    three_way, ceiling = data["three_way"], data["ceiling"]
    lines = [
        f"{data['rankings']:,} rankings of {data['tasks']:,} tasks by {data['annotators']:,} people",
        f"{data['shared_tasks']:,} tasks have several; {data['repeats']:,} rankings are repeats",
        "",
        _line("same answers", three_way["raw"], "percent"),
        _line("  corrected for chance", three_way["chance_corrected"]),
        _line("  where neither tied", three_way["strict"], "percent"),
        _line("alpha, ordinal", data["alpha"]),
        _line("alpha, nominal", data["alpha_nominal"]),
        _line("tau-b", data["tau_b"]),
        _line("tau-x", data["tau_x"]),
        _line("with themselves", data["themselves"]["three_way"]["raw"], "percent"),
        _line("human ceiling, preference", ceiling["strict_by_person"], "percent"),
        _line("human ceiling, any answer", ceiling["three_way_by_person"], "percent"),
        "",
        _line("wins of what is shown earlier", bias["position"]["earlier_wins"], "percent"),
        _line("wins of the longer output", bias["length"]["longer_wins"], "percent"),
        _line("log-odds a doubling of length", bias["length"]["slope"]),
        _line("tau-x a doubling of time", bias["speed"]["slope"]),
    ]
    if comparison := found["models"]["comparison"]:
        lines += ["", *(_line(str(each["source"]), each["strength"]) for each in comparison["strengths"])]
    people = [row for row in annotators(found) if row.reliability and row.reliability["value"] is not None]
    lines += ["", "people by reliability (1 is typical), with their agreement (tau-x):"]
    people.sort(key=lambda row: -(row.reliability or {})["value"])
    lines += [f"{_line(row.name, row.reliability)}  {two(row.tau_x['value'])}" for row in people]
    return lines


def _line(name: str, figure: dict | None, kind: str = "two") -> str:
    if figure is None:
        return f"{name:34s}  –"
    value = percent(figure["value"]) if kind == "percent" else two(figure["value"])
    return f"{name:34s}{value:>8s}  {interval(figure, kind):14s}{why(figure)}".rstrip()
