"""The run directory: reading run.json, writing status.json, the lock, the exit codes. Light: nothing here loads torch.

run.json       what to do: {"method", "config", "inputs", "seed"}, and for `--verify` the "hashes" of the inputs' files
status.json    how it stands: written whole and renamed into place, so a reader never sees half of it
lock           held (flock) by the one process that works on the run
"""

import difflib
import fcntl
import json
import os
import threading
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models_registry.lm import inspect
from models_registry.lm.problems import Unfit

from . import methods
from .config import Input, Settings
from .messages import Message, Refused, _

COMPLETE, FAILED, REFUSED, STOPPED = 0, 1, 2, 75  # exit codes; 75 is EX_TEMPFAIL: try again later

SCHEMA_VERSION = 1


class RunFile(BaseModel):
    """run.json as it stands on disk; `config` is checked by the method's own Config."""

    model_config = ConfigDict(extra="forbid", strict=True)

    method: str
    config: dict[str, Any] = Field(default_factory=dict)
    inputs: dict[str, str | list[str]] = Field(default_factory=dict)
    seed: int = Field(0, ge=0, lt=2**32)
    # What the inputs' files were when the run was made, for `--verify`: {role: [{file: sha256} of each folder]}.
    hashes: dict[str, list[dict[str, str]]] = Field(default_factory=dict)


@dataclass(frozen=True)
class Order:
    """A run.json that has passed every check. `inputs`: a chain of folders (root first), or the path of a data set."""

    method: str
    config: Settings
    inputs: dict[str, list[Path] | Path]
    seed: int


def read(run_dir: Path, *, without: Collection[str] = ()) -> Order:
    """Read and check RUN_DIR/run.json. `without`: roles of inputs that need not be there, because the caller brings them itself.

    Raises Refused with all problems at once: unknown keys, wrong types, values out of range, missing inputs, files that
    are not there, versions of the wrong kind. Relative paths are relative to RUN_DIR.
    """
    path = run_dir / "run.json"
    try:
        raw = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise Refused(
            Message("no-run-file", _("There is no run.json in %(folder)s."), {"folder": str(run_dir)})
        ) from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise Refused(
            Message("run-file-not-json", _("run.json cannot be read: %(reason)s."), {"reason": str(error)})
        ) from None

    problems: list[Message] = []
    file = RunFile(method="", seed=0)
    try:
        file = RunFile.model_validate(raw)
    except ValidationError as error:
        problems += problems_of(error, RunFile)
        # Go on with what can be read, so that one answer names everything that is wrong.
        if isinstance(raw, dict):
            file = RunFile.model_construct(
                method=raw.get("method", ""),
                config=raw["config"] if isinstance(raw.get("config"), dict) else {},
                inputs=raw["inputs"] if isinstance(raw.get("inputs"), dict) else {},
                seed=0,
            )
    config = None
    inputs: dict[str, list[Path] | Path] = {}
    if file.method in methods.names():
        config, config_problems = check_config(file.method, file.config)
        problems += config_problems
        known = methods.facts_of(file.method).inputs
        needed = {role for role, facts in known.items() if facts.is_required(file.config) and role not in without}
        inputs, input_problems = _check_inputs(run_dir, known, file.inputs, needed)
        problems += input_problems
    elif isinstance(file.method, str):
        problems.append(
            Message(
                "unknown-method",
                _("There is no method “%(method)s”. The methods are: %(methods)s."),
                {"method": file.method, "methods": ", ".join(methods.names())},
            )
        )
    if config is not None:
        problems += config.problems(set(inputs))
    if problems or config is None:
        raise Refused(problems)
    return Order(file.method, config, inputs, file.seed)


def check_config(method: str, values: dict[str, Any]) -> tuple[Settings | None, list[Message]]:
    """The method's Config from JSON values, or all that is wrong with them."""
    config_class = methods.config_of(method)
    try:
        # From JSON and strict: lists may become tuples, but "3" is no number.
        return config_class.model_validate_json(json.dumps(values), strict=True), []
    except ValidationError as error:
        return None, problems_of(error, config_class)


