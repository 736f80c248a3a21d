"""What can be done with the policies of a run: register one, send its answers beside its start's to people, let another reward model judge."""

import secrets
from itertools import count

from django.db import transaction
from django.utils.translation import gettext as _

from jobs.actions import enqueue
from jobs.models import Job
from labeling.actions.batches import batch_named, check_length
from labeling.models import Project
from models_registry.models import Version
from people.errors import Refusal
from people.models import User, audit
from people.permissions import Right, check

from ..actions import register_checkpoint, register_result
from ..engine.methods.ppo.kept import Policy
from ..models import Run
from .models import FreshPairs
from .queries import Policies, judges, newest_job

MOST_PAIRS = 10_000
PAIRS = 100  # where nobody says another number


def policy_after(found: Policies, step: int | None = None) -> Policy:
    """The policy after so many updates, by default the last one that there is. Refusal (404) if it was not kept."""
    chosen = next((policy for policy in reversed(found.all) if step in {None, policy.step}), None)
    if chosen is None:
        raise Refusal(_("The run has kept no such policy."), status=404)
    return chosen


def register_policy(*, actor: User, run: Run, step: int) -> Version:
    """Make a policy that the run has kept a version, once; its origin says after which update."""
    check(actor, Right.LAUNCH_RUNS)
    found = Policies(run)
    policy = policy_after(found, step)
    if version := found.versions.get(step):
        return version
    if found.is_result(policy):
        return register_result(actor=actor, run=run, again=True)
    figures = {"kl": policy.kl, "reward": policy.reward}
    return register_checkpoint(
        actor=actor, run=run, step=step, folder=found.folder(policy), metrics=figures, kept=True
    )


def send_pairs(
    *,
    actor: User,
    run: Run,
    project: Project,
    step: int | None = None,
    number: int = PAIRS,
    batch: str = "",
    seed: int | None = None,
) -> Job:
    """Let a policy (by default the last) and the run's start answer held-out prompts with equal settings, and people of `project` rank the pairs.

    They come as tasks of the `batch` of that name. `seed`: of the choice of prompts and of the answers; None: another one each time.
    """
    for right, place in ((Right.LAUNCH_RUNS, None), (Right.SAMPLE_MODELS, None), (Right.MANAGE_PROJECTS, project)):
        check(actor, right, place=place)
    found = Policies(run)
    policy = policy_after(found, step)
    problems = []
    if not 1 <= number <= MOST_PAIRS:
        problems.append(_("From 1 to %(most)s pairs can be sent at a time.") % {"most": MOST_PAIRS})
    if project.state == Project.State.ARCHIVED:
        problems.append(_("This project is archived; open it again, or choose another."))
    if not found.holds_out:
        problems.append(_("The run's data set holds no prompt out, so there is none that the policy has not seen."))
    with transaction.atomic():
        problems += _busy(run)
        if problems:
            raise Refusal(problems)
        check_length(batch)
        named = batch_named(project, batch.strip() or _batch_name(project), actor)
        pairs = FreshPairs.objects.create(
            run=run,
            step=policy.step,
            batch=named,
            number=number,
            seed=secrets.randbits(32) if seed is None else seed,
            created_by=actor,
        )
        audit(actor, "run.send_pairs", run, step=policy.step, pairs=number, project=project.pk, batch=str(named))
        return _begin(actor, run, "fresh-pairs", pairs=pairs.pk)


def _batch_name(project: Project) -> str:
    """Annotators may see it, so it says neither the run nor what is compared."""
    there = set(project.batches.values_list("name", flat=True))  # also of runs that are no more
    names = (_("Fresh pairs %(number)s") % {"number": number} for number in count(1))
    return next(name for name in names if name not in there)


def ask_judge(*, actor: User, run: Run, judge: Version) -> Job:
    """Let a reward model that the run did not learn from compare each policy with the start on held-out prompts; it keeps what it has said before."""
    check(actor, Right.TRY_MODELS)
    found, problems = Policies(run), []
    if not judges(run).filter(pk=judge.pk).exists():
        problems.append(_("%(model)s is no reward model that the run did not learn from.") % {"model": judge})
    if not found.all:
        problems.append(_("The run has kept no policy yet."))
    elif not found.holds_out:
        problems.append(_("The run's data set holds no prompt out, so there is none that the policy has not seen."))
    with transaction.atomic():
        problems += _busy(run)
        if problems:
            raise Refusal(problems)
        audit(actor, "run.ask_judge", run, judge=str(judge))
        return _begin(actor, run, "judge-policies", run=str(run.pk), judge=judge.pk)


def _busy(run: Run) -> list[str]:
    """Why no job can be begun just now. The run is locked, so that of two people who ask at once, or of one who clicks twice, the second is told."""
    if not Run.objects.select_for_update(no_key=True).filter(pk=run.pk).exists():
        raise Refusal(_("This run was deleted meanwhile."), status=404)
    job = newest_job(run)
    return (
        [_("This run's policies are being judged already; wait until that has ended.")]
        if job and job.is_active
        else []
    )


def _begin(actor: User, run: Run, what: str, /, **arguments: object) -> Job:
    return enqueue(actor=actor, what=what, arguments=arguments, subject=f"training.run:{run.pk}")
