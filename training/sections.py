"""What the runs add to the pages below this floor: to a version's page its run and labels, to a data set's page what used it."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from django.db.models import Count
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from labeling import hooks as dataset_pages
from labeling.models import Dataset
from labeling.queries import datasets_of, labels_behind
from models_registry import hooks as version_pages
from models_registry.models import Head, Version
from people.models import User
from people.permissions import Right, can

from . import queries
from .engine import methods
from .fields import fields_of, told
from .models import Comparison, Run, RunInput
from .result import Figure, result
from .templatetags.training import figure

MOST = 20
FIRST = {"rankings": "reward", "prompts": "ppo"}  # kind of data → the method that the guide begins with


@version_pages.version_section
def run_of_version(version: Version, user: User) -> Iterator[version_pages.Section]:
    """The run that made it, and the labels it learned from, also through its reward model and base."""
    if not can(user, Right.SEE_RUNS):
        return
    made_by = str(version.origin.get("run", ""))
    if run := queries.runs_called([made_by]).first():
        step = version.origin.get("checkpoint")
        yield version_pages.Section(
            _("The run that made it"), "training/parts/run_link.html", {"runs": [run], "step": step}
        )
    elif deletion := queries.deletion(made_by):
        data = {
            "deletion": deletion,
            "datasets": datasets_of([version]),
            "settings": tell(version).settings.items(),
        }
        yield version_pages.Section(
            _("The run that made it"), "training/parts/deleted_run.html", data | {"version": version}
        )
    if labels := list(labels_behind(version)):
        yield version_pages.Section(_("The labels it learned from"), "training/parts/labels.html", {"labels": labels})


@version_pages.version_section
def runs_with_version(version: Version, user: User) -> Iterator[version_pages.Section]:
    if not can(user, Right.SEE_RUNS):
        return
    runs = queries.runs().filter(inputs__version=version)[:MOST]
    if runs:
        yield version_pages.Section(
            _("Runs that used it"), "training/parts/run_link.html", {"runs": runs}, place="use"
        )


@version_pages.version_need
def runs_that_used(version: Version) -> Iterator[str]:
    """A run can be made again of what it started from, for as long as the run is there. The run that made it can do without it."""
    yield from _in_words(Run.objects.filter(inputs__version=version).distinct())


def _in_words(runs: Iterable[Run]) -> Iterator[str]:
    """That they used something; those of one name in one sentence."""
    found = Counter((str(run), str(queries.comparison_of(run) or "")) for run in runs)
    for (run, comparison), count in list(found.items())[:MOST]:
        if comparison:
            text = ngettext(
                "The run “%(run)s” of the comparison “%(comparison)s” used it.",
                "%(count)d runs called “%(run)s” of the comparison “%(comparison)s” used it.",
                count,
            )
        else:
            text = ngettext("The run “%(run)s” used it.", "%(count)d runs called “%(run)s” used it.", count)
        yield text % {"run": run, "comparison": comparison, "count": count}


@version_pages.method_title
def title_of_method(method: str) -> str:
    return Run(method=method).method_title


@version_pages.version_telling
def tell(version: Version) -> version_pages.Telling:
    """Figures and settings as the page of its run has them."""
    method = version.origin.get("method", "")
    fields = fields_of(methods.config_of(method)) if method in methods.names() else []
    figures = [(each.name, each.title, _with_interval(each)) for each in result(version.metrics).figures]
    return version_pages.Telling(_by_title(figures), _by_title(told(version.origin.get("config", {}), fields)))


def _with_interval(each: Figure) -> str:
    if each.interval is None:
        return str(figure(each.value))
    low, high = map(figure, each.interval)
    return f"{figure(each.value)} ({low} – {high})"


def _by_title(rows: Iterable[tuple[str, str, Any]]) -> dict[str, str]:
    """Rows of (name, title, value); where two have the same title, the later one says its name as well."""
    found: dict[str, str] = {}
    for name, title, value in rows:
        found[f"{title} ({name})" if title in found else title] = "" if value is None else str(value)
    return found


def _methods(takes_it: Callable[[Any], bool]) -> list[dict[str, Any]]:
    """What trains on something, with the role it has there; inputs that are only offered on demand do not count."""
    return [
        {"name": name, "facts": facts, "role": role}
        for name, facts in queries.all_methods().items()
        if facts.family == "train"
        for role, takes in facts.inputs.items()
        if not takes.extra and takes_it(takes)
    ]


@version_pages.version_section
def methods_for_version(version: Version, user: User) -> Iterator[version_pages.Section]:
    """What can be trained by its scores."""
    if version.head != Head.REWARD or not can(user, Right.LAUNCH_RUNS):
        return
    fitting = _methods(lambda takes: takes.kind == "version" and takes.accepts == (Head.REWARD,))
    fitting.sort(key=lambda each: each["name"] != "ppo")  # the one that is tried first
    if fitting:
        yield version_pages.Section(
            _("Train a model by its scores"),
            "training/parts/train_on.html",
            {"methods": fitting, "source": version},
            place="next",
        )


@version_pages.version_deletion
def remember_what_it_made(version: Version) -> None:
    """So that its page says what became of its result, and nothing registers it anew by itself."""
    version.made_by.update(produced=None, deleted_version=str(version))


@dataset_pages.dataset_section
def runs_with_dataset(dataset: Dataset, user: User) -> Iterator[dataset_pages.Section]:
    if not can(user, Right.SEE_RUNS):
        return
    if runs := queries.runs().filter(inputs__dataset=dataset)[:MOST]:
        yield dataset_pages.Section(_("Runs that used it"), "training/parts/run_link.html", {"runs": runs})
    if versions := queries.models_from(dataset)[:MOST]:
        yield dataset_pages.Section(
            _("Models that learned from it"), "training/parts/version_link.html", {"versions": versions}
        )


@dataset_pages.dataset_need
def users_of_dataset(dataset: Dataset) -> Iterator[str]:
    """Runs that could not be made again without it, comparisons on it, and versions whose line leads back to it."""
    yield from _in_words(Run.objects.filter(inputs__dataset=dataset).distinct())
    for comparison in Comparison.objects.filter(dataset=dataset)[:MOST]:
        yield _("The comparison “%(name)s” is about it.") % {"name": comparison}
    for version in queries.models_from(dataset)[:MOST]:
        yield _("%(version)s learned from it.") % {"version": version}


@dataset_pages.dataset_usage
def runs_counted(datasets: Sequence[Dataset]) -> dict[int, int]:
    """How many runs used each."""
    counted = RunInput.objects.filter(dataset__in=datasets).order_by().values_list("dataset")
    return dict(counted.annotate(runs=Count("run", distinct=True)))


@dataset_pages.dataset_section
def methods_for_dataset(dataset: Dataset, user: User) -> Iterator[dataset_pages.Section]:
    """What can be trained on it."""
    if not can(user, Right.LAUNCH_RUNS):
        return
    fitting = _methods(lambda takes: takes.kind == "dataset" and dataset.kind in takes.accepts)
    fitting.sort(key=lambda each: each["name"] != FIRST.get(dataset.kind))
    if fitting:
        yield dataset_pages.Section(
            _("Train on it"), "training/parts/train_on.html", {"methods": fitting, "source": dataset}, place="next"
        )