_REASONS = {
    "missing": _("“%(field)s” is missing."),
    "greater_than": _("“%(field)s” must be more than %(bound)s, and is %(value)s."),
    "greater_than_equal": _("“%(field)s” must be at least %(bound)s, and is %(value)s."),
    "less_than": _("“%(field)s” must be less than %(bound)s, and is %(value)s."),
    "less_than_equal": _("“%(field)s” must be at most %(bound)s, and is %(value)s."),
    "literal_error": _("“%(field)s” must be one of %(expected)s, and is %(value)s."),
    "union_tag_invalid": _("“%(field)s” must have a kind among %(expected)s, and has %(value)s."),
    "union_tag_not_found": _("“%(field)s” must say its kind."),
    "value_error": _("“%(field)s”: %(reason)s."),
    "string_pattern_mismatch": _("“%(field)s” cannot be %(value)s; its description says what it can be."),
}
_NO_NUMBER = _("“%(field)s” must be a number, and is %(value)s.")
_NO_WHOLE_NUMBER = _("“%(field)s” must be a whole number, and is %(value)s.")
_NO_TEXT = _("“%(field)s” must be a text, and is %(value)s.")
_NO_LIST = _("“%(field)s” must be a list, and is %(value)s.")
_NO_OBJECT = _("“%(field)s” must be an object of settings, and is %(value)s.")
_TYPES = {
    "int_type": _NO_WHOLE_NUMBER,
    "int_from_float": _NO_WHOLE_NUMBER,
    "float_type": _NO_NUMBER,
    "finite_number": _NO_NUMBER,
    "bool_type": _("“%(field)s” must be true or false, and is %(value)s."),
    "string_type": _NO_TEXT,
    "list_type": _NO_LIST,
    "tuple_type": _NO_LIST,
    "dict_type": _NO_OBJECT,
    "model_type": _NO_OBJECT,
    "model_attributes_type": _NO_OBJECT,
}


def problems_of(error: ValidationError, model: type[BaseModel]) -> list[Message]:
    """Each error of a pydantic validation as a sentence for people."""
    return [_problem(dict(item), model) for item in error.errors(include_url=False)]


def _problem(item: dict[str, Any], model: type[BaseModel]) -> Message:
    kind, context = item["type"], item.get("ctx", {})
    field = ".".join(str(part) for part in _without_tags(item["loc"], model))
    params: dict[str, Any] = {"field": field, "value": _as_written(item.get("input"))[:80]}
    if kind == "extra_forbidden":
        name = str(item["loc"][-1])
        known = list(model.model_fields) if len(item["loc"]) == 1 else []
        close = difflib.get_close_matches(name, known, n=1)
        if close:
            text = _("There is no setting “%(field)s”. Did you mean “%(close)s”?")
            return Message("unknown-setting", text, {"field": field, "close": close[0]})
        return Message("unknown-setting", _("There is no setting “%(field)s”."), {"field": field})
    if kind == "missing":
        return Message("missing-setting", _REASONS[kind], {"field": field})
    if kind in _TYPES:
        return Message("wrong-type", _TYPES[kind], params)
    if kind in _REASONS:
        bound = next((context[key] for key in ("gt", "ge", "lt", "le") if key in context), None)
        expected = str(context.get("expected") or context.get("expected_tags") or "").replace("' or '", "', '")
        if kind == "union_tag_invalid":
            params["value"] = json.dumps(context.get("tag"))
        reason = _reason(context.get("error", ""))
        if not field:
            return Message(
                "settings-do-not-fit", _("These settings do not fit together: %(reason)s."), {"reason": reason}
            )
        extra = {"bound": bound if bound is None else _as_written(bound), "expected": expected, "reason": reason}
        return Message(
            kind.replace("_", "-"), _REASONS[kind], params | {k: v for k, v in extra.items() if v is not None}
        )
    return Message("invalid-setting", _REASONS["value_error"], {"field": field, "reason": item["msg"].rstrip(".")})


