"""Verbs: register what a run made, set the stage, edit the card, have the hashes computed anew."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

from django.db import transaction
from django.db.models import Max
from django.utils.translation import gettext as _

from jobs.actions import enqueue
from jobs.models import Job
from people.errors import Refusal
from people.models import User, audit
from people.permissions import Right, check

from .. import store
from ..lm import inspect
from ..models import Head, Kind, Model, Source, Stage, Version

_NAME = re.compile(r"[A-Za-z0-9][-\w]{0,79}", re.ASCII)
_RESERVED = {"import", "new", "hub", "remote", "playground", "compare", "disk"}  # addresses of pages


def name_problems(name: str) -> list[str]:
    if not _NAME.fullmatch(name):
        return [_("A name consists of letters, digits, - and _ (80 at most), and starts with a letter or a digit.")]
    if name in _RESERVED:
        return [_("“%(name)s” is an address of a page; choose another name.") % {"name": name}]
    twin = Model.objects.filter(name__iexact=name).exclude(name=name).first()
    return (
        [_("There is a model called “%(name)s” already; write it like that, or choose another name.") % {"name": twin}]
        if twin
        else []
    )


def register_version(
    *,
    actor: User | None,
    model_name: str,
    folder: Path,
    parent: Version | None = None,
    sources: Mapping[str, Version] | None = None,
    origin: dict | None = None,
    metrics: dict | None = None,
    trained_parameters: int | None = None,
    licence: str = "",
    card: str = "",
    progress: store.Progress | None = None,
) -> Version:
    """Register what a run made. `parent`: what an adapter stands on; `sources`: every version that it was made from, by role.

    `origin["run"]` makes it repeatable: the same run registers the same content once. The run's own verb has checked the actor's
    rights (None: the supervisor registers a run that has ended).
    """
    origin = origin or {}
    if problems := name_problems(model_name):
        raise Refusal(problems)
    facts = inspect.describe(folder)
    if facts.problems:
        raise Refusal([_(problem.template) % problem.params for problem in facts.problems])
    files, _left_out = store.pick(folder)
    kind, below = facts.kind or Kind.FULL, parent.digest if parent else None
    with store.adding(files, kind=kind, parent=below, progress=progress) as stored, transaction.atomic():
        model = model_called(actor, model_name)
        if origin.get("run"):
            twin = model.versions.filter(digest=stored.digest, origin__run=origin["run"]).first()
            if twin:
                return twin
        licence = licence or next((source.licence for source in (sources or {}).values() if source.licence), "")
        version = add(
            actor=actor,
            model=model,
            stored=stored,
            facts=facts,
            parent=parent,
            origin=origin,
            metrics=metrics or {},
            trained_parameters=trained_parameters,
            licence=licence,
            card=card,
        )
        Source.objects.bulk_create(
            Source(version=version, role=role, source=source) for role, source in (sources or {}).items()
        )
        audit(actor, "version.register", version, digest=stored.digest, run=origin.get("run"))
    return version


def model_called(actor: User | None, name: str) -> Model:
    """The model of that name, made if need be, and locked: numbers are given one at a time."""
    Model.objects.get_or_create(name=name, defaults={"created_by": actor})
    return Model.objects.select_for_update().get(name=name)


def add(
    *, actor: User | None, model: Model, stored: store.Stored, facts: inspect.Facts, parent: Version | None, **more
) -> Version:
    """The row of a folder that stands in the store; `model` is locked (model_called)."""
    return Version.objects.create(
        model=model,
        number=next_number(model),
        kind=facts.kind or Kind.FULL,
        head=facts.head or (parent.head if parent else Head.LM),
        parent=parent,
        digest=stored.digest,
        manifest=stored.manifest,
        size=stored.size,
        parameters=facts.parameters + (parent.parameters if parent else 0),
        architecture=facts.architecture,
        context_length=facts.context_length or (parent.context_length if parent else None),
        facts={
            "dtype": facts.dtype,
            "vocab_size": facts.vocab_size,
            "labels": list(facts.labels) or (parent.facts.get("labels", []) if parent and not facts.head else []),
            "outputs": facts.outputs,
            "members": facts.members,
            "chat": _has_chat_template(store.folder_of(stored.digest)) or bool(parent and parent.facts.get("chat")),
        },
        created_by=actor,
        **more,
    )


def next_number(model: Model) -> int:
    """A number is given once, also when its version was deleted: the name may be written down somewhere."""
    model.newest = max(model.newest, model.versions.aggregate(newest=Max("number"))["newest"] or 0) + 1
    model.save(update_fields=["newest"])
    return model.newest


def set_stage(*, actor: User, version: Version, stage: str) -> Version:
    """Move a version to another stage. A model has one version in production: the one before it is archived."""
    check(actor, Right.MANAGE_MODELS)
    if stage not in Stage.values:
        raise Refusal(_("There is no stage called “%(stage)s”.") % {"stage": stage})
    with transaction.atomic():
        Model.objects.select_for_update().get(pk=version.model_id)
        version.refresh_from_db(fields=["stage"])
        if version.stage == stage:
            return version
        replaced = []
        if stage == Stage.PRODUCTION:
            for other in version.model.versions.filter(stage=Stage.PRODUCTION):
                other.stage = Stage.ARCHIVED
                other.save(update_fields=["stage"])
                replaced.append(str(other))
        before, version.stage = version.stage, stage
        version.save(update_fields=["stage"])
        audit(actor, "version.stage", version, before=before, after=stage, archived=replaced)
    return version


def edit_card(*, actor: User, version: Version, card: str, licence: str) -> Version:
    """Change what people wrote about a version; its files stay as they are."""
    check(actor, Right.MANAGE_MODELS)
    if len(licence) > 120:
        raise Refusal(_("A licence's name has 120 characters at most; put its text into the card."))
    with transaction.atomic():
        before = {"card": version.card, "licence": version.licence}
        version.card, version.licence = card, licence
        version.save(update_fields=["card", "licence"])
        audit(actor, "version.card", version, before=before)
    return version


def begin_verify(*, actor: User, version: Version) -> Job:
    """Let the worker compute every hash of this version's folder anew."""
    check(actor, Right.SEE_MODELS)
    if version.kind == Kind.REMOTE:
        raise Refusal(_("A remote endpoint has no files here to verify."))
    return enqueue(
        actor=actor,
        what="verify-version",
        subject=f"models_registry.version:{version.pk}",
        arguments={"version": version.pk},
    )


def begin_verify_all(*, actor: User) -> Job:
    """Let the worker compute every hash in the store anew; content that several versions share is read once."""
    check(actor, Right.SEE_MODELS)
    return enqueue(actor=actor, what="verify-store", subject="models_registry.store", arguments={})


def _has_chat_template(folder: Path) -> bool:
    if (folder / "chat_template.jinja").is_file():
        return True
    config = folder / "tokenizer_config.json"
    return config.is_file() and bool(json.loads(config.read_text("utf-8")).get("chat_template"))
