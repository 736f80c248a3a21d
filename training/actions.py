"""What can be done with a run: create, stop, resume, move in the queue, register its result, delete it or what is left over; with all runs:
set their limits; and what the supervisor notes.

The verbs of people come first; `actor` is who acts. Those below the line are the supervisor's, which acts for nobody.
"""

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F, Max
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from jobs.actions import enqueue
from jobs.models import Job
from jobs.telling import tell
from labeling.models import Dataset
from models_registry.actions import register_version
from models_registry.lm import inspect
from models_registry.models import Version
from people.errors import Refusal
from people.models import User, audit
from people.permissions import Right, check

from . import disk, queries, reading
from .engine import contract
from .engine.export import checkpoints
from .models import Comparison, Limits, Run, RunInput
from .validation import Problems, checked

State = Run.State
DELETED = ".deleted"  # ends the name of a folder whose run is no more


class RunRefusal(Refusal):
    """A run that cannot be created as asked; `by_field` places each problem: {"config.tune.rank": [sentence, …]}."""

    def __init__(self, problems: Problems) -> None:
        self.by_field = problems.by_field
        super().__init__(problems.sentences)


def create_run(
    *,
    actor: User,
    method: str,
    config: Mapping[str, Any],
    inputs: Mapping[str, Version | Dataset],
    name: str = "",
    seed: int = 0,
    output_name: str = "",
) -> Run:
    """Queue a run. The supervisor starts it when a place is free. Without names it is called after method and base."""
    check(actor, Right.LAUNCH_RUNS)
    wanted, problems = checked(
        method=method, config=config, inputs=inputs, name=name, seed=seed, output_name=output_name
    )
    if problems:
        raise RunRefusal(problems)
    with transaction.atomic():
        last = Run.objects.aggregate(last=Max("queue_order"))["last"] or 0
        run = Run.objects.create(
            name=wanted.name,
            method=method,
            config=wanted.config,
            seed=wanted.seed,
            output_name=wanted.output_name,
            queue_order=last + 1,
            created_by=actor,
        )
        RunInput.objects.bulk_create(
            RunInput(
                run=run,
                role=role,
                version=chosen if isinstance(chosen, Version) else None,
                dataset=chosen if isinstance(chosen, Dataset) else None,
            )
            for role, chosen in inputs.items()
        )
        audit(actor, "run.create", run, method=method, inputs={role: str(chosen) for role, chosen in inputs.items()})
    return run


@transaction.atomic
def stop_run(*, actor: User, run: Run) -> Run:
    """Take a waiting run out of the queue, or ask a running one to stop after its next checkpoint."""
    check(actor, Right.LAUNCH_RUNS)
    run = Run.objects.select_for_update().get(pk=run.pk)
    if run.state == State.QUEUED:
        run.state, run.finished_at = State.STOPPED, timezone.now()
    elif run.state == State.RUNNING:
        run.state = State.STOPPING
    elif run.state != State.STOPPING:
        raise Refusal(_("This run has already ended; there is nothing to stop."), status=409)
    run.save(update_fields=["state", "finished_at"])
    audit(actor, "run.stop", run)
    return run


@transaction.atomic
def resume_run(*, actor: User, run: Run) -> Run:
    """Queue a run that was stopped or failed once more; it goes on from its last checkpoint."""
    check(actor, Right.LAUNCH_RUNS)
    run = Run.objects.select_for_update().get(pk=run.pk)
    if not run.is_resumable:
        raise Refusal(
            _("Only a run that was stopped or failed can be resumed; this one is %(state)s.")
            % {"state": run.get_state_display()},
            status=409,
        )
    run.state, run.errors, run.finished_at = State.QUEUED, [], None
    run.save(update_fields=["state", "errors", "finished_at"])
    audit(actor, "run.resume", run)
    return run


@transaction.atomic
def move_in_queue(*, actor: User, run: Run, where: str) -> Run:
    """Let a waiting run begin earlier or later: `where` is first, up, down or last."""
    check(actor, Right.LAUNCH_RUNS)
    waiting = list(
        Run.objects.select_for_update().filter(state=State.QUEUED).order_by("queue_order", "created_at", "pk")
    )
    if run not in waiting:
        raise Refusal(_("Only a run that waits in the queue has a place in it."), status=409)
    place = waiting.index(run)
    places = {"first": 0, "up": place - 1, "down": place + 1, "last": len(waiting) - 1}
    if where not in places:
        raise Refusal(_("A run moves first, up, down or last, and not “%(where)s”.") % {"where": where})
    run = waiting.pop(place)
    waiting.insert(max(0, places[where]), run)
    for order, each in enumerate(waiting, min(each.queue_order for each in waiting)):
        each.queue_order = order
    Run.objects.bulk_update(waiting, ["queue_order"])
    audit(actor, "run.move", run, where=where, place=waiting.index(run) + 1)
    return run


