"""Questions about runs: lists, what a run is written as, where it came from, which labels made a model."""

import contextlib
import os
import time
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db.models import Prefetch, Q, QuerySet
from django.utils.translation import gettext as _

from jobs.queries import under_way
from labeling.models import Dataset
from models_registry.models import Version
from models_registry.queries import find
from people.errors import Refusal
from people.models import AuditEntry

from .engine import contract, methods
from .models import Comparison, Limits, Run, RunInput, Trial

ACTIVE = (Run.State.QUEUED, Run.State.RUNNING, Run.State.STOPPING)


def runs(*, search: str = "", state: str = "", method: str = "") -> QuerySet[Run]:
    """The table of runs, newest first. `state` is one of Run.State or "active"."""
    # Joined for the reason that labeling.task_queries.with_outputs gives.
    inputs = Prefetch("inputs", RunInput.objects.select_related("version__model", "dataset"))
    found = Run.objects.select_related("created_by", "produced__model").prefetch_related(inputs)
    if state == "active":
        found = found.filter(state__in=ACTIVE)
    elif state:
        found = found.filter(state=state)
    if method:
        found = found.filter(method=method)
    for word in search.split():
        found = found.filter(
            Q(name__icontains=word)
            | Q(method__icontains=word)
            | Q(output_name__icontains=word)
            | Q(inputs__version__model__name__icontains=word)
            | Q(inputs__dataset__name__icontains=word)
        )
    return found.distinct()


def runs_called(keys: Iterable[str]) -> QuerySet[Run]:
    """The runs with these numbers; what is no number, or no run's, is left out."""
    numbers = []
    for key in keys:
        with contextlib.suppress(ValueError):
            numbers.append(uuid.UUID(key))
    return runs().filter(pk__in=numbers)


def run_file(run: Run) -> dict[str, Any]:
    """run.json: what the engine is told. Paths are relative to the run's folder, so the data folder may move between two attempts."""

    def place(folder: Path) -> str:
        return os.path.relpath(folder, run.folder)

    inputs: dict[str, Any] = {}
    for each in run.inputs.select_related("version", "dataset").order_by("role"):
        if each.version:
            inputs[each.role] = [place(link.folder) for link in each.version.chain()]
        else:
            inputs[each.role] = place(each.dataset.folder)
    return {"method": run.method, "config": run.config, "inputs": inputs, "seed": run.seed, "hashes": hashes(run)}


def hashes(run: Run) -> dict[str, list[dict[str, str]]]:
    """{role: [{file: sha256} of each folder]}: what `python -m training.engine RUN_DIR --verify` compares."""
    return {
        each.role: [
            {file["path"]: file["sha256"] for file in holder.manifest.get("files", [])}
            for holder in (each.version.chain() if each.version else [each.dataset])
        ]
        for each in run.inputs.select_related("version", "dataset").order_by("role")
    }


def origin(run: Run) -> dict[str, Any]:
    """Where a run's result comes from, as hashes and names: what its version's manifest repeats for ever."""
    found: dict[str, Any] = {
        "run": str(run.pk),
        "run_name": run.name,
        "method": run.method,
        "seed": run.seed,
        "config": run.config,
        "inputs": {},
        "datasets": {},
    }
    for each in run.inputs.select_related("version", "dataset"):
        if each.version:
            found["inputs"][each.role] = [link.digest for link in each.version.chain()]
        else:
            found["datasets"][each.role] = {"digest": each.dataset.digest, "name": each.dataset.name}
            if each.role == "dataset":
                found["dataset"] = each.dataset.digest
    return found


def inputs_for(takes, *, search: str = "") -> QuerySet:
    """What a person may choose for one input of a method (engine.config.Input), newest first."""
    if takes.kind == "version":
        found = (
            Version.objects.select_related("model")
            .filter(kind__in=takes.links, head__in=takes.accepts)
            .exclude(stage="archived")
            .order_by("-created_at")
        )
        for word in search.split():
            found = found.filter(Q(model__name__icontains=word) | Q(origin__method__icontains=word))
        return found
    found = Dataset.objects.select_related("project").filter(kind__in=takes.accepts).order_by("-created_at")
    for word in search.split():
        found = found.filter(Q(name__icontains=word) | Q(project__name__icontains=word))
    return found


def models_from(dataset: Dataset) -> QuerySet[Version]:
    """Which models used this data? Those trained on it, and all that was made from them."""
    roles = {
        role for method in all_methods().values() for role, takes in method.inputs.items() if takes.kind == "dataset"
    }
    trained_on = Q(pk=None)
    for role in roles:
        trained_on |= Q(**{f"origin__datasets__{role}__digest": dataset.digest})
    made = set(Version.objects.filter(trained_on).values_list("pk", flat=True))
    front = set(made)
    while front:
        front = (
            set(
                Version.objects.filter(Q(sources__source__in=front) | Q(parent__in=front)).values_list("pk", flat=True)
            )
            - made
        )
        made |= front
    return Version.objects.select_related("model").filter(pk__in=made).order_by("created_at")


def comparison_of(run: Run) -> Comparison | None:
    """The comparison that the run trains or judges for."""
    trial = Trial.objects.filter(Q(run=run) | Q(evaluation=run)).select_related("entry__comparison").first()
    return trial.entry.comparison if trial else None


