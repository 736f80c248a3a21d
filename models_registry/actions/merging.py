"""Verb: fold an adapter into its base as a version with full weights, as a job."""

from jobs.actions import enqueue
from jobs.models import Job
from people.errors import Refusal
from people.models import User
from people.permissions import Right, check

from .. import merging
from ..models import Version
from .versions import name_problems


def begin_merge(*, actor: User, version: Version, name: str) -> Job:
    """Let the worker fold every adapter of the version's chain into the base, and register the result under `name`."""
    check(actor, Right.MANAGE_MODELS)
    problems = [*name_problems(name), *merging.reasons_against(version)]
    if problems:
        raise Refusal(problems)
    return enqueue(
        actor=actor,
        what="merge-version",
        subject=f"models_registry.version:{version.pk}",
        arguments={"version": version.pk, "name": name},
    )