@transaction.atomic
def change_limits(*, actor: User, at_a_time: int | None, disk_gb: float | None) -> Limits:
    """How many runs go side by side, and how much room their folders may take; None: as the deployment has it, no limit."""
    check(actor, Right.LAUNCH_RUNS)
    problems = []
    if at_a_time is not None and not 1 <= at_a_time <= 64:
        problems.append(_("From 1 to 64 runs can go side by side."))
    if disk_gb is not None and not 0 < disk_gb < 1e9:
        problems.append(_("The room for runs must be more than 0 GB; leave it empty for no limit."))
    if problems:
        raise Refusal(problems)
    limits, _new = Limits.objects.update_or_create(pk=1, defaults={"at_a_time": at_a_time, "disk_gb": disk_gb})
    audit(actor, "runs.limits", limits, at_a_time=at_a_time, disk_gb=disk_gb)
    return limits


@transaction.atomic
def delete_leftovers(*, actor: User, runs: Iterable[Run]) -> int:
    """Delete the checkpoints and caches of ended runs; returns the bytes that are free now. Results, curves, logs and registered
    versions stay; a stopped or failed run begins anew when it is resumed.
    """
    check(actor, Right.LAUNCH_RUNS)
    found = list(Run.objects.select_for_update().filter(pk__in=[run.pk for run in runs]))
    if active := [run.name for run in found if run.is_active or contract.is_running(run.folder)]:
        raise Refusal(_("These have not ended: %(runs)s. Stop them first.") % {"runs": ", ".join(active)}, status=409)
    freed = 0
    for run in found:
        sizes = {name: disk.size_of(run.folder / name) for name in disk.LEFTOVERS if (run.folder / name).is_dir()}
        for name in sizes:
            shutil.rmtree(run.folder / name)
        if sizes:
            audit(actor, "run.delete_leftovers", run, bytes=sizes)
        freed += sum(sizes.values())
    disk.used(now=True)
    return freed


def delete_run(*, actor: User, run: Run) -> int:
    return delete_runs(actor=actor, runs=[run])


def delete_runs(*, actor: User, runs: Iterable[Run]) -> int:
    """Delete ended runs with their folders, all of them or none; returns the bytes that are free now. The versions that they made stay,
    with everything that their origin tells.
    """
    check(actor, Right.LAUNCH_RUNS)
    with transaction.atomic():
        found = list(Run.objects.select_for_update().filter(pk__in=[run.pk for run in runs]))
        if not found:
            raise Refusal(_("These runs are not there, or not any more."), status=409)
        against = [(run, reason) for run in found for reason in queries.reasons_against_deleting(run)]
        if against:
            raise Refusal([f"{run}: {reason}" for run, reason in against], status=409)
        folders = [run.folder for run in found if run.folder.is_dir()]
        freed = 0
        for run in found:
            size = disk.size_of(run.folder)
            version = str(run.produced or run.deleted_version)
            audit(actor, "run.delete", run, name=run.name, method=run.method, version=version, bytes=size)
            run.delete()
            freed += size
        for folder in folders:  # at once; the files themselves go when nobody waits for the database any more
            folder.rename(folder.with_name(f"{folder.name}{DELETED}"))
    for folder in Path(settings.RUNS).glob(f"*{DELETED}"):
        shutil.rmtree(folder, ignore_errors=True)  # what stays, the next one takes along
    disk.used(now=True)
    return freed


def register_result(*, actor: User | None, run: Run, again: bool = False) -> Version:
    """Make a complete run's output the next version of the model it was meant for; once, however often it is asked. What was registered and
    then deleted becomes a version `again` only where somebody says so.

    `actor` is None when the supervisor does it for the person who created the run.
    """
    if actor is not None:
        check(actor, Right.LAUNCH_RUNS)
    run = Run.objects.select_related("produced__model").get(pk=run.pk)
    if run.produced:
        return run.produced
    if run.state != State.COMPLETE:
        raise Refusal(_("Only a complete run has a result to register."), status=409)
    if not run.makes_version:
        raise Refusal(_("This run judges a model; its result is figures, and no model to register."), status=409)
    if run.deleted_version and not again:
        raise Refusal(
            _("Its result was %(version)s, which was deleted. Say that it shall be registered again.")
            % {"version": run.deleted_version},
            status=409,
        )
    version = _register(
        actor=actor or run.created_by, run=run, folder=run.folder / "output", metrics=reading.metrics(run.folder)
    )
    with transaction.atomic():
        Run.objects.filter(pk=run.pk).update(produced=version, deleted_version="", errors=[])
        audit(actor, "run.register", run, version=str(version))
    return version


