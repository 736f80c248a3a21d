"""Verbs of the registry: import a folder, register what a run made, set the stage, edit the card."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.db.models import Max
from django.utils.translation import gettext as _

from jobs.actions import enqueue
from jobs.models import Job
from people.errors import Refusal
from people.models import User, audit
from people.permissions import Right, check

from . import store
from .fitting import misfit
from .lm import inspect
from .models import Head, Kind, Model, Source, Stage, Version

_NAME = re.compile(r"[A-Za-z0-9][-\w]{0,79}", re.ASCII)
_RESERVED = {"import", "new"}  # addresses of pages


@dataclass(frozen=True)
class Imported:
    version: Version
    notes: list[str]  # for the person: what was left out, and whether it was there already


@dataclass(frozen=True)
class _Checked:
    """A folder that may be imported."""

    files: list[store.Picked]
    left_out: list[tuple[str, str]]
    facts: inspect.Facts


def import_folder(
    *,
    actor: User | None,
    name: str,
    path: str | Path,
    licence: str = "",
    card: str = "",
    parent: Version | None = None,
    roots: list[Path] | None = None,
    progress: store.Progress | None = None,
) -> Imported:
    """Register a Hugging Face model folder, or a PEFT adapter folder over `parent`, as the next version of `name`.

    Only safetensors are taken. An `actor` may import from `roots` alone (default: settings.IMPORT_ROOTS); None is the person at the
    machine's own shell, who may read what the system lets them. The same content under the same name is not registered twice.
    """
    checked = check_import(actor=actor, name=name, path=path, parent=parent, roots=roots)
    stored = store.put(
        checked.files,
        kind=checked.facts.kind or Kind.FULL,
        parent=parent.digest if parent else None,
        progress=progress,
    )
    notes = [f"{file}: {reason}" for file, reason in checked.left_out]
    if notes:
        notes.insert(0, _("These files were left out:"))
    with transaction.atomic():
        model = _model(actor, name)
        twin = model.versions.filter(digest=stored.digest).first()
        if twin:
            return Imported(
                twin, [_("The same content is registered already, as %(version)s.") % {"version": twin}, *notes]
            )
        version = _add(
            actor=actor,
            model=model,
            stored=stored,
            facts=checked.facts,
            parent=parent,
            origin={"imported_from": Path(path).name},
            licence=licence or _licence_of(path),
            card=card or _card_of(path),
        )
        audit(actor, "version.import", version, digest=stored.digest, folder=str(path))
    return Imported(version, notes)


def begin_import(
    *,
    actor: User,
    name: str,
    path: str | Path,
    licence: str = "",
    card: str = "",
    parent: Version | None = None,
    uploaded: bool = False,
) -> Job:
    """Check everything that can be checked at once, then let the worker copy. `uploaded`: `path` is ours and is removed afterwards."""
    check_import(
        actor=actor, name=name, path=path, parent=parent, roots=[Path(settings.UPLOADS)] if uploaded else None
    )
    arguments = {
        "name": name,
        "path": str(path),
        "licence": licence,
        "card": card,
        "parent": parent.pk if parent else None,
        "uploaded": uploaded,
    }
    return enqueue(actor=actor, what="import-model", subject=f"models_registry.model:{name}", arguments=arguments)


def check_import(
    *, actor: User | None, name: str, path: str | Path, parent: Version | None = None, roots: list[Path] | None = None
) -> _Checked:
    """Everything that speaks against the import, all at once, as one Refusal; else what would be taken."""
    problems = name_problems(name)
    if actor is not None:
        check(actor, Right.MANAGE_MODELS)
        roots = [Path(root).resolve() for root in roots or settings.IMPORT_ROOTS]
    try:
        checked = _look_into(Path(path).expanduser(), roots, parent, problems)
    except (OSError, RuntimeError) as error:  # not readable, a name that is too long, a home folder of nobody
        problems.append(
            _("The server cannot read this folder: %(reason)s.")
            % {"reason": getattr(error, "strerror", None) or error}
        )
    if problems:
        raise Refusal(problems)
    return checked


def _look_into(folder: Path, roots: list[Path] | None, parent: Version | None, problems: list[str]) -> _Checked | None:
    """What the folder holds; what is wrong with it goes into `problems`."""
    if not folder.is_absolute():
        problems.append(_("Give the whole path of the folder, from / on."))
    elif roots is not None and not store.allowed(folder, roots):
        # Said before anyone learns whether the folder exists.
        problems.append(
            _(
                "Folders can be imported from these places alone: %(places)s. An admin of the machine can add others (PERINGKAT_IMPORT_ROOTS)."
            )
            % {"places": ", ".join(map(str, roots))}
        )
    elif not folder.is_dir():
        problems.append(_("There is no folder %(folder)s on the server.") % {"folder": folder})
    else:
        files, left_out = store.pick(folder, roots)
        facts = inspect.describe(folder)
        problems += [_(problem.template) % problem.params for problem in facts.problems]
        if not facts.problems:
            problems += _parent_problems(folder, facts, parent)
        return _Checked(files, left_out, facts)
    return None


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


def _parent_problems(folder: Path, facts: inspect.Facts, parent: Version | None) -> list[str]:
    if facts.kind == "full":
        return (
            [_("This folder holds full weights, so it stands on no parent; leave the parent empty.")] if parent else []
        )
    if parent is None:
        base = json.loads((folder / "adapter_config.json").read_text("utf-8")).get("base_model_name_or_path")
        said = _(" It names its base “%(base)s”.") % {"base": base} if base else ""
        return [_("This is an adapter: choose the version that it stands on as its parent.") + said]
    root = parent.chain()[0]
    problem = misfit(folder, root.folder)
    return [problem] if problem else []


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
    stored = store.put(
        files, kind=facts.kind or Kind.FULL, parent=parent.digest if parent else None, progress=progress
    )
    with transaction.atomic():
        model = _model(actor, model_name)
        if origin.get("run"):
            twin = model.versions.filter(digest=stored.digest, origin__run=origin["run"]).first()
            if twin:
                return twin
        licence = licence or next((source.licence for source in (sources or {}).values() if source.licence), "")
        version = _add(
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


def _model(actor: User | None, name: str) -> Model:
    """The model of that name, made if need be, and locked: numbers are given one at a time."""
    Model.objects.get_or_create(name=name, defaults={"created_by": actor})
    return Model.objects.select_for_update().get(name=name)


def _add(
    *, actor: User | None, model: Model, stored: store.Stored, facts: inspect.Facts, parent: Version | None, **more
) -> Version:
    newest = model.versions.aggregate(newest=Max("number"))["newest"] or 0
    return Version.objects.create(
        model=model,
        number=newest + 1,
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
            "labels": list(facts.labels),
            "chat": _has_chat_template(store.folder_of(stored.digest)) or bool(parent and parent.facts.get("chat")),
        },
        created_by=actor,
        **more,
    )


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
    return enqueue(
        actor=actor,
        what="verify-version",
        subject=f"models_registry.version:{version.pk}",
        arguments={"version": version.pk},
    )


def _has_chat_template(folder: Path) -> bool:
    if (folder / "chat_template.jinja").is_file():
        return True
    config = folder / "tokenizer_config.json"
    return config.is_file() and bool(json.loads(config.read_text("utf-8")).get("chat_template"))


def _front_matter(path: Path) -> tuple[str, str]:
    """A Hugging Face card: the block between `---` lines at the top, and the text below it."""
    readme = Path(path) / "README.md"
    text = readme.read_text("utf-8", errors="replace") if readme.is_file() else ""
    match = re.match(r"---\s*\n(.*?)\n---\s*\n", text, re.DOTALL)
    return (match[1], text[match.end() :]) if match else ("", text)


def _licence_of(path: Path) -> str:
    match = re.search(r"^license:\s*(.+)$", _front_matter(path)[0], re.MULTILINE)
    return match[1].strip()[:120] if match else ""


def _card_of(path: Path) -> str:
    return _front_matter(path)[1].strip()