def reasons_against_deleting(run: Run) -> list[str]:
    """Why a run must stay: it has not ended, a job is at work on it, or a comparison names it."""
    found = []
    jobs = [job.title for job in under_way(f"training.run:{run.pk}")]
    result_comes = run.awaits_registration and not run.errors and is_supervised()
    if run.is_active or contract.is_running(run.folder):
        found.append(_("It has not ended. Stop it first."))
    elif result_comes:
        found.append(_("A version is just being made of it. Try again in a moment."))
    elif jobs:
        text = _("A job is at work on it: %(jobs)s. Cancel it, or try again when it has ended.")
        found.append(text % {"jobs": ", ".join(map(str, jobs))})
    text = _("The comparison “%(comparison)s” names it: delete the comparison, or take “%(entry)s” out of it first.")
    trials = Trial.objects.filter(Q(run=run) | Q(evaluation=run)).select_related("entry__comparison")
    named = [text % {"comparison": trial.entry.comparison, "entry": trial.entry} for trial in trials]
    return found + list(dict.fromkeys(named))


def deletion(key: str) -> AuditEntry | None:
    """Who deleted the run with this number, when, and what it was called; None when nobody did."""
    found = AuditEntry.objects.filter(object_type=Run._meta.label, object_id=key, verb="run.delete")
    return found.select_related("actor").first()


def made_by_run(key: str) -> QuerySet[Version]:
    """The versions that the run with this number made, at its end or at a checkpoint, be it there or deleted."""
    return Version.objects.select_related("model").filter(origin__run=key).order_by("created_at")


def is_over(comparison: Comparison) -> bool:
    """Whether nothing more will come of it by itself: everything is judged, or has ended in another way."""
    for trial in Trial.objects.filter(entry__comparison=comparison).select_related("run", "evaluation"):
        last = trial.evaluation or trial.run
        if trial.problems:
            continue
        if last is None or last.is_active or (trial.evaluation is None and last.state == Run.State.COMPLETE):
            return False
    return True


def limits() -> dict[str, Any]:
    """What people set for all runs together, as actions.change_limits takes it."""
    return Limits.objects.values("at_a_time", "disk_gb").first() or {"at_a_time": None, "disk_gb": None}


def at_a_time() -> int:
    """How many runs go side by side: as people set it, else as the deployment has it."""
    return Limits.objects.values_list("at_a_time", flat=True).first() or settings.RUNS_AT_A_TIME


def queue() -> list[Run]:
    """The waiting runs, the next one first."""
    return list(runs(state=Run.State.QUEUED).order_by("queue_order", "created_at", "pk"))


def all_methods() -> dict[str, Any]:
    """{name: engine.config.Method} of every method there is; those that need fewer models first, as one climbs from text to PPO."""
    facts = {name: methods.facts_of(name) for name in methods.names()}

    def models_needed(name: str) -> int:
        return sum(each.required and each.kind == "version" for each in facts[name].inputs.values())

    return {name: facts[name] for name in sorted(facts, key=lambda name: (models_needed(name), name))}


def status(run: Run) -> dict[str, Any]:
    """The engine's own word on the run; empty before it was started, or where its file cannot be read."""
    return status_of(run.folder)


def status_of(folder: Path) -> dict[str, Any]:
    try:
        return contract.read_status(folder)
    except ValueError:
        return {}


def place_in_queue(run: Run) -> int:
    """1 for the run that starts next; 0 when it does not wait."""
    if run.state != Run.State.QUEUED:
        return 0
    before = Q(queue_order__lt=run.queue_order) | Q(queue_order=run.queue_order, created_at__lt=run.created_at)
    return Run.objects.filter(before, state=Run.State.QUEUED).count() + 1


def is_supervised() -> bool:
    """Whether a supervisor has given a sign of life within the last half minute."""
    try:
        return time.time() - supervisor_lock().stat().st_mtime < 30
    except FileNotFoundError:
        return False


def supervisor_lock() -> Path:
    """Held by the one supervisor of this data folder, which touches it as long as it works."""
    return Path(settings.RUNS) / "supervisor.lock"


def find_dataset(reference: str) -> Dataset:
    """The data set with this number, this beginning of its digest, or this name (the newest of that name). Refusal (404) if there is none."""
    by_key = Q(pk=int(reference)) if reference.isdecimal() and len(reference) < 8 else Q(pk=None)
    by_digest = Q(digest__startswith=reference) if len(reference) >= 6 else Q(pk=None)
    found = Dataset.objects.filter(by_key | by_digest | Q(name=reference)).order_by("-created_at").first()
    if found is None:
        raise Refusal(_("There is no data set “%(reference)s”.") % {"reference": reference}, status=404)
    return found


def find_inputs(method: str, references: Mapping[str, Any]) -> dict[str, Version | Dataset]:
    """The inputs that are named: versions as "name:v3", data sets by number, digest or name. Refusal with all that are not there."""
    found: dict[str, Version | Dataset] = {}
    problems: list[str] = []
    for role, takes in methods.facts_of(method).inputs.items():
        if not (reference := references.get(role)):
            continue
        try:
            found[role] = find(str(reference)) if takes.kind == "version" else find_dataset(str(reference))
        except Refusal as refusal:
            problems += refusal.problems
    if problems:
        raise Refusal(problems)
    return found
