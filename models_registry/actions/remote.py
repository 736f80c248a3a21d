"""Verb: register an OpenAI-compatible server as a version."""

from django.db import transaction
from django.utils.translation import gettext as _

from people.errors import Refusal
from people.models import User, audit
from people.permissions import Right, check

from .. import endpoints, store
from ..models import Head, Kind, Version
from .versions import model_called, name_problems, next_number


def register_remote(
    *,
    actor: User | None,
    name: str,
    base_url: str,
    model: str,
    key_env: str = "",
    chat_only: bool = False,
    licence: str = "",
    card: str = "",
) -> Version:
    """The model called `model` of the server at `base_url` (…/v1) as the next version of `name`. Nothing is called.

    `key_env` names the environment variable that holds the key; the key itself is never stored. None is the person at the shell.
    """
    if actor is not None:
        check(actor, Right.MANAGE_MODELS)
    base_url, model, key_env = base_url.strip().rstrip("/"), model.strip(), key_env.strip()
    problems = [*name_problems(name), *endpoints.problems_of(base_url, model, key_env)]
    if len(licence) > 120:
        problems.append(_("A licence's name has 120 characters at most; put its text into the card."))
    if problems:
        raise Refusal(problems)
    facts = {"base_url": base_url, "model": model, "key_env": key_env, "chat_only": chat_only, "chat": True}
    manifest = {"kind": Kind.REMOTE.value, "parent": None, "files": [], "remote": facts}
    with transaction.atomic():
        registered = model_called(actor, name)
        version = Version.objects.create(
            model=registered,
            number=next_number(registered),
            kind=Kind.REMOTE,
            head=Head.LM,
            digest=store.digest_of(manifest),
            manifest=manifest,
            facts=facts,
            origin={"remote": base_url},
            licence=licence,
            card=card,
            created_by=actor,
        )
        audit(actor, "version.remote", version, base_url=base_url, model=model, key_env=key_env)
    return version