def _as_written(value: Any) -> str:
    """As people write it: 0, where JSON of a setting that may have decimals says 0.0."""
    return f"{value:.15g}" if isinstance(value, float) else json.dumps(value, default=str)


def _reason(error: Exception | str) -> Message | str:
    """What a Config's own check says: ours can be translated."""
    if not isinstance(error, Unfit):
        return str(error).rstrip(".")
    problem = error.problems[0]
    return Message("setting-reason", problem.template, problem.params)


def _without_tags(path: tuple[Any, ...], model: type[BaseModel]) -> list[Any]:
    """The path to a field without the tag that pydantic puts in behind a discriminated union: tune.lora.rank → tune.rank."""
    field = model.model_fields.get(str(path[0])) if path else None
    if field is not None and field.discriminator and len(path) > 1:
        return [path[0], *path[2:]]
    return list(path)


def _check_inputs(
    run_dir: Path, known: dict[str, Input], given: dict[str, Any], needed: Collection[str]
) -> tuple[dict[str, list[Path] | Path], list[Message]]:
    inputs: dict[str, list[Path] | Path] = {}
    problems: list[Message] = []
    for role in given:
        if role not in known:
            problems.append(
                Message(
                    "unknown-input",
                    _("This method takes no input “%(role)s”. It takes: %(known)s."),
                    {"role": role, "known": ", ".join(known)},
                )
            )
    for role, facts in known.items():
        value = given.get(role)
        if value is None or value == []:
            if role in needed:
                problems.append(Message("missing-input", _("The input “%(role)s” is missing."), {"role": role}))
        elif facts.kind == "version":
            folders = [value] if isinstance(value, str) else value
            if isinstance(folders, list) and all(isinstance(folder, str) for folder in folders):
                chain = [run_dir / folder for folder in folders]
                inputs[role] = chain
                problems += _check_chain(role, facts, chain)
        elif isinstance(value, str):
            path = run_dir / value
            inputs[role] = path
            problems += _check_dataset(role, path)
        else:
            params = {"field": f"inputs.{role}", "value": json.dumps(value)[:80]}
            problems.append(Message("wrong-type", _NO_TEXT, params))
    return inputs, problems


def _check_chain(role: str, facts: Input, folders: list[Path]) -> list[Message]:
    """A chain stands when each folder holds what its place asks for and the whole has a head that the method accepts."""
    problems: list[Message] = []
    found = []
    for position, folder in enumerate(folders):
        about = inspect.describe(folder)
        found.append(about)
        params = {"role": role, "folder": str(folder)}
        if about.problems:
            problems.append(Message("bad-folder", _("Input “%(role)s”: %(folder)s cannot be used."), params))
            problems += [Message("bad-folder-reason", reason.template, reason.params) for reason in about.problems]
            continue
        if position == 0 and about.kind != "full":
            problems.append(
                Message(
                    "chain-root",
                    _("Input “%(role)s”: a chain starts with a full model, and %(folder)s is none."),
                    params,
                )
            )
        if position > 0 and about.kind == "full":
            problems.append(
                Message(
                    "chain-order",
                    _(
                        "Input “%(role)s”: only the first folder of a chain is a full model, and %(folder)s is another."
                    ),
                    params,
                )
            )
        if about.kind not in facts.links:
            params["kind"] = str(about.kind)
            problems.append(
                Message(
                    "wrong-link",
                    _("Input “%(role)s”: %(folder)s is a %(kind)s, which this method cannot build on."),
                    params,
                )
            )
    head = next((about.head for about in reversed(found) if about.head), None)
    if not problems and head not in facts.accepts:
        problems.append(
            Message(
                "wrong-head",
                _("Input “%(role)s” must be a model of the kind %(accepts)s, and is one of the kind %(head)s."),
                {"role": role, "accepts": ", ".join(facts.accepts), "head": head or "?"},
            )
        )
    return problems


DATA_FILES = ("data.jsonl", "data.parquet")


