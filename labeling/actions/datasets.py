"""Data sets come into being in two ways: a file is uploaded, or a project's rankings are frozen. After that they never change; one that
nothing uses can be deleted."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from django.db import transaction
from django.db.models import ProtectedError
from django.utils.translation import gettext as _

from labeling import hooks, quality
from labeling.actions.queue import steps
from labeling.datasets import files, snapshot, store
from labeling.files import Problem, refuse
from labeling.identity import HELDOUT, TRAIN
from labeling.models import Dataset, Project
from people.errors import Refusal
from people.models import User, audit
from people.permissions import Right, can, check


def upload_dataset(
    *,
    actor: User,
    name: str,
    path: Path | Sequence[Path],
    reading: files.Reading,
    skip_bad: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Dataset, bool]:
    """A data set from a file, or from several one after the other; (data set, is it new). The same rows again are the data set that is
    there already.

    Rows that cannot be read are a Refusal that lists them, unless `skip_bad` leaves them out (the manifest says how many).
    `progress` is told how many of how many bytes have been taken in, about.
    """
    check(actor, Right.UPLOAD_DATA)
    check_name(name)
    paths = [path] if isinstance(path, Path) else list(path)
    file_name = ", ".join(each.name for each in paths[:5]) + (", …" if len(paths) > 5 else "")
    problems: list[Problem] = []
    sizes = {each: each.stat().st_size for each in paths}
    with store.Writer(reading.kind) as writer:
        for number, (file, row) in enumerate(files.read_all(paths, reading)):
            if progress and number % 500 == 0:
                finished = sum(sizes[each] for each in paths[: paths.index(file)])
                progress(min(max(finished, writer.written), finished + sizes[file]), sum(sizes.values()))
            if isinstance(row, Problem):
                problems.append(row)
            elif not problems or skip_bad:
                writer.add(row, split=row["split"])
        if problems and not skip_bad:
            raise refuse(problems)
        if not writer.splits.total():
            raise Refusal(_("“%(file)s” holds no rows.") % {"file": file_name})
        made = writer.finish({"rows_left_out": len(problems)})
        return _register(actor, name, reading.kind, made, "dataset.upload", file=file_name)


def freeze_snapshot(
    *, actor: User, project: Project, name: str = "", options: snapshot.Options | None = None
) -> tuple[Dataset, bool]:
    """The project's rankings as they are now, as a data set; (data set, is it new). If nothing has changed it is the last one again."""
    check(actor, Right.FREEZE, place=project)
    options = options or snapshot.Options()
    name = name.strip() or project.name
    check_name(name)
    weights = quality.weights(project) if options.weights else None
    about, held, decided = snapshot.About(), [], []
    with store.Writer(Dataset.Kind.RANKINGS) as writer:
        for row in snapshot.rows(project, options, weights):
            writer.add(row.row, split=row.split)
            about.add(row)
            if row.ranking is None:
                decided.append(row.adjudication)
            else:
                held.append(row.ranking)
        if not held and not decided:
            raise Refusal(_("There are no rankings to freeze yet. Rank some tasks first."))
        if options.turns:
            for turn in snapshot.turns(project):
                writer.line("turns.jsonl", turn)
        made = writer.finish(about.manifest(project, options, weights))
        return _register(actor, name, Dataset.Kind.RANKINGS, made, "dataset.freeze", project, held, decided)


def delete_dataset(*, actor: User, dataset: Dataset) -> None:
    """Delete a data set that nothing uses, with its folder. The rankings of a snapshot stay in their project. One's own, or, for who
    may change projects, anyone's.
    """
    if not may_delete(actor, dataset):
        raise Refusal(_("Only who made it, or an admin, can delete this data set."), status=403)
    with store.alone():
        with transaction.atomic():
            if reasons := hooks.needs(dataset):
                raise Refusal([_("%(dataset)s cannot be deleted.") % {"dataset": dataset}, *reasons], status=409)
            about = {"name": dataset.name, "digest": dataset.digest, "rows": dataset.rows, "kind": dataset.kind}
            audit(actor, "dataset.delete", dataset, **about)
            try:
                dataset.delete()
            except ProtectedError:  # begun in this very moment
                raise Refusal(_("Something has just begun to use it."), status=409) from None
        shutil.rmtree(dataset.folder, ignore_errors=True)


def may_delete(user: User, dataset: Dataset) -> bool:
    """One's own is deleted by who may make such a one; anyone's by who administers its project, or projects at all."""
    made_by = Right.FREEZE if dataset.project else Right.UPLOAD_DATA
    return can(user, made_by, dataset.project) and (
        dataset.created_by == user or can(user, Right.MANAGE_PROJECTS, dataset.project)
    )


def _register(
    actor: User,
    name: str,
    kind: str,
    made: dict,
    verb: str,
    project: Project | None = None,
    held: Sequence[int] = (),
    decided: Sequence[int] = (),
    **noted: str,
) -> tuple[Dataset, bool]:
    """The row of a folder that is in place; `held` are the rankings in it, `decided` what reviewers decided.

    Which rankings it holds is written in steps. Until the last one, as long as one misses, the snapshot seems older than it is; frozen again, it is the
    same one and becomes whole.
    """
    dataset, new = _row(actor, name, kind, made, verb, project, noted)
    through = Dataset.rankings.through
    if new or through.objects.filter(dataset=dataset).count() < len(held):
        for step in steps(held):
            links = [through(dataset_id=dataset.pk, ranking_id=ranking) for ranking in step]
            through.objects.bulk_create(links, ignore_conflicts=True)
    dataset.adjudications.add(*decided)  # those that miss
    return dataset, new


@transaction.atomic
def _row(
    actor: User, name: str, kind: str, made: dict, verb: str, project: Project | None, noted: dict[str, str]
) -> tuple[Dataset, bool]:
    defaults = made | {"name": name.strip(), "kind": kind, "project": project, "created_by": actor}
    dataset, new = Dataset.objects.get_or_create(digest=made["digest"], defaults=defaults)
    if new:
        splits = {split: made["splits"].get(split, 0) for split in (TRAIN, HELDOUT)}
        audit(actor, verb, dataset, name=dataset.name, digest=dataset.digest, rows=dataset.rows, **splits, **noted)
    return dataset, new


def check_name(name: str) -> None:
    if not 0 < len(name.strip()) <= 120:
        raise Refusal(_("Give the data set a name of at most 120 characters."))
