"""What a run was computed with (environment.json), and whether its inputs and programs are still the same: `--verify`. Loads no torch.

environment.json    a list, one entry for each attempt that found something new: {"attempt", "python", "platform", "processor", "packages", "code"}
"""

import json
import os
import platform
from collections.abc import Iterator
from hashlib import file_digest, sha256
from importlib import metadata
from pathlib import Path
from typing import Any

from .contract import dataset_file, write_json

FILE = "environment.json"
PACKAGES = (
    "torch", "transformers", "tokenizers", "safetensors", "peft", "trl", "accelerate", "numpy", "pyarrow", "pydantic",
)  # fmt: skip
_ROOT = Path(__file__).parents[2]
_PROGRAM = (
    "training/engine",
    "models_registry/lm",
    "labeling/statistics",
    "labeling/ranking.py",
)  # what a result depends on


def facts() -> dict[str, Any]:
    """Versions of what computes here. `code` is a sha256 over this program's own files."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": f"{platform.machine()}, {os.cpu_count()}",
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
        "code": _code(),
    }


def note(run_dir: Path, attempt: int) -> None:
    """Write down what this attempt is computed with, where that is not what stands there already."""
    known, now = read(run_dir), facts()
    if not known or {key: value for key, value in known[-1].items() if key != "attempt"} != now:
        write_json(run_dir / FILE, [*known, {"attempt": attempt, **now}])


def read(run_dir: Path) -> list[dict[str, Any]]:
    """environment.json; empty where the run has not begun, or began before this file existed."""
    try:
        return json.loads((run_dir / FILE).read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        return []


def program_differences(before: dict[str, Any], now: dict[str, Any] | None = None) -> Iterator[tuple[str, str, str]]:
    """(what, then, now) of everything that was computed with another version than it would be here."""
    now = now or facts()
    for name in ("python", "platform", "processor"):
        if before.get(name) != now[name]:
            yield name, str(before.get(name)), now[name]
    for name in sorted({*before.get("packages", {}), *now["packages"]}):
        then, here = before.get("packages", {}).get(name, "–"), now["packages"].get(name, "–")
        if then != here:
            yield name, then, here
    if before.get("code") != now["code"]:
        yield "code", str(before.get("code"))[:12], now["code"][:12]


def input_differences(run_dir: Path) -> Iterator[str]:
    """The files of the inputs that are missing, or not what run.json's `hashes` say."""
    order = json.loads((run_dir / "run.json").read_text("utf-8"))
    for role, expected in order.get("hashes", {}).items():
        given = order.get("inputs", {}).get(role, [])
        folders = [run_dir / folder for folder in ([given] if isinstance(given, str) else given)]
        if len(folders) != len(expected):
            yield f"{role}: {len(folders)} folders, and {len(expected)} are expected"
            continue
        for folder, files in zip(folders, expected, strict=True):
            for name, digest in files.items():
                path = folder / name
                if not path.is_file() and len(files) == 1 and (alone := dataset_file(folder)):
                    path = alone  # a data set that lies elsewhere, under another name
                if not path.is_file():
                    yield f"{role}: {path} is missing"
                elif hash_of(path) != digest:
                    yield f"{role}: {path} is another file than it was"


def hash_of(path: Path) -> str:
    with open(path, "rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _code() -> str:
    digest = sha256()
    for place in _PROGRAM:
        path = _ROOT / place
        for file in [path] if path.is_file() else sorted(path.rglob("*.py")):
            digest.update(file.relative_to(_ROOT).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()
