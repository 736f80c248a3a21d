"""What the comparisons add to the pages below: the way to a comparison from a version and a data set, and why a version must stay."""

from collections.abc import Iterator

from django.db.models import Q
from django.utils.translation import gettext as _

from labeling import hooks as dataset_pages
from labeling.models import Dataset
from models_registry import hooks as version_pages
from models_registry.models import Head, Kind, Version
from people.models import User
from people.permissions import Right, can

from .menu import TASKS
from .models import Comparison, Task


@version_pages.version_section
def comparisons_of_version(version: Version, user: User) -> Iterator[version_pages.Section]:
    """Those that start from it; and the way to a new one."""
    if not can(user, Right.SEE_RUNS) or version.kind not in (Kind.FULL, Kind.ADAPTER):
        return
    task = {Head.CLASSES: Task.CLASSIFICATION, Head.REWARD: Task.PREFERENCE}.get(version.head, Task.LANGUAGE)
    data = {"comparisons": version.comparisons.all()[:20], "task": task, "base": version.pk}
    if data["comparisons"] or can(user, Right.LAUNCH_RUNS):
        template = "training/comparisons/of_page.html"
        yield version_pages.Section(_("Methods compared from here"), template, data, place="use")


@version_pages.version_need
def comparisons_need(version: Version) -> Iterator[str]:
    about = Q(base=version) | Q(reward_model=version) | Q(entries__trials__run__produced=version)
    for comparison in Comparison.objects.filter(about).distinct():
        yield _("The comparison “%(name)s” is about it.") % {"name": comparison}


@dataset_pages.dataset_section
def comparisons_of_dataset(dataset: Dataset, user: User) -> Iterator[dataset_pages.Section]:
    """Those that it taught and judged; and, where it has held-out rows, the way to a new one."""
    task = next((task for task, facts in TASKS.items() if dataset.kind in facts.datasets), None)
    if task is None or not can(user, Right.SEE_RUNS):
        return
    fits = bool(dataset.splits.get("heldout"))
    data = {"comparisons": dataset.comparisons.all()[:20], "task": task if fits else None, "dataset": dataset.pk}
    if data["comparisons"] or (fits and can(user, Right.LAUNCH_RUNS)):
        template = "training/comparisons/of_page.html"
        yield dataset_pages.Section(_("Methods compared on it"), template, data, place="use")
