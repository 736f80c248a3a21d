"""What can be done with a run: create, stop, resume, register its result; and what the supervisor notes about it.

The verbs of people come first; `actor` is who acts. Those below the line are the supervisor's, which acts for nobody.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.db import transaction
from django.db.models import F, Max
from django.utils import timezone
from django.utils.translation import gettext as _

from labeling.models import Dataset
from models_registry.actions import register_version
from models_registry.lm import inspect
from models_registry.models import Version
from people.errors import Refusal
from people.models import User, audit
from people.permissions import Right, check

from . import queries, reading
from .engine import contract
from .models import Run, RunInput
from .validation import Problems, checked

State = Run.State


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


def register_result(*, actor: User | None, run: Run) -> Version:
    """Make a complete run's output the next version of the model it was meant for; once, however often it is asked.

    `actor` is None when the supervisor does it for the person who created the run.
    """
    if actor is not None:
        check(actor, Right.LAUNCH_RUNS)
    run = Run.objects.select_related("produced__model").get(pk=run.pk)
    if run.produced:
        return run.produced
    if run.state != State.COMPLETE:
        raise Refusal(_("Only a complete run has a result to register."), status=409)
    version = _register(actor=actor or run.created_by, run=run, folder=run.folder / "output")
    with transaction.atomic():
        Run.objects.filter(pk=run.pk).update(produced=version, errors=[])
        audit(actor, "run.register", run, version=str(version))
    return version


def _register(*, actor: User | None, run: Run, folder: Path) -> Version:
    versions = {each.role: each.version for each in run.inputs.all() if each.version}
    stands_alone = inspect.describe(folder).kind == "full"
    return register_version(
        actor=actor,
        model_name=run.output_name,
        folder=folder,
        parent=None if stands_alone else versions.get("base"),
        sources=versions,
        origin=queries.origin(run),
        metrics=reading.metrics(run.folder),
        trained_parameters=contract.read_status(run.folder).get("trained_parameters"),
    )


# ---- The supervisor's ------------------------------------------------------------------------------------------


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
    """The run's process has ended."""
    Run.objects.filter(pk=run.pk).update(
        state=state, errors=list(errors), pid=None, eta_seconds=None, finished_at=timezone.now()
    )
    audit(None, "run.end", run, state=state, errors=[error["id"] for error in errors])


@transaction.atomic
def wait_again(*, run: Run) -> None:
    """A run that was interrupted by nobody's wish goes back to its place in the queue, and from there goes on."""
    Run.objects.filter(pk=run.pk).update(state=State.QUEUED, pid=None, eta_seconds=None)
    audit(None, "run.wait_again", run)
