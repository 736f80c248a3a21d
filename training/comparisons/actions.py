"""What can be done with a comparison: put together, start, add to, retry, cancel, go on, delete. `go_on` is the supervisor's.

Every training and every evaluation is an ordinary run, made by the verb that makes all runs; a comparison only remembers which.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

from django.db import transaction
from django.db.models import Max, Q
from django.utils import timezone
from django.utils.text import slugify
from django.utils.translation import gettext as _

from labeling.models import Dataset
from models_registry.models import Head, Kind, Version
from people.errors import Refusal
from people.models import User, audit
from people.permissions import Right, check

from .. import actions as runs
from .. import reading
from ..engine import methods
from ..models import Run
from ..validation import checked
from . import menu, names
from .models import Comparison, Entry, Task, Trial

JUDGE = "evaluate"
MOST_SEEDS = 10
LONGEST_LABEL = 80


class ComparisonRefusal(Refusal):
    """A comparison that cannot be made as asked; `places` says which field each problem belongs to: [("base", sentence), …]."""

    def __init__(self, places: Sequence[tuple[str, str]]) -> None:
        self.places = list(places)
        super().__init__([sentence for _field, sentence in places])


# ---- Put together --------------------------------------------------------------------------------------------------


def create_comparison(
    *,
    actor: User,
    task: str,
    base: Version | None,
    dataset: Dataset | None,
    keys: Sequence[str] | None = None,
    changes: Mapping[str, Mapping[str, Any]] | None = None,
    reward_model: Version | None = None,
    name: str = "",
    seeds: Sequence[int] = (0,),
    epochs: float | None = None,
    max_steps: int | None = None,
    batch_size: int | None = 16,
) -> Comparison:
    """Put a comparison together; nothing runs before `start`. `keys` are those of the menu; None: what it begins with. `changes`
    are settings over the menu's, by key and dotted path: {"adapter-lora": {"tune.rank": 4}}. Without a budget: three epochs."""
    check(actor, Right.LAUNCH_RUNS)
    problems = new_problems(
        task=task,
        base=base,
        dataset=dataset,
        keys=keys,
        changes=changes,
        reward_model=reward_model,
        seeds=seeds,
        epochs=epochs,
        max_steps=max_steps,
        batch_size=batch_size,
    )
    if problems:
        raise ComparisonRefusal(problems)
    offered = {choice.key: choice for choice in menu.menu(task, base, dataset)}
    if keys is None:
        keys = [choice.key for choice in offered.values() if choice.ticked]
    with transaction.atomic():
        comparison = Comparison.objects.create(
            name=name.strip() or f"{base} · {dataset.name}"[:120],
            task=task,
            base=base,
            dataset=dataset,
            reward_model=reward_model,
            seeds=list(seeds),
            epochs=epochs if epochs or max_steps else 3.0,
            max_steps=max_steps,
            batch_size=batch_size,
            created_by=actor,
        )
        for key in dict.fromkeys(keys):
            choice = offered[key]
            config = _changed(choice.config, (changes or {}).get(key, {}))
            try:
                _enter(comparison, method=choice.method, config=config)
            except Refusal as refusal:
                problems += [("methods", problem) for problem in refusal.problems]
        if problems:
            raise ComparisonRefusal(problems)
        audit(actor, "comparison.create", comparison, keys=list(keys))
    return comparison


