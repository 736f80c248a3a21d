"""Verbs: import a model folder that lies on this machine, at once or as a job."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _

from jobs.actions import enqueue
from jobs.models import Job
from people.errors import Refusal
from people.models import User, audit
from people.permissions import Right, check

from .. import store
from ..fitting import misfit
from ..lm import inspect
from ..models import Kind, Version
from .versions import add, model_called, name_problems


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
    origin: dict | None = None,
    roots: list[Path] | None = None,
    progress: store.Progress | None = None,
) -> Imported:
    """Register a Hugging Face model folder, or a PEFT adapter folder over `parent`, as the next version of `name`.

    Only safetensors are taken. An `actor` may import from `roots` alone (default: settings.IMPORT_ROOTS); None is the person at the
    machine's own shell, who may read what the system lets them. The same content under the same name is not registered twice.
    """
    checked = check_import(actor=actor, name=name, path=path, parent=parent, roots=roots)
    notes = [f"{file}: {reason}" for file, reason in checked.left_out]
    if notes:
        notes.insert(0, _("These files were left out:"))
    kind, below = checked.facts.kind or Kind.FULL, parent.digest if parent else None
    with store.adding(checked.files, kind=kind, parent=below, progress=progress) as stored, transaction.atomic():
        model = model_called(actor, name)
        twin = model.versions.filter(digest=stored.digest).first()
        if twin:
            return Imported(
                twin, [_("The same content is registered already, as %(version)s.") % {"version": twin}, *notes]
            )
        version = add(
            actor=actor,
            model=model,
            stored=stored,
            facts=checked.facts,
            parent=parent,
            origin=origin or {"imported_from": Path(path).name},
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


def _parent_problems(folder: Path, facts: inspect.Facts, parent: Version | None) -> list[str]:
    if facts.kind == "full":
        return (
            [_("This folder holds full weights, so it stands on no parent; leave the parent empty.")] if parent else []
        )
    if parent is None:
        return [
            _("It holds no weights of a whole model: choose the version that it stands on as its parent.")
            + _names_base(folder)
        ]
    root = parent.chain()[0]
    if root.kind != Kind.FULL:
        return [_("%(parent)s has no weights here, so nothing can stand on it.") % {"parent": parent}]
    problem = misfit(folder, root.folder) if facts.kind == Kind.ADAPTER else None
    return [problem] if problem else []


def _names_base(folder: Path) -> str:
    """What an adapter says of its base, as a help to choose the parent."""
    config = folder / "adapter_config.json"
    base = json.loads(config.read_text("utf-8")).get("base_model_name_or_path") if config.is_file() else None
    return _(" It names its base “%(base)s”.") % {"base": base} if base else ""


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
