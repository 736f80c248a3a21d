"""Making a run again, here or on another machine: what it was, of which files, with which programs, as one JSON object; and the way back.

    {"format", "name", "method", "config", "seed", "output_name",
     "inputs": {role: {"version", "chain": [digest, …]} | {"dataset", "digest"}}, "hashes": {role: [{file: sha256}, …]}, "environment": {…}}

Nothing in it needs git: programs are told by the versions of their packages and a hash over this program's own files.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _

from labeling.models import Dataset
from models_registry import store
from models_registry.models import Version
from people.errors import Refusal
from people.models import User

from . import actions, queries
from .engine import environment
from .models import Run

FORMAT = "peringkat-run-1"


def bundle(run: Run) -> dict[str, Any]:
    """Everything that is needed to make `run` again. `environment` is empty until the run has begun."""
    inputs: dict[str, Any] = {}
    for each in run.inputs.select_related("version__model", "dataset").order_by("role"):
        if each.version:
            inputs[each.role] = {"version": str(each.version), "chain": [link.digest for link in each.version.chain()]}
        else:
            inputs[each.role] = {"dataset": each.dataset.name, "digest": each.dataset.digest}
    known = environment.read(run.folder)
    return {
        "format": FORMAT,
        "name": run.name,
        "method": run.method,
        "config": run.config,
        "seed": run.seed,
        "output_name": run.output_name,
        "inputs": inputs,
        "hashes": queries.hashes(run),
        "environment": known[-1] if known else {},
    }


def read(text: str) -> dict[str, Any]:
    """A bundle from a file. Refusal when it is none."""
    try:
        found = json.loads(text)
    except ValueError as error:
        raise Refusal(_("This is no JSON: %(reason)s.") % {"reason": error}) from None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise Refusal(_("This describes no run: “format” must be “%(format)s”.") % {"format": FORMAT})
    return found


def find_inputs(described: Mapping[str, Any]) -> dict[str, Version | Dataset]:
    """The very inputs by their digests, whatever they are called here, every file hashed anew. Refusal with all that is missing or changed."""
    found: dict[str, Version | Dataset] = {}
    problems: list[str] = []
    for role, wanted in described["inputs"].items():
        if "chain" in wanted:
            version = Version.objects.select_related("model").filter(digest=wanted["chain"][-1]).first()
            if version is None or [link.digest for link in version.chain()] != wanted["chain"]:
                text = _("%(role)s: no version here has the content of %(version)s (%(digest)s…). Import it first.")
                problems.append(
                    text % {"role": role, "version": wanted["version"], "digest": wanted["chain"][-1][:12]}
                )
                continue
            for link in version.chain():
                problems += [f"{role}: {link}: {problem}" for problem in store.verify(link.folder, link.manifest)]
            found[role] = version
        else:
            dataset = Dataset.objects.filter(digest=wanted["digest"]).first()
            if dataset is None:
                text = _("%(role)s: no data set here has the rows of “%(dataset)s” (%(digest)s…). Upload it first.")
                problems.append(text % {"role": role, "dataset": wanted["dataset"], "digest": wanted["digest"][:12]})
                continue
            problems += [
                _("%(role)s: the content of %(file)s has changed.") % {"role": role, "file": file["path"]}
                for file in dataset.manifest.get("files", [])
                if not _is(dataset.folder / file["path"], file["sha256"])
            ]
            found[role] = dataset
    if problems:
        raise Refusal(problems)
    return found


def differences(described: Mapping[str, Any]) -> list[str]:
    """What is computed with another version here than the run was: the result may differ a little, or more."""
    before = described.get("environment")
    if not before:
        return []
    text = _("%(what)s: %(then)s then, %(here)s here")
    changed = environment.program_differences(before)
    return [text % {"what": what, "then": then, "here": here} for what, then, here in changed]


def make_again(*, actor: User, described: Mapping[str, Any]) -> Run:
    """Queue the same run once more, of the very same inputs. Refusal when they are not there."""
    return actions.create_run(
        actor=actor,
        method=described["method"],
        config=described["config"],
        inputs=find_inputs(described),
        name=described["name"],
        seed=described["seed"],
        output_name=described["output_name"],
    )


def _is(path: Path, digest: str) -> bool:
    return path.is_file() and environment.hash_of(path) == digest
