"""Everything that a run's page shows, read from its row and its folder; and what changed since the browser last asked."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from django.contrib.humanize.templatetags.humanize import intcomma
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from labeling.queries import labels_behind
from models_registry.words import figure as rounded
from people import terminal

from . import charts, queries, reading, room
from .curves import Curve, curves
from .engine import environment, methods
from .engine.config import Input
from .engine.export import checkpoints
from .failures import said
from .fields import Field, all_leaves, as_text, default_values, fields_of, flat, told
from .health import Health
from .judged import Judged, judged
from .models import Run
from .result import Result, result
from .templatetags.training import figure

SAMPLE_STEPS = 5  # shown side by side
MOST_STEPS = 40  # one below the other
SAMPLE_PROMPTS = 8
SILENT_SECONDS = 60
DRAW_EVERY = 6.0  # seconds: a picture takes some 25 ms of a processor that the training wants as well
MOST_DRAWINGS = 64


@dataclass(frozen=True)
class Sample:
    """What the model wrote for one prompt as training went on: `every` are (step, text), `texts` some of them."""

    slot: int
    prompt: str
    every: list[tuple[int, str]]

    @property
    def texts(self) -> list[tuple[int, str]]:
        return spread(self.every, SAMPLE_STEPS)


@dataclass(frozen=True)
class Drawing:
    """The charts of a run, drawn at one time (monotonic), by the name of their curve."""

    at: float
    events: str  # how far the events had been read
    pictures: dict[str, SafeString]


_drawings: dict[tuple, Drawing] = {}


class Page:
    """`last_seen` is what a former `seen` said; empty at the first look."""

    def __init__(self, run: Run, last_seen: str = "") -> None:
        self.run = run
        self.events = reading.events(run.folder)
        self.status = queries.status(run)
        self._last = dict(part.split("=", 1) for part in last_seen.split(",") if "=" in part)

    @property
    def _now(self) -> dict[str, str]:
        return {
            "state": self.run.state,
            "events": self._events_read,
            "curves": ".".join(self._curve_names),
            "drawn": self._drawing.events,
            "samples": str(len(self.events.samples)),
            "silent": str(self.is_silent),
        }

    @property
    def _events_read(self) -> str:
        return f"{self.events.attempt}.{self.events.offset}"

    @property
    def seen(self) -> str:
        """For the address of the next poll."""
        return ",".join(f"{key}={value}" for key, value in self._now.items())

    def _changed(self, *keys: str) -> bool:
        return any(self._last.get(key) != self._now[key] for key in keys)

    @property
    def must_reload(self) -> bool:
        """The run began or ended: other parts, other buttons."""
        return self._changed("state")

    @property
    def has_news(self) -> bool:
        return self._changed("events", "silent", "drawn")

    @property
    def known_curves(self) -> list[str]:
        """The charts that the browser has already."""
        return [name for name in self._last.get("curves", "").split(".") if name]

    @property
    def has_new_samples(self) -> bool:
        return self._changed("samples")

    # What stands at the top -----------------------------------------------------------------------------------------

    @property
    def percent(self) -> int:
        progress = 1.0 if self.run.state == Run.State.COMPLETE else self.events.progress
        return int(100 * progress)

    @property
    def eta(self) -> str:
        """The time that is left, in words."""
        seconds = self.events.eta_seconds
        if self.run.state != Run.State.RUNNING or seconds is None or self.is_silent:
            return ""
        return _("%(time)s left") % {"time": duration(seconds)}

    @property
    def phase(self) -> str:
        """What is being done before the first update, and how much of it is done."""
        phase = self.events.phase
        if not phase or self.run.state != Run.State.RUNNING:
            return ""
        return f"{said([phase['message']])[0]} {int(100 * phase.get('fraction', 0))} %"

    @property
    def place_in_queue(self) -> int:
        return queries.place_in_queue(self.run)

    @property
    def has_checkpoint(self) -> bool:
        """Whether there is one that can become a model, and no result yet that is better."""
        return self.run.makes_version and self.run.state != Run.State.COMPLETE and bool(checkpoints(self.run.folder))

    @property
    def waits_for_room(self) -> bool:
        return self.run.state == Run.State.QUEUED and not room.has_room_for(self.run)

    @property
    def is_unsupervised(self) -> bool:
        """Whether this run waits for a supervisor that is not there."""
        return self.run.is_active and not queries.is_supervised()

    @property
    def is_silent(self) -> bool:
        """Whether the process of a running run gives no sign of life."""
        heartbeat = self.status.get("heartbeat", 0)
        return self.run.state == Run.State.RUNNING and 0 < heartbeat < time.time() - SILENT_SECONDS

    @property
    def errors(self) -> list[str]:
        return said(self.run.errors)

    @property
    def detail(self) -> str:
        """The program's own words on a failure."""
        error = self.status.get("error")
        return error.get("detail", "") if isinstance(error, dict) and self.run.state == Run.State.FAILED else ""

    # What was learned -----------------------------------------------------------------------------------------------

    @cached_property
    def curves(self) -> list[Curve]:
        """While the run goes on, a single point may yet become a line."""
        found = [curve for curve in curves(self.events, self.run.method) if curve.is_line or self.run.is_active]
        judges = self._judges
        return [replace(each, title=judges[each.name]) if each.name in judges else each for each in found]

    @property
    def _judges(self) -> dict[str, str]:
        """What the curve of each of several rewards is called: the engine counts them in the order of the method's inputs."""
        given = {each.role: str(each.version) for each in self.run.inputs.all() if each.version}
        roles = [role for role in self._takes if role.startswith("reward_model")]
        names = [given[role] for role in roles if role in given]
        if function := self.run.config.get("reward_function"):
            names.append(function)
        return {f"reward_{number}": _("Reward by %(judge)s") % {"judge": name} for number, name in enumerate(names, 1)}

    @cached_property
    def _drawing(self) -> "Drawing":
        """The pictures of the curves; while the run is active all who watch it share those of the last few seconds."""
        key = (self.run.pk, get_language())
        last = _drawings.get(key)
        now = time.monotonic()
        if (
            last
            and self.run.is_active
            and now - last.at < DRAW_EVERY
            and last.pictures.keys() == set(self._curve_names)
        ):
            return last
        pictures = charts.draw(curve.plot for curve in self.curves)
        drawing = Drawing(now, self._events_read, dict(zip(self._curve_names, pictures, strict=True)))
        if len(_drawings) >= MOST_DRAWINGS:
            _drawings.clear()
        _drawings[key] = drawing
        return drawing

    @property
    def _curve_names(self) -> list[str]:
        return [curve.name for curve in self.curves]

    @property
    def drawn(self) -> list[tuple[Curve, SafeString]]:
        return [(curve, self._drawing.pictures[curve.name]) for curve in self.curves]

    @property
    def has_new_drawings(self) -> bool:
        return self._changed("drawn")

    @property
    def drawn_first(self) -> list[tuple[Curve, SafeString]]:
        return [(curve, svg) for curve, svg in self.drawn if not curve.is_machinery]

    @property
    def drawn_folded(self) -> list[tuple[Curve, SafeString]]:
        return [(curve, svg) for curve, svg in self.drawn if curve.is_machinery]

    @cached_property
    def health(self) -> Health:
        return Health(self.run, self.events, self._fields, self._again)

    @property
    def samples(self) -> list[Sample]:
        by_slot: dict[Any, dict[int, dict]] = {}
        for sample in self.events.samples:
            by_slot.setdefault(sample.get("slot"), {})[sample.get("step", 0)] = sample
        found = []
        for slot in sorted(by_slot, key=str)[:SAMPLE_PROMPTS]:
            steps = spread(sorted(by_slot[slot]), MOST_STEPS)
            prompt = by_slot[slot][steps[-1]].get("prompt", "")
            found.append(Sample(slot, prompt, [(step, by_slot[slot][step].get("text", "")) for step in steps]))
        return found

    @cached_property
    def metrics(self) -> dict:
        return reading.metrics(self.run.folder)

    @property
    def result(self) -> Result:
        return result(self.metrics)

    @property
    def judged(self) -> Judged | None:
        return judged(self.metrics, self._annotators)

    @property
    def _annotators(self) -> dict[str, str]:
        """The names of those who ranked, by the number that stands for them in what the run learned from."""
        told = (each.dataset.manifest.get("annotators", {}) for each in self.run.inputs.all() if each.dataset)
        return {key: person["name"] for people in told for key, person in people.items()}

    @property
    def facts(self) -> list[tuple[str, str]]:
        """What the run costs, as far as it is known."""
        status, found = self.status, []
        if wall := status.get("wall_s"):
            found.append((_("Wall time"), duration(wall)))
        if peak := status.get("peak_memory"):
            found.append((_("Peak memory"), gibibytes(peak)))
        if peak := status.get("peak_gpu_memory"):
            found.append((_("Peak GPU memory"), gibibytes(peak)))
        if expected := status.get("memory_estimate"):
            measured, told = status.get("memory_of_run"), {"estimate": gibibytes(expected)}
            text = _("%(measured)s, estimated %(estimate)s") if measured else _("estimated %(estimate)s")
            told["measured"] = gibibytes(measured or 0)
            found.append((_("Memory of models and answers"), text % told))
        if total := status.get("total_parameters"):
            trained = status.get("trained_parameters", total)
            share = _("%(trained)s of %(total)s (%(share)s %%)")
            parameters = {
                "trained": intcomma(trained),
                "total": intcomma(total),
                "share": figure(100 * trained / total),
            }
            found.append((_("Trained parameters"), share % parameters))
        if tokens := status.get("tokens_seen"):
            found.append((_("Tokens seen"), intcomma(tokens)))
        if device := status.get("device"):
            found.append((_("Computed on"), f"{device}, {status.get('dtype', '')}"))
        if self.run.is_active and (bytes_ := room.of_run(self.run)):
            found.append((_("Room at most"), _("about %(size)s") % {"size": filesizeformat(bytes_)}))
        if step := status.get("checkpoint_step"):
            found.append((_("Last checkpoint"), _("step %(step)d") % {"step": step}))
        if self.run.attempt > 1:
            found.append((_("Attempts"), str(self.run.attempt)))
        return found

    # Where it comes from, and how to do it again --------------------------------------------------------------------

    @property
    def inputs(self) -> list[dict[str, Any]]:
        known = self._takes
        return [
            {
                "title": _(known[each.role].title) if each.role in known else each.role,
                "chosen": each.version or each.dataset,
                "snapshot": each.dataset if each.dataset and each.dataset.project_id else None,
                "labels": labels_behind(each.version) if each.version else [],
            }
            for each in self.run.inputs.all()
        ]

    @property
    def _takes(self) -> Mapping[str, Input]:
        """The inputs of the method; none where there is no method of that name any more."""
        return methods.facts_of(self.run.method).inputs if self.run.method in methods.names() else {}

    @property
    def again(self) -> str:
        """The form of a new run, filled with what this one was given."""
        return self._again({})

    def _again(self, changes: dict[str, Any]) -> str:
        fields = {each.path: each for each in all_leaves(self._fields)}
        given = {
            "from": str(self.run.pk),
            "method": self.run.method,
            "name": self.run.name,
            "output_name": self.run.output_name,
        }
        given["seed"] = str(self.run.seed)
        for path, value in [*flat(self.run.config), *changes.items()]:
            text = as_text(fields[path], value) if path in fields else value
            given[f"config.{path}"] = str(text).lower() if isinstance(text, bool) else text
        for each in self.run.inputs.all():
            given[f"inputs.{each.role}"] = each.version_id or each.dataset_id
        # What was left out on purpose stays out.
        given = {f"inputs.{role}": "" for role, takes in self._takes.items() if takes.unless} | given
        return f"{reverse('run-new')}?{urlencode(given)}"

    @cached_property
    def _fields(self) -> list[Field]:
        return fields_of(methods.config_of(self.run.method)) if self.run.method in methods.names() else []

    @property
    def settings(self) -> list[tuple[str, str, bool]]:
        """(title, value, whether it differs from the default) of each setting."""
        changed = self._changed_settings()
        return [(title, value, path in changed) for path, title, value in told(self.run.config, self._fields)]

    def _changed_settings(self) -> dict[str, Any]:
        defaults = default_values(self._fields)
        return {
            path: value for path, value in flat(self.run.config) if path not in defaults or defaults[path] != value
        }

    @property
    def command(self) -> str:
        """The command line that makes the same run again."""
        words = ["train", self.run.method, "--name", self.run.name]
        for each in self.run.inputs.all():
            words += [f"--{each.role.replace('_', '-')}", str(each.version or each.dataset.digest[:12])]
        words += ["--seed", str(self.run.seed), "--output", self.run.output_name]
        fields = {each.path: each for each in all_leaves(self._fields)}
        for path, value in self._changed_settings().items():
            text = as_text(fields[path], value) if isinstance(value, list) and path in fields else value
            words += ["--set", f"{path}={'' if text is None else text}"]
        return terminal.manage(*words)

    @property
    def reproduce(self) -> str:
        """The command line that makes it again of the very same files."""
        return terminal.manage("train", "--reproduce", str(self.run.pk))

    @property
    def environment(self) -> dict[str, Any]:
        """What the last attempt was computed with; empty before the first."""
        known = environment.read(self.run.folder)
        return known[-1] if known else {}

    @property
    def digests(self) -> list[tuple[str, str]]:
        """(input, digest) of everything that it started from."""
        return [
            (str(each.version or each.dataset.name), (each.version or each.dataset).digest)
            for each in self.run.inputs.all()
        ]

    @property
    def files(self) -> list[tuple[str, int]]:
        return reading.files(self.run.folder)

    @property
    def log(self) -> str:
        return "\n".join(reading.log_tail(self.run.folder))


def spread(values: list, count: int) -> list:
    """At most `count` of `values`, the first and the last among them, evenly apart."""
    if len(values) <= count:
        return values
    return [values[round(place * (len(values) - 1) / (count - 1))] for place in range(count)]


def duration(seconds: float) -> str:
    """A length of time in two units: 9 min, 1 h 20 min."""
    seconds = int(seconds)
    if seconds < 60:
        return _("%(s)d s") % {"s": seconds}
    if seconds < 3600:
        return _("%(m)d min") % {"m": round(seconds / 60)}
    return _("%(h)d h %(m)d min") % {"h": seconds // 3600, "m": seconds % 3600 // 60}


def gibibytes(count: int) -> str:
    return f"{rounded(count / 2**30, 2)} GiB"