@transaction.atomic
def request_checkpoint(*, actor: User, run: Run) -> Job:
    """Make what a run has learned until its newest checkpoint a version, while it goes on or after it was stopped: a short job."""
    check(actor, Right.LAUNCH_RUNS)
    if not run.makes_version or not (steps := checkpoints(run.folder)):
        raise Refusal(_("This run has no checkpoint that could become a model."), status=409)
    audit(actor, "run.request_checkpoint", run, step=steps[-1])
    return enqueue(
        actor=actor, what="register-checkpoint", subject=f"training.run:{run.pk}",
        arguments={"run": str(run.pk), "step": steps[-1]},
    )  # fmt: skip


def register_checkpoint(
    *, actor: User | None, run: Run, step: int, folder: Path, metrics: Mapping[str, Any], kept: bool = False
) -> Version:
    """For verbs and jobs that have checked the actor's rights: `folder` holds what the run would have made if it had ended at `step`; or `kept`, the
    policy that learned until then, which is not the same where the result is an average.
    """
    how = {"kept": True} if kept else {}
    version = _register(actor=actor, run=run, folder=folder, metrics=metrics, checkpoint=step, **how)
    audit(actor, "run.register_checkpoint", run, version=str(version), step=step)
    return version


def _register(*, actor: User | None, run: Run, folder: Path, metrics: Mapping[str, Any], **origin: object) -> Version:
    """`origin`: what is to be said of it besides what is said of each version of the run."""
    versions = {each.role: each.version for each in run.inputs.all() if each.version}
    stands_alone = inspect.describe(folder).kind == "full"
    return register_version(
        actor=actor,
        model_name=run.output_name,
        folder=folder,
        parent=None if stands_alone else versions.get("base"),
        sources=versions,
        origin=queries.origin(run) | origin,
        metrics=dict(metrics),
        trained_parameters=contract.read_status(run.folder).get("trained_parameters"),
    )


# ---- The supervisor's ------------------------------------------------------------------------------------------


ENDED = {
    State.COMPLETE: gettext_noop("“%(name)s” is complete."),
    State.FAILED: gettext_noop("“%(name)s” has failed."),
    State.REFUSED: gettext_noop("“%(name)s” was refused before it began."),
}
COMPARED = gettext_noop("The comparison “%(name)s” has ended; its table is filled.")


@transaction.atomic
def begin(*, run: Run) -> bool:
    """The supervisor takes a queued run; False if it was cancelled meanwhile."""
    if not Run.objects.filter(pk=run.pk, state=State.QUEUED).update(
        state=State.RUNNING, attempt=F("attempt") + 1, started_at=run.started_at or timezone.now(), pid=None
    ):
        return False
    audit(None, "run.begin", run)
    return True


@transaction.atomic
def end(*, run: Run, state: str, errors: list[dict] = ()) -> None:
    """The run's process has ended. Who began it is told, unless it was stopped, which people do themselves; of the many runs of a comparison
    only what went wrong, and once when all of it has ended.
    """
    Run.objects.filter(pk=run.pk).update(
        state=state, errors=list(errors), pid=None, eta_seconds=None, finished_at=timezone.now()
    )
    audit(None, "run.end", run, state=state, errors=[error["id"] for error in errors])
    comparison = queries.comparison_of(run)
    if state in ENDED and not (comparison and state == State.COMPLETE):
        _tell(run.created_by, ENDED[state], run)
    if comparison and queries.is_over(comparison):
        _tell(comparison.created_by, COMPARED, comparison)


def _tell(person: User | None, text: str, about: Run | Comparison) -> None:
    if person is not None:
        tell(person=person, text=text, address=about.get_absolute_url(), name=about.name)


@transaction.atomic
def wait_again(*, run: Run) -> None:
    """A run that was interrupted by nobody's wish goes back to its place in the queue, and from there goes on."""
    Run.objects.filter(pk=run.pk).update(state=State.QUEUED, pid=None, eta_seconds=None)
    audit(None, "run.wait_again", run)