def dataset_file(path: Path) -> Path | None:
    """The file that holds the rows: `path` itself, or the data file in that folder; None when there is none."""
    if path.is_file():
        return path
    return next((path / name for name in DATA_FILES if (path / name).is_file()), None)


def _check_dataset(role: str, path: Path) -> list[Message]:
    file = dataset_file(path)
    if file is None:
        text = _("Input “%(role)s”: there is neither a file nor a folder with data.jsonl or data.parquet at %(path)s.")
        return [Message("no-dataset", text, {"role": role, "path": str(path)})]
    if file.suffix not in {".jsonl", ".parquet"}:
        text = _("Input “%(role)s”: %(path)s is neither JSONL (.jsonl) nor Parquet (.parquet).")
        return [Message("dataset-format", text, {"role": role, "path": str(file)})]
    return []


class Lock:
    """Held by the one process that works on a run; the kernel lets go of it when the process ends, however it ends."""

    def __init__(self, run_dir: Path) -> None:
        self._file = open(run_dir / "lock", "a")  # noqa: SIM115 - open as long as the process lives

    def acquire(self) -> bool:
        """False when another process works on this run."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            return False
        return True


def is_running(run_dir: Path) -> bool:
    """Whether some process holds the run's lock."""
    try:
        with open(run_dir / "lock") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def read_status(run_dir: Path) -> dict[str, Any]:
    """status.json; empty when the run has not been started."""
    try:
        return json.loads((run_dir / "status.json").read_text("utf-8"))
    except FileNotFoundError:
        return {}


class Status:
    """status.json. Fields are set as they become known; a thread of its own renews `heartbeat` every few seconds.

    state: running | complete | stopped | refused | failed. Times are unix seconds, sizes bytes. `writes`: of several processes that work on a
    run, one does.
    """

    BEAT_S = 5.0

    def __init__(self, run_dir: Path, *, writes: bool = True) -> None:
        self._writes = writes
        self._path = run_dir / "status.json"
        self._write_lock = threading.Lock()
        self._over = threading.Event()
        before = read_status(run_dir)
        self.attempt = int(before.get("attempt", 0)) + 1
        self._wall_before = float(before.get("wall_s", 0.0))
        self._started = time.monotonic()
        self._written = 0.0
        self._fields: dict[str, Any] = {
            "schema": SCHEMA_VERSION,
            "state": "running",
            "pid": os.getpid(),
            "attempt": self.attempt,
            "started_at": before.get("started_at") or time.time(),
            "attempt_started_at": time.time(),
        }

    def begin(self) -> None:
        """Write `running` and start the heartbeat."""
        self.write()
        threading.Thread(target=self._beat, name="heartbeat", daemon=True).start()

    def _beat(self) -> None:
        while not self._over.wait(self.BEAT_S):
            self.write()

    def set(self, **fields: Any) -> None:
        """Change fields; they reach the disk within a second or with the next heartbeat."""
        with self._write_lock:
            self._fields.update(fields)
        if time.monotonic() - self._written > 1.0:
            self.write()

    def write(self) -> None:
        with self._write_lock:
            if not self._over.is_set():
                self._write()

    def end(self, state: str, **fields: Any) -> None:
        """The last word of this attempt."""
        with self._write_lock:
            self._over.set()
            self._fields.update(fields, state=state, ended_at=time.time())
            self._write()

    def _write(self) -> None:
        now = time.monotonic()
        self._fields |= {"heartbeat": time.time(), "wall_s": round(self._wall_before + now - self._started, 3)}
        if self._writes:
            write_json(self._path, self._fields, to_disk=self._over.is_set())
        self._written = now


def write_json(path: Path, value: Any, *, to_disk: bool = True) -> None:
    """Write aside and rename: a reader sees the old file or the new one. `to_disk`: and so it is after a power cut."""
    aside = path.with_name(f".{path.name}.part")
    with open(aside, "w", encoding="utf-8") as file:
        json.dump(value, file, ensure_ascii=False, indent=1, allow_nan=False)
        file.flush()
        if to_disk:
            os.fsync(file.fileno())
    os.replace(aside, path)
