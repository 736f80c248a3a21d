"""The quality of a project as tables and as one report: what files, REST and `manage.py quality` give."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from django.utils.translation import gettext as _

from labeling.models import Project
from labeling.quality import Quality, gold
from people.models import User


@dataclass(frozen=True)
class Annotator:
    """One person in a project: how they rank. Each dict is a figure."""

    pk: int
    name: str
    simulated: bool
    rankings: int
    tau_x: dict
    raw: dict
    themselves: dict | None
    reliability: dict | None
    gold: float | None
    gold_n: int
    seconds: float | None


def annotators(found: Quality) -> list[Annotator]:
    """Everybody who ranked, those who did most first."""
    people = found["annotators"]["people"]
    users = User.objects.in_bulk([int(pk) for pk in people])
    known = gold(found.project)
    rows = []
    for pk, data in people.items():
        user, answers = users[int(pk)], known.get(int(pk), {})
        rows.append(
            Annotator(
                pk=user.pk,
                name=found.project.name_of(user),
                simulated=user.is_simulated,
                rankings=data["summary"]["rankings"],
                tau_x=data["summary"]["tau_x"],
                raw=data["summary"]["three_way"]["raw"],
                themselves=data["themselves"] and data["themselves"]["three_way"]["raw"],
                reliability=data["reliability"] and data["reliability"]["scale"],
                gold=answers.get("score"),
                gold_n=answers.get("n", 0),
                seconds=data["seconds"],
            )
        )
    return sorted(rows, key=lambda row: (-row.rankings, row.name))


def titles_of_slices() -> dict[str, str]:
    """What slices are called that a project has by itself; others have the name that the import gave them."""
    return {
        "K": _("Outputs per task"),
        "round": _("Round"),
        "chosen": _("Active order"),
        "source": _("Models compared"),
    }


def report(project: Project) -> dict:
    """Every part, with people by name and the figures of their gold tasks."""
    found = Quality(project)
    told = found.report()
    for row in annotators(found):
        told["annotators"]["people"][str(row.pk)] |= {
            "name": row.name,
            "simulated": row.simulated,
            "gold": None if row.gold is None else {"score": row.gold, "n": row.gold_n},
        }
    return {"project": project.slug, "rankings": told["agreement"]["rankings"], **told}


# Tables: the first row names the columns

Rows = Iterator[list[object]]


def _figure(name: str) -> list[str]:
    return [name, f"{name}_low", f"{name}_high", f"{name}_n"]


def _cells(figure: dict | None) -> list[object]:
    return [figure[key] for key in ("value", "low", "high", "n")] if figure else [None] * 4


def _annotators(found: Quality) -> Rows:
    figures = ("tau_x", "same_answers", "with_themselves", "reliability")
    yield [
        "annotator",
        "simulated",
        "rankings",
        *(c for name in figures for c in _figure(name)),
        "gold",
        "gold_n",
        "seconds",
    ]
    for row in annotators(found):
        told = [cell for figure in (row.tau_x, row.raw, row.themselves, row.reliability) for cell in _cells(figure)]
        yield [row.name, row.simulated, row.rankings, *told, row.gold, row.gold_n, row.seconds]


def _slices(found: Quality) -> Rows:
    yield [
        "slice",
        "value",
        "rankings",
        *_figure("same_answers"),
        *_figure("chance_corrected"),
        *_figure("tau_b"),
        *_figure("tau_x"),
    ]
    for name, values in found["slices"].items():
        for value, summary in values.items():
            three_way = summary["three_way"]
            figures = (three_way["raw"], three_way["chance_corrected"], summary["tau_b"], summary["tau_x"])
            yield [name, value, summary["rankings"], *(cell for figure in figures for cell in _cells(figure))]


def _models(found: Quality) -> Rows:
    yield ["model", "group", *_figure("strength"), *_figure("win_share"), "wins", "ties", "losses"]
    for each in (found["models"]["comparison"] or {}).get("strengths", []):
        told = [*_cells(each["strength"]), *_cells(each["win_share"])]
        yield [each["source"], each["group"], *told, each["wins"], each["ties"], each["losses"]]


def _tasks(found: Quality) -> Rows:
    yield ["task", "rankings", "tau_x"]
    rankings = dict(found.project.tasks.filter(submitted__gt=1).values_list("pk", "submitted"))
    for task, agreement in found["tasks"].items():
        yield [task, rankings.get(int(task)), agreement]


TABLES: dict[str, Callable[[Quality], Rows]] = {
    "annotators": _annotators,
    "slices": _slices,
    "models": _models,
    "tasks": _tasks,
}
