"""Verb: take a model from the Hugging Face Hub, as a job."""

from jobs.actions import enqueue
from jobs.models import Job
from people.errors import Refusal
from people.models import User
from people.permissions import Right, check

from .. import hub
from ..models import Version
from .versions import name_problems


def begin_hub_import(
    *,
    actor: User,
    name: str,
    repo: str,
    revision: str = "",
    licence: str = "",
    card: str = "",
    parent: Version | None = None,
) -> Job:
    """Let the worker fetch `repo` ("owner/name") and import it as the next version of `name`. Only safetensors are fetched."""
    check(actor, Right.MANAGE_MODELS)
    repo, revision = repo.strip(), revision.strip()
    problems = [*name_problems(name), *hub.problems_of(repo, revision)]
    if problems:
        raise Refusal(problems)
    arguments = {
        "name": name,
        "repo": repo,
        "revision": revision,
        "licence": licence,
        "card": card,
        "parent": parent.pk if parent else None,
    }
    return enqueue(actor=actor, what="import-hub", subject=f"models_registry.model:{name}", arguments=arguments)