def _changed(config: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with others at some dotted paths."""
    found = deepcopy(dict(config))
    for path, value in changes.items():
        *groups, name = path.split(".")
        place = found
        for group in groups:
            place = place.setdefault(group, {})
        place[name] = value
    return found


def new_problems(
    *,
    task: str,
    base: Version | None,
    dataset: Dataset | None,
    keys: Sequence[str] | None,
    changes: Mapping[str, Mapping[str, Any]] | None = None,
    reward_model: Version | None = None,
    seeds: Sequence[int] = (0,),
    epochs: float | None = None,
    max_steps: int | None = None,
    batch_size: int | None = None,
) -> list[tuple[str, str]]:
    """(field, sentence) of everything that is wrong with a comparison to be; the settings of its methods are looked at when it is made."""
    if task not in menu.TASKS:
        tasks = ", ".join(Task.values)
        return [("task", _("There is no task “%(task)s”; there are %(tasks)s.") % {"task": task, "tasks": tasks})]
    found = [
        *_input_problems(task, base, dataset, reward_model),
        *_budget_problems(seeds, epochs, max_steps, batch_size),
    ]
    if {"base", "dataset"} & {field for field, _problem in found}:
        base = dataset = None  # what fits them cannot be said
    choices = menu.menu(task, base, dataset)
    offered = [choice.key for choice in choices]
    if keys is None:
        keys = [choice.key for choice in choices if choice.ticked]
    for key in keys:
        if key not in offered:
            found.append(("methods", _not_offered(key, offered)))
    for key in changes or {}:
        if key not in keys:
            text = _("“%(key)s” has settings and is not among the chosen methods.")
            found.append(("methods", text % {"key": key}))
    if not keys:
        found.append(("methods", _("Choose the methods to compare.")))
    return found


def _not_offered(key: str, offered: Iterable[str]) -> str:
    text = _("“%(key)s” is not among the methods that fit; these do: %(fitting)s.")
    return text % {"key": key, "fitting": ", ".join(offered)}


def _input_problems(
    task: str, base: Version | None, dataset: Dataset | None, reward_model: Version | None
) -> Iterator[tuple[str, str]]:
    facts = menu.TASKS[Task(task)]
    if base is None:
        yield "base", _("Choose the model that all methods start from.")
    elif base.kind not in (Kind.FULL, Kind.ADAPTER):
        text = _("%(base)s is a %(kind)s, which no training can start from.")
        yield "base", text % {"base": base, "kind": base.get_kind_display()}
    if dataset is None:
        yield "dataset", _("Choose the data that all methods learn from and are judged on.")
    elif dataset.kind not in facts.datasets:
        fitting = ", ".join(str(Dataset.Kind(kind).label) for kind in facts.datasets)
        text = _("For this task the data must be: %(fitting)s. %(dataset)s holds %(kind)s.")
        yield (
            "dataset",
            text % {"fitting": fitting, "dataset": dataset.name, "kind": dataset.get_kind_display()},
        )
    elif not dataset.splits.get("heldout"):
        text = _("%(dataset)s has no held-out rows, so there is nothing to judge on. Upload it with a held-out split.")
        yield "dataset", text % {"dataset": dataset.name}
    if reward_model is not None and reward_model.head != Head.REWARD:
        yield "reward_model", _("%(version)s is no reward model.") % {"version": reward_model}


def _budget_problems(
    seeds: Sequence[int], epochs: float | None, max_steps: int | None, batch_size: int | None
) -> Iterator[tuple[str, str]]:
    if not seeds or len(seeds) > MOST_SEEDS or len(set(seeds)) < len(seeds):
        yield "seeds", _("Give one to %(most)d different seeds.") % {"most": MOST_SEEDS}
    elif any(isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**31 for seed in seeds):
        yield "seeds", _("A seed must be a whole number from 0 to 2147483647.")
    if epochs is not None and not 0 < epochs <= 10_000:
        yield "epochs", _("The epochs must be more than 0 and at most 10000.")
    if max_steps is not None and not 1 <= max_steps <= 10_000_000:
        yield "max_steps", _("The updates must be a whole number from 1 to 10000000.")
    if batch_size is not None and not 1 <= batch_size <= 65536:
        yield "batch_size", _("The batch size must be a whole number from 1 to 65536.")


@transaction.atomic
def add_entry(
    *,
    actor: User,
    comparison: Comparison,
    key: str = "",
    method: str = "",
    config: Mapping[str, Any] | None = None,
    label: str = "",
) -> Entry:
    """One method more: a choice of the menu, with `config` over its settings, or any `method`. It is queued at once if the others were. Without
    a `label` it is called after what it is."""
    check(actor, Right.LAUNCH_RUNS)
    comparison = Comparison.objects.select_for_update().get(pk=comparison.pk)
    if key:
        offered = {choice.key: choice for choice in menu.menu(comparison.task, comparison.base, comparison.dataset)}
        if key not in offered:
            raise Refusal(_not_offered(key, offered))
        choice = offered[key]
        method = choice.method
        config = {**choice.config, **(config or {})}
    entry = _enter(comparison, method=method, config=config or {}, label=label)
    audit(actor, "comparison.add_entry", comparison, entry=str(entry), method=method)
    if comparison.started_at:
        _queue(actor, [entry])
    return entry


def _enter(comparison: Comparison, *, method: str, config: Mapping[str, Any], label: str = "") -> Entry:
    last = comparison.entries.aggregate(last=Max("position"))["last"] or 0
    entry = Entry(
        comparison=comparison,
        position=last + 1,
        method=method,
        config=dict(config),
        label=_free_label(comparison, label),
    )
    if problems := entry_problems(entry):
        raise Refusal([f"{entry}: {problem}" for problem in problems])
    entry.save()
    # The base has nothing to learn: one judgement of it serves all seeds.
    seeds = comparison.seeds if method else comparison.seeds[:1]
    Trial.objects.bulk_create(Trial(entry=entry, seed=seed) for seed in seeds)
    return entry


def _free_label(comparison: Comparison, label: str) -> str:
    """The label, or with a number behind it where it is taken."""
    label = label.strip()[: LONGEST_LABEL - 4]
    return names.free(label, set(comparison.entries.values_list("label", flat=True))) if label else ""


def entry_problems(entry: Entry) -> list[str]:
    """Why its runs could not be created; empty if they could."""
    if not entry.method:
        return []
    wanted = _order(entry, seed=entry.comparison.seeds[0])
    return checked(**wanted)[1].sentences


@transaction.atomic
def change_entry(*, actor: User, entry: Entry, config: Mapping[str, Any], label: str | None = None) -> Entry:
    """Other settings for a method that has not begun, and another name: None keeps its own, without one it is called after what it is."""
    check(actor, Right.LAUNCH_RUNS)
    entry = Entry.objects.select_for_update().select_related("comparison").get(pk=entry.pk)
    if not entry.method or entry.trials.exclude(run=None).exists():
        raise Refusal(
            _("This method has begun; its settings stay. Add it once more to try others."),
            status=409,
        )
    entry.config = dict(config)
    if label is not None and (label := label.strip()[:LONGEST_LABEL]) != entry.label:
        entry.label = _free_label(entry.comparison, label)
    problems = checked(**_order(entry, seed=entry.comparison.seeds[0]))[1]
    if problems:
        raise runs.RunRefusal(problems)
    entry.save()
    entry.trials.update(problems=[])
    audit(actor, "comparison.change_entry", entry.comparison, entry=str(entry))
    return entry


@transaction.atomic
def remove_entry(*, actor: User, entry: Entry) -> None:
    """Take a method out of the comparison; its runs stay."""
    check(actor, Right.LAUNCH_RUNS)
    audit(actor, "comparison.remove_entry", entry.comparison, entry=str(entry))
    entry.delete()


# ---- Run -----------------------------------------------------------------------------------------------------------


@transaction.atomic
def start(*, actor: User, comparison: Comparison) -> Comparison:
    """Queue the runs of all methods together: all, or none and every reason why not."""
    check(actor, Right.LAUNCH_RUNS)
    comparison = Comparison.objects.select_for_update().get(pk=comparison.pk)
    if comparison.started_at:
        raise Refusal(_("This comparison was started already."), status=409)
    if not comparison.entries.exists():
        raise Refusal(_("There is no method to compare: add one."))
    _queue(actor, comparison.entries.all())
    comparison.started_at = timezone.now()
    comparison.save(update_fields=["started_at"])
    audit(actor, "comparison.start", comparison)
    return comparison


def _queue(actor: User, entries: Iterable[Entry]) -> None:
    """The runs of these entries; Refusal with all that is wrong."""
    problems = []
    for entry in entries:
        for trial in entry.trials.all():
            try:
                _next_run(actor, trial)
            except Refusal as refusal:
                problems += [f"{entry}: {problem}" for problem in refusal.problems]
                break
    if problems:
        raise Refusal(problems)


def _next_run(actor: User | None, trial: Trial) -> None:
    """Queue what the trial needs next: its training, or, where there is something to judge, its evaluation."""
    entry = trial.entry
    if entry.method and trial.run is None:
        trial.run = runs.create_run(actor=actor, **_order(entry, trial.seed))
    elif trial.evaluation is None and (version := judged(trial)):
        trial.evaluation = runs.create_run(actor=actor, **_judgement(trial, version))
        if (
            trial.run
        ):  # it takes the place in the queue that the training had, so that the table fills as the trainings end
            Run.objects.filter(pk=trial.evaluation.pk).update(queue_order=trial.run.queue_order)
    else:
        return
    trial.problems = []
    trial.save(update_fields=["run", "evaluation", "problems"])


def judged(trial: Trial) -> Version | None:
    """The version that the trial's evaluation is about; None while it is not there yet."""
    if not trial.entry.method:
        return trial.entry.comparison.base
    return trial.run.produced if trial.run else None


def held_equal(entry: Entry) -> dict[str, Any]:
    """The settings that the comparison gives to each of its methods alike, as far as this one knows them."""
    comparison = entry.comparison
    known = methods.config_of(entry.method).model_fields if entry.method in methods.names() else {}
    if "max_steps" not in known:  # its updates are of another kind, and its length is its own
        return {}
    held: dict[str, Any] = {}
    if comparison.max_steps:  # alone decides
        held |= {"max_steps": comparison.max_steps, "epochs": 10_000.0}
    elif comparison.epochs:
        held |= {"max_steps": None, "epochs": comparison.epochs}
    if comparison.batch_size:
        held["batch_size"] = comparison.batch_size
    return {name: value for name, value in held.items() if name in known}


def _order(entry: Entry, seed: int) -> dict[str, Any]:
    """What create_run is told, so that this entry learns from the same data, seed and budget as the others."""
    comparison = entry.comparison
    known = entry.method in methods.names()
    slug = names.slug_of(entry)
    config = entry.config | held_equal(entry)
    inputs: dict[str, Version | Dataset] = {"base": comparison.base}
    if role := menu.dataset_role(entry.method, comparison.dataset) if known else None:
        inputs[role] = comparison.dataset
    if known and comparison.reward_model and "reward_model" in methods.facts_of(entry.method).inputs:
        inputs["reward_model"] = comparison.reward_model
    return {
        "method": entry.method,
        "config": config,
        "inputs": inputs,
        "seed": seed,
        "name": _called(entry, seed),
        "output_name": slugify(f"{comparison.base.model.name[:30]}-{slug}")[:80],
    }


def _called(entry: Entry, seed: int, *more: str) -> str:
    """The name of a run, which has no language; where there are several seeds, it says which."""
    several = [f"seed {seed}"] if len(entry.comparison.seeds) > 1 and entry.method else []
    own = ", ".join([entry.label or names.slug_of(entry), *several, *more])
    return f"{entry.comparison.name[: 118 - len(own)]}: {own}"


def _judgement(trial: Trial, version: Version) -> dict[str, Any]:
    entry = trial.entry
    comparison = entry.comparison
    takes = methods.facts_of(JUDGE).inputs if JUDGE in methods.names() else {}
    inputs: dict[str, Version | Dataset] = {"base": version, "dataset": comparison.dataset}
    if comparison.reward_model and comparison.task == Task.PREFERENCE and version.head == Head.LM:
        inputs["reward_model"] = comparison.reward_model
        if "reference" in takes:
            inputs["reference"] = comparison.base
    return {
        "method": JUDGE,
        "config": {"task": comparison.task},
        "inputs": inputs,
        "seed": comparison.seeds[0],  # what is drawn while judging is drawn alike for all
        "name": _called(entry, trial.seed, JUDGE),
    }


@transaction.atomic
def retry(*, actor: User, trial: Trial) -> Trial:
    """Once more what failed, was refused or was stopped: from its last checkpoint where it has one, else anew."""
    check(actor, Right.LAUNCH_RUNS)
    trial = Trial.objects.select_for_update().get(pk=trial.pk)
    if not _again(actor, trial):
        raise Refusal(_("Nothing of this has failed or was stopped."), status=409)
    Comparison.objects.filter(entries__trials=trial).update(cancelled=False)
    audit(actor, "comparison.retry", trial.entry.comparison, entry=str(trial.entry), seed=trial.seed)
    return trial


def _again(actor: User, trial: Trial) -> bool:
    for role in ("run", "evaluation"):
        run: Run | None = getattr(trial, role)
        if run is None:
            continue
        if run.is_resumable:
            runs.resume_run(actor=actor, run=run)
            return True
        empty = role == "evaluation" and run.state == Run.State.COMPLETE and not reading.metrics(run.folder)
        if run.state == Run.State.REFUSED or empty:
            setattr(trial, role, None)
            _next_run(actor, trial)
            return True
    if trial.run and trial.run.state == Run.State.COMPLETE and trial.run.produced is None:
        runs.register_result(actor=actor, run=trial.run)
        trial.run.refresh_from_db()
    before = (trial.run_id, trial.evaluation_id)
    _next_run(actor, trial)
    return before != (trial.run_id, trial.evaluation_id)


@transaction.atomic
def cancel(*, actor: User, comparison: Comparison) -> Comparison:
    """Stop all that runs or waits; each can be gone on with from its last checkpoint."""
    check(actor, Right.LAUNCH_RUNS)
    comparison = Comparison.objects.select_for_update().get(pk=comparison.pk)
    active = [run for run in runs_of(comparison) if run.is_active]
    waits = Trial.objects.filter(entry__comparison=comparison, evaluation=None).exists()
    if comparison.cancelled or not comparison.started_at or not (active or waits):
        raise Refusal(_("Nothing of this comparison runs or waits."), status=409)
    for run in active:
        runs.stop_run(actor=actor, run=run)
    comparison.cancelled = True
    comparison.save(update_fields=["cancelled"])
    audit(actor, "comparison.cancel", comparison)
    return comparison


@transaction.atomic
def resume(*, actor: User, comparison: Comparison) -> Comparison:
    """Go on with everything that was stopped, failed or never queued."""
    check(actor, Right.LAUNCH_RUNS)
    comparison = Comparison.objects.select_for_update().get(pk=comparison.pk)
    if not comparison.started_at:
        raise Refusal(_("This comparison was not started yet."), status=409)
    comparison.cancelled = False
    comparison.save(update_fields=["cancelled"])
    problems = []
    for trial in _trials().filter(entry__comparison=comparison):
        try:
            with transaction.atomic():
                _again(actor, trial)
        except Refusal as refusal:
            problems += [f"{trial.entry}: {problem}" for problem in refusal.problems]
    if problems:
        raise Refusal(problems)
    audit(actor, "comparison.resume", comparison)
    return comparison


@transaction.atomic
def delete_comparison(*, actor: User, comparison: Comparison) -> None:
    """The comparison alone: its runs, versions and their figures stay."""
    check(actor, Right.LAUNCH_RUNS)
    audit(
        actor, "comparison.delete", comparison, name=comparison.name, runs=[str(run.pk) for run in runs_of(comparison)]
    )
    comparison.delete()


def runs_of(comparison: Comparison) -> list[Run]:
    """Every run of the comparison, trainings and evaluations."""
    of_it = Q(trained_for__entry__comparison=comparison) | Q(judged_for__entry__comparison=comparison)
    return list(Run.objects.filter(of_it).distinct())


# ---- The supervisor's ----------------------------------------------------------------------------------------------


def _trials():
    return Trial.objects.select_related(
        "entry__comparison__base__model",
        "entry__comparison__dataset",
        "entry__comparison__reward_model",
        "entry__comparison__created_by",
        "run__produced",
        "evaluation",
    )


def go_on() -> None:
    """Queue the evaluation of every result that is there and not judged yet. What cannot be queued says so in its row of the table."""
    ready = _trials().filter(
        evaluation=None,
        problems=[],
        run__produced__isnull=False,
        entry__comparison__cancelled=False,
        entry__comparison__started_at__isnull=False,
    )
    for trial in ready:
        try:
            with transaction.atomic():
                _next_run(trial.entry.comparison.created_by, trial)
        except Refusal as refusal:
            Trial.objects.filter(pk=trial.pk).update(problems=list(map(str, refusal.problems)))
