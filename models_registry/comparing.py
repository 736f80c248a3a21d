"""Versions side by side: what they are, how they were trained, their figures and files, with the differences marked."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.translation import gettext as _

from . import hooks, queries, words
from .models import Kind, Version

MOST = 4
_CONFIGS = (
    "config.json",
    "generation_config.json",
    "adapter_config.json",
    "prompt.json",
    "reward.json",
    "tokenizer_config.json",
)


@dataclass(frozen=True)
class Row:
    name: str
    values: list[str]

    @property
    def differs(self) -> bool:
        return len(set(self.values)) > 1


@dataclass(frozen=True)
class Group:
    title: str
    rows: list[Row]

    @property
    def differences(self) -> int:
        return sum(row.differs for row in self.rows)


def compare(versions: list[Version]) -> list[Group]:
    """Groups of rows with a value for each version; "" where a version has none. Groups without any row are left out."""
    groups = [
        Group(_("What they are"), _rows([_facts(version) for version in versions])),
        Group(_("How they were made"), _rows([_made(version) for version in versions])),
        Group(_("Figures"), _rows([hooks.telling(version).figures for version in versions])),
        *(Group(name, _rows([_config(version, name) for version in versions])) for name in _CONFIGS),
        Group(_("Files"), _rows([_files(version) for version in versions])),
    ]
    return [group for group in groups if group.rows]


def _facts(version: Version) -> dict[str, Any]:
    return {
        _("Purpose"): version.get_head_display(),
        _("Kind"): version.get_kind_display(),
        _("Parent"): version.parent,
        _("Stage"): version.get_stage_display(),
        _("Architecture"): version.architecture,
        _("Parameters"): _counted(version.parameters),
        _("Trained parameters"): _counted(version.trained_parameters),
        _("Context"): _counted(version.context_length),
        _("Precision"): version.facts.get("dtype"),
        _("Vocabulary"): _counted(version.facts.get("vocab_size")),
        _("Classes"): ", ".join(version.facts.get("labels") or []),
        _("Bytes on disk"): _counted(version.size),
        _("Licence"): version.licence,
        "SHA-256": version.digest,
    }


def _counted(number: int | None) -> str | None:
    return None if number is None else intcomma(number)


def _made(version: Version) -> dict[str, Any]:
    origin = version.origin
    sources = {part: source for _made, part, source in queries.sources(version)}
    inputs = {words.role(part): sources.get(part, digests) for part, digests in origin.get("inputs", {}).items()}
    data = {words.role(role): each["name"] for role, each in origin.get("datasets", {}).items()}
    return {
        _("How it was made"): words.made_how(version),
        _("Name of the run"): origin.get("run_name"),
        _("Seed"): origin.get("seed"),
        **{name.capitalize(): value for name, value in (inputs | data).items()},
        **hooks.telling(version).settings,
    }


def _config(version: Version, name: str) -> dict[str, Any]:
    """One JSON file of the folder, one entry a setting."""
    if version.kind == Kind.REMOTE or not any(file["path"] == name for file in version.manifest["files"]):
        return {}
    try:
        return _flat(json.loads((version.folder / name).read_text("utf-8")))
    except (OSError, ValueError):  # the version's own page says that it is damaged
        return {}


def _files(version: Version) -> dict[str, str]:
    return {file["path"]: f"{file['sha256'][:12]} · {file['size']}" for file in version.manifest["files"]}


def _flat(value: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Nested settings as one level: {"tune.rank": 8}."""
    found: dict[str, Any] = {}
    for key, inner in value.items():
        if isinstance(inner, Mapping) and inner:
            found |= _flat(inner, f"{before}{key}.")
        else:
            found[f"{before}{key}"] = inner
    return found


def _rows(columns: list[dict[str, Any]]) -> list[Row]:
    names: Iterable[str] = dict.fromkeys(name for column in columns for name in column)
    rows = [Row(name, [_said(column.get(name)) for column in columns]) for name in names]
    return [row for row in rows if any(row.values)]


def _said(value: Any) -> str:
    if value is None or value == "":
        return ""
    if isinstance(value, list | dict | bool):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)
