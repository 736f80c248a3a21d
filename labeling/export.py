"""What leaves the house, each time noted: of a data set its rows, pairs and files; of a project its skips and flags, settings, quality, tasks to score."""

import json
from collections.abc import Iterable, Iterator

from django.utils.text import slugify
from django.utils.translation import gettext as _

from labeling import scores
from labeling.actions import copying
from labeling.datasets import consensus, pairs, snapshot, store
from labeling.identity import HELDOUT, TRAIN
from labeling.models import Dataset, Project
from people.errors import Refusal
from people.models import User, audit
from people.permissions import Right, check


def export_rows(*, actor: User, dataset: Dataset, split: str | None = None) -> Iterator[bytes]:
    """The rows as they are stored, of one split or all."""
    _allow(actor, dataset, split, "rows")
    return _lines(store.rows_of(dataset.folder, split))


def export_pairs(
    *, actor: User, dataset: Dataset, ties: str, margin: bool = False, split: str | None = None
) -> Iterator[bytes]:
    """Preference pairs of a data set of rankings, by one of the policies of `pairs.Ties`."""
    if ties not in pairs.Ties.values:
        raise Refusal(_("Choose what becomes of ties: %(choices)s.") % {"choices": ", ".join(pairs.Ties.values)})
    _allow(actor, dataset, split, "pairs", ties=ties, margin=margin)
    return _lines(pairs.pairs(store.rows_of(dataset.folder, split), ties, margin=margin))


def export_acceptable(*, actor: User, dataset: Dataset, split: str | None = None) -> Iterator[bytes]:
    """One row an output: above the acceptability line or below it."""
    _allow(actor, dataset, split, "acceptable")
    return _lines(pairs.acceptable(store.rows_of(dataset.folder, split)))


def export_consensus(*, actor: User, dataset: Dataset, split: str | None = None) -> Iterator[bytes]:
    """One row a task: the order nearest to all its rankings, or what a reviewer decided."""
    _allow(actor, dataset, split, "consensus")
    return _lines(consensus.consensus_rows(store.rows_of(dataset.folder, split)))


def export_turns(*, actor: User, project: Project) -> Iterator[bytes]:
    """A project's skips and flags with their reasons."""
    check(actor, Right.EXPORT, place=project)
    audit(actor, "project.export_turns", project)
    return _lines(snapshot.turns(project))


def export_file(*, actor: User, dataset: Dataset, name: str) -> None:
    """One of the files of a data set, as it is stored."""
    _allow(actor, dataset, None, name)


def export_settings(*, actor: User, project: Project, known_answers: bool) -> dict:
    """A project's settings as one object, with its tasks with a known answer if they are asked for."""
    check(actor, Right.MANAGE_PROJECTS, place=project)
    audit(actor, "project.export_settings", project, known_answers=known_answers)
    return copying.settings_file(project=project, known_answers=known_answers)


def export_quality(*, actor: User, project: Project, what: str) -> None:
    """The report, a table or a picture of the quality page, which names people."""
    check(actor, Right.SEE_QUALITY, place=project)
    audit(actor, "project.export_quality", project, what=what)


def export_to_score(*, actor: User, project: Project) -> Iterator[str]:
    """The tasks that wait, for a model that scores them elsewhere."""
    check(actor, Right.MANAGE_PROJECTS, place=project)
    audit(actor, "project.export_tasks", project)
    return scores.tasks_to_score(project)


def file_name(dataset: Dataset, *parts: str | None) -> str:
    """What a download of a data set is called, without its ending: it can be traced back by the digest."""
    return "-".join([slugify(dataset.name) or dataset.kind, dataset.digest[:8], *(part for part in parts if part)])


def _allow(actor: User, dataset: Dataset, split: str | None, what: str, **noted: object) -> None:
    check(actor, Right.EXPORT, place=dataset.project)
    if split not in (None, TRAIN, HELDOUT):
        raise Refusal(_("There is no split “%(split)s”.") % {"split": split})
    if what in ("pairs", "acceptable", "consensus") and dataset.kind != Dataset.Kind.RANKINGS:
        raise Refusal(_("Only a data set of rankings has pairs."))
    audit(actor, "dataset.export", dataset, what=what, split=split, **noted)


def _lines(rows: Iterable[dict]) -> Iterator[bytes]:
    return (json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n" for row in rows)
